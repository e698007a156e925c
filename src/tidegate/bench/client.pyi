class Crew:
    bytes_in: int
    bytes_out: int

class Client: ...
