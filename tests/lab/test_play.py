"""Scenarios are played, judged, repeated, and stopped."""

import os
import signal
import threading
import time

from tests.lab.playing import Leak, Waits, played

from tidegate.lab.play import play
from tidegate.lab.stage import Length


def test_an_incident_that_shows_and_a_promise_that_holds_is_good():
    (one,) = played(Leak())
    assert one.is_good
    assert [run.is_shown and run.is_held for run in one.runs] == [True]


def test_a_promise_that_does_not_hold_is_not():
    (one,) = played(Leak(through=1))
    assert not one.is_good
    assert one.runs[0].is_shown
    assert not one.runs[0].is_held


def test_an_incident_that_does_not_show_proves_nothing():
    (one,) = played(Leak(happened=0))
    assert not one.is_good
    assert one.runs[0].is_held


def test_it_is_played_as_often_as_asked_and_one_bad_run_is_enough():
    scenario = Leak()
    halves = iter([(3, 0), (3, 0), (0, 0)])

    def tell(text):
        if text.endswith("as it happened"):
            scenario.numbers = next(halves)

    (one,) = play([scenario], Length.SHORT, 3, tell, lambda _: None)
    assert len(one.runs) == 3
    assert not one.is_good


def test_trouble_of_one_scenario_leaves_the_others():
    ended = []
    first, second = play([Leak(trouble="no Valkey"), Leak()], Length.SHORT, 1, lambda _: None, ended.append)
    assert (first.trouble, first.runs, first.is_good) == ("no Valkey", [], False)
    assert second.is_good
    assert ended == [first, second]


def test_ctrl_c_ends_what_was_started_and_keeps_what_there_is():
    waits = Waits()
    ended = []

    def tell(text):
        if text.startswith("waits"):
            threading.Thread(target=interrupt, daemon=True).start()

    def interrupt():
        time.sleep(0.05)  # the half has begun, or is about to: both have to end
        os.kill(os.getpid(), signal.SIGINT)

    first, second = play([Leak(), waits, Leak()], Length.SHORT, 1, tell, ended.append)
    assert first.is_good
    assert waits.is_ended
    assert second.trouble == "It was stopped"
    assert ended == [first, second]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
