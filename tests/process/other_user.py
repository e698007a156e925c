"""Another user of this machine, whom tests that run as root let a gateway become."""

import functools
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

import tidegate

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def nobody():
    return pwd.getpwnam("nobody")


@functools.cache
def interpreter():
    """A Python of this version that `nobody` may run, and the environment in which it finds all there is.

    That of the tests may lie in root's home.
    """
    places = [str(Path(tidegate.__file__).parents[1]), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    user = nobody()
    for python in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            tried = subprocess.run(
                [python, "-c", "import tidegate.edge.server, tidegate.admin.api, tidegate.cli.app"],
                env={**os.environ, **environment},
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                cwd="/",
                check=False,
                capture_output=True,
            )
        except OSError:
            continue
        if tried.returncode == 0:
            return python, environment
    pytest.skip("there is no interpreter here that another user may run")


@pytest.fixture
def open_path():
    """As `tmp_path`, which is root's alone: anybody may enter this one."""
    path = Path(tempfile.mkdtemp(prefix="tidegate-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
