from tidegate.exchange.state import Client

class Connection(Client):
    def cut_off(self) -> None: ...
