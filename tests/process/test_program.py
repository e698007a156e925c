import os
import subprocess
import sys

import pytest

from tidegate.process.program import Program


def test_program_is_found_where_it_is_said_to_be(tmp_path, monkeypatch):
    (tmp_path / "tide.py").write_text("print('high')")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    program = Program(sys.executable, [], str(tmp_path))
    done = subprocess.run(program.command("tide"), env=program.environment(), capture_output=True, check=True)
    assert done.stdout == b"high\n"
    assert os.environ["PYTHONPATH"] == "/nowhere"


def test_running_program_is_this_one(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    program = Program.running(["/filters"])
    assert (program.python, program.python_path, program.environment_path) == (sys.executable, ["/filters"], None)
    assert "PYTHONPATH" not in program.environment()


def test_program_that_is_not_there_leaves_this_one_as_it_is(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Program(str(tmp_path / "python"), []).become("tide", [])
