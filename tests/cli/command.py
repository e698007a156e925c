"""The command line as a process, as people start it."""

import os
import subprocess
import sys


def tidegate(*arguments, environment=None, timeout=30, python=sys.executable, **process):
    """Runs it to its end."""
    return subprocess.run(
        [python, "-m", "tidegate", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
        **process,
    )


def configuration(port, admin_port):
    """The least there is to run."""
    return f"""
[server]
workers = 2
admin = "127.0.0.1:{admin_port}"

[[listeners]]
bind = "127.0.0.1:{port}"

[[routes]]
name = "hello"
path = "/hello"
respond = {{ body = "hello\\n" }}
"""
