import socket

import pytest

from tidegate.cli.reach import reach
from tidegate.process.failure import StartError
from tidegate.process.runtime_directory import socket_path


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def listen(directory):
    opened = []

    def listen(pid):
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(socket_path(directory, pid)))
        one.listen()
        opened.append(one)

    yield listen
    for one in opened:
        one.close()


def test_the_only_gateway_is_meant(listen):
    listen(41)
    assert reach(None).pid == 41


def test_among_several_one_is_chosen(listen):
    listen(41)
    listen(42)
    assert reach(42).pid == 42
    with pytest.raises(StartError, match="several gateways run here: choose one with --pid 41, 42"):
        reach(None)


def test_none_is_told_with_the_place(listen, directory):
    with pytest.raises(StartError, match=f"no gateway runs here \\(looked in {directory}"):
        reach(None)
    listen(41)
    with pytest.raises(StartError, match="no gateway with pid 40"):
        reach(40)
