from collections.abc import Mapping

class Conditions:
    def __init__(self, headers: Mapping[str, str | bool], query: Mapping[str, str | bool]) -> None: ...
