import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    scenario, contender = bench("--only", "smal"), bench("--contenders", "ngnix")
    assert scenario.returncode == contender.returncode == 1
    assert "no scenario smal; there are small," in scenario.stderr
    assert "no contender ngnix; there are nginx," in contender.stderr


def test_scenarios_are_listed() -> None:
    assert [line.split()[0] for line in bench("--list", "--only", "small,memory").stdout.splitlines()] == [
        "small",
        "memory",
    ]


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="nginx is not installed (Debian: nginx-light)")
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed (Debian: wrk)")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler for the generators")
@pytest.mark.skipif(not Path("/usr/include/openssl/ssl.h").exists(), reason="no OpenSSL headers (Debian: libssl-dev)")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="contender and load need a core each")
@pytest.mark.parametrize("generator", ["own", "wrk"])
def test_two_short_rounds_of_nginx_against_itself(generator: str) -> None:
    options = ["--only", "small", "--contenders", "nginx,nginx-again", "--rounds", "2", "--seconds", "0.3"]
    done = bench(*options, "--generator", generator, "--no-instructions")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(nginx\S*) +([\d,]+) ", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == ["nginx", "nginx-again"]
    assert all(int(rate.replace(",", "")) > 1000 for _, rate in rows)
    assert "thrown away" not in done.stdout
