from tidegate.config.listeners import Listener
from tidegate.exchange.state import Client

class ConnectionSettings:
    def __init__(self, settings: Listener) -> None: ...

class Connection(Client):
    def drain(self) -> None: ...
