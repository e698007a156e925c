from tidegate.config.listeners import Listener

class ConnectionSettings:
    def __init__(self, settings: Listener) -> None: ...
