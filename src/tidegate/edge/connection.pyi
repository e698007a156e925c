from tidegate.exchange.state import Client

class Connection(Client):
    def drain(self) -> None: ...
