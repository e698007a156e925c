import logging

import pytest

from tidegate.config.logs import ErrorLog as ErrorLogSettings
from tidegate.memory.region import Region
from tidegate.process.failure import StartError
from tidegate.process.logs import open_error_log, take_logging


@pytest.fixture
def region():
    one = Region.create(2)
    yield one
    one.close()


def test_lines_name_their_process(tmp_path, region):
    path = tmp_path / "error.log"
    log = open_error_log(ErrorLogSettings(path=str(path)), region, worker=1)
    log.say("kind_of_trouble", "it happened")
    log.close()
    assert "worker=1 kind=kind_of_trouble" in path.read_text()


def test_processes_share_one_line_a_second_for_each_kind(tmp_path, region):
    path = tmp_path / "error.log"
    logs = [open_error_log(ErrorLogSettings(path=str(path)), region, worker=index) for index in range(4)]
    for log in logs:
        log.say("common_trouble", "all have it")
    # four lines would be one a process; a second may begin in between
    assert 1 <= len(path.read_text().splitlines()) <= 2
    for log in logs:
        log.sink.close()


def test_file_that_cannot_be_opened_is_named(region):
    with pytest.raises(StartError, match=r"the error log /no/such/place\.log cannot be opened: No such file"):
        open_error_log(ErrorLogSettings(path="/no/such/place.log"), region)


def test_what_libraries_warn_of_and_what_we_tell_comes_out_in_it(tmp_path, region):
    path = tmp_path / "error.log"
    log = open_error_log(ErrorLogSettings(path=str(path)), region)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        take_logging(log)
        logging.getLogger("a.library").warning("look at %s", "this")
        logging.getLogger("a.library").info("not at that")
        logging.getLogger("tidegate.upstream").info("new endpoints", extra={"kind": "endpoints_changed"})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.getLogger("tidegate").setLevel(logging.NOTSET)
        log.close()
    theirs, ours = path.read_text().splitlines()
    assert "kind=a.library" in theirs and "look at this" in theirs
    assert " info " in ours and "kind=endpoints_changed" in ours
