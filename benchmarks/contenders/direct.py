"""No gateway at all: the generator talks to the upstream. What the load core alone can do with nobody between."""

from collections.abc import Mapping

from benchmarks.contenders.contender import Contender, Ground


class Direct(Contender):
    """The ceiling row: nothing to start, no CPU of its own."""

    proxies = False

    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Never called: there is no program."""
        raise NotImplementedError

    def start(self, ground: Ground, patience_s: float = 15.0) -> None:
        """Points at the upstream."""
        del patience_s
        self.port = ground.upstream_port
        self.version = "load generator straight to the upstream"
