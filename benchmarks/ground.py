"""One session's ground: directory on tmpfs, certificate, upstream, contenders; everything goes when it is left."""

import datetime as dt
import ipaddress
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks import processes
from benchmarks.contenders import Contender, Ground, NotHereError, make
from benchmarks.load import programs
from benchmarks.ports import free_port

SHM = Path("/dev/shm")
PREFIX = "tidegate-bench-"


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed ECDSA P-256 certificate for 127.0.0.1, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("bench.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "certificate.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


def sweep(place: Path) -> None:
    """Removes what sessions that were killed have left in ``place``: it is memory."""
    for left in place.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)


class Session:
    """Contenders that run side by side, and what they need; a context manager that leaves nothing behind."""

    def __init__(self) -> None:
        place = SHM if SHM.is_dir() else Path(tempfile.gettempdir())
        sweep(place)
        self.directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
        self.contenders: dict[str, Contender] = {}
        self.seen: dict[str, Contender] = {}  # all that ran at some time
        self.absent: dict[str, str] = {}  # those that cannot, and why
        self._upstream: subprocess.Popen[bytes] | None = None
        self._ground: Ground | None = None

    @property
    def ground(self) -> Ground:
        """What the contenders share; only inside the context."""
        assert self._ground is not None, "the session has not been entered"
        return self._ground

    @property
    def upstream_pids(self) -> list[int]:
        """The processes of the upstream."""
        return [self._upstream.pid] if self._upstream else []

    def __enter__(self) -> Self:
        try:
            self._enter()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _enter(self) -> None:
        compiled = self.directory / "programs"
        compiled.mkdir()
        port = free_port()
        certificate, key = make_certificate(self.directory)
        self._ground = Ground(self.directory, compiled, port, certificate, key)
        upstream = programs.build("upstream", compiled)
        process = subprocess.Popen(
            ["taskset", "-c", str(processes.LOAD_CORE), str(upstream), str(port)],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._upstream = process
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the upstream did not start on port {port}")

    def start(self, names: Iterable[str]) -> list[str]:
        """Makes exactly ``names`` run; returns those that do, the others are in ``absent``.

        Whoever is not asked for is stopped: even an idle gateway has timers, and they would be on the same core.
        """
        wanted = list(names)
        for name in [name for name in self.contenders if name not in wanted]:
            self.stop(name)
        return [name for name in wanted if self._runs(name)]

    def _runs(self, name: str) -> bool:
        if name in self.contenders or name in self.absent:
            return name in self.contenders
        contender = make(name)
        self.contenders[name] = self.seen[name] = contender
        try:
            contender.start(self.ground)
        except (NotHereError, programs.CompileError, OSError, subprocess.SubprocessError) as reason:
            del self.contenders[name], self.seen[name]
            self.absent[name] = str(reason)
            print(f"skipped: {reason}", file=sys.stderr, flush=True)
            return False
        return True

    def stop(self, name: str) -> None:
        """Ends one contender."""
        contender = self.contenders.pop(name, None)
        if contender is not None:
            contender.stop()
            # One that needs none of its own has the directory it was started in; that is the user's.
            if contender.directory.is_relative_to(self.directory):
                shutil.rmtree(contender.directory, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for contender in self.contenders.values():
            contender.stop()
        if self._upstream is not None:
            processes.stop(self._upstream)
            if self._upstream.stdout:
                self._upstream.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)
