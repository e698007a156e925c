"""A bare TCP relay in C on the contender's core: what the system calls of any proxy cost before it reads a byte."""

from collections.abc import Mapping

from benchmarks.contenders.contender import Contender, Ground
from benchmarks.load import programs


class Relay(Contender):
    """``load/relay.c``: one upstream connection for each client connection, bytes copied both ways."""

    proxies = False

    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Compiles it; there is nothing to configure."""
        self.version = "relay.c, no HTTP, no log"
        binary = programs.build("relay", ground.programs)
        return [str(binary), str(self.port), str(ground.upstream_port)], {}
