"""Tidegate with one worker, access log and meters on; all its processes (supervisor, control, worker) are counted."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contenders.contender import KEY, Contender, Ground, NotHereError
from benchmarks.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
UNRECORDED = Path(__file__).parent / "unrecorded"

CONFIGURATION = """\
[server]
workers = 1
admin = "127.0.0.1:{admin}"
filter_packages = ["benchmarks"]
drain_timeout = "1s"

[access_log]
path = "{log}"
format = "{format}"

[[listeners]]
bind = "127.0.0.1:{port}"
idle_timeout = "300s"

[[listeners]]
bind = "127.0.0.1:{tls_port}"
idle_timeout = "300s"
tls = {{ certificates = [{{ cert = "{certificate}", key = "{key}" }}] }}

[upstreams.load]
endpoints = ["127.0.0.1:{upstream_port}"]
pool = {{ max = 2048, idle = 1024 }}
{declared}
[[routes]]
name = "all"
path = "/*"
upstream = "load"
{used}
# What the scenario "limits" asks for without its policies: a path that is rewritten, as theirs is.
[[routes]]
name = "open"
path = "/open"
rewrite = {{ path = "/small" }}
upstream = "load"
{policies}"""


# The policies of the scenario "limits": so generous that nothing is refused, so that what is measured is the asking.
LIMITED = """
[auth.partners]
kind = "key"
keys = [{{ key = "sha256:{digest}", subject = "acme", tenant = "acme" }}]

[limits.edge]
rate = "1000000/s"
burst = 1000000
key = "client.ip"

[limits.contract]
rate = "1000000/s"
burst = 1000000
key = "auth.tenant"

[limits.servers]
concurrency = 1000

[[routes]]
name = "limited"
path = "/limited"
rewrite = {{ path = "/small" }}
upstream = "load"
auth = "partners"
limits = ["edge", "contract", "servers"]
"""


class Tidegate(Contender):
    """``python -m tidegate run FILE`` of this checkout."""

    def __init__(
        self,
        name: str,
        filter_class: str = "",
        *,
        log_format: str = "combined",
        log_to_pipe: bool = False,
        is_recorded: bool = True,
        limited: bool = False,
    ) -> None:
        super().__init__(name)
        self.log_format = log_format  # by default the line that nginx writes
        self.log_to_pipe = log_to_pipe
        self.limited = limited
        self.filter_class = filter_class
        self.is_recorded = is_recorded
        self.log_pipe = -1  # the reading end, when it logs to a pipe
        self.admin_port = 0

    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Writes ``gateway.toml``."""
        places = [ROOT / "src", ROOT] if self.is_recorded else [UNRECORDED, ROOT / "src", ROOT]
        env = {"PYTHONPATH": os.pathsep.join(map(str, places))}
        probe = [
            sys.executable,
            "-c",
            "import tidegate.cli, tidegate; print(getattr(tidegate, '__version__', 'from source'))",
        ]
        done = subprocess.run(probe, capture_output=True, text=True, env={**os.environ, **env}, timeout=60, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise NotHereError(f"tidegate has no command line in this checkout, or is not built ({last})")
        self.version = f"tidegate {done.stdout.strip()}"
        self.admin_port = free_port()
        log = self.directory / ("access.pipe" if self.log_to_pipe else "access.log")
        if self.log_to_pipe:
            os.mkfifo(log)
            self.log_pipe = os.open(log, os.O_RDWR | os.O_NONBLOCK)
        self.configuration = CONFIGURATION.format(
            admin=self.admin_port,
            port=self.port,
            tls_port=self.tls_port,
            upstream_port=ground.upstream_port,
            log=log,
            format=self.log_format,
            certificate=ground.certificate,
            key=ground.key,
            policies=LIMITED.format(digest=hashlib.sha256(KEY.encode()).hexdigest()) if self.limited else "",
            declared=f'\n[filters.bench]\nclass = "{self.filter_class}"\n' if self.filter_class else "",
            used='filters = ["bench"]\n' if self.filter_class else "",
        )
        path = self.directory / "gateway.toml"
        path.write_text(self.configuration)
        return [sys.executable, "-m", "tidegate", "run", str(path)], env

    def stop(self) -> None:
        """Ends it, and closes the pipe."""
        super().stop()
        if self.log_pipe >= 0:
            os.close(self.log_pipe)
            self.log_pipe = -1
