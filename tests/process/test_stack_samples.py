"""Samples of where real workers are, kept for the flight recorder."""

import contextlib

import msgspec
from tests.process.gateway import eventually
from tests.process.test_workforce import SLOTS, chaos  # noqa: F401 - a fixture

from tidegate.observe.recording import Stack
from tidegate.process.stack_samples import StackSamples


class Sampler:
    """Samples with a clock that the test moves."""

    def __init__(self, gateway):
        self.now_ns = 0
        self.journal = gateway.region.journal("stacks")
        self.samples = StackSamples(
            gateway.region, gateway.workforce, clock_ns=lambda: self.now_ns, wall=lambda: self.now_ns / 1e9
        )

    def look_after(self, seconds):
        self.now_ns += int(seconds * 1e9)
        self.samples.look()

    def stacks(self):
        return [msgspec.msgpack.decode(content, type=Stack) for _, content in self.journal.read()]

    def found(self, wanted):
        """Looks, ten seconds after ten seconds, until there is such a stack."""
        self.look_after(10)
        eventually(lambda: self.look_after(0.02) or True, "the answers are taken")
        return next((one for one in self.stacks() if wanted(one)), None)


def test_every_worker_is_asked_every_ten_seconds(chaos):  # noqa: F811 - pytest's way
    chaos.until_live()
    sampler = Sampler(chaos)
    sampler.look_after(9)
    sampler.look_after(0.5)
    assert sampler.stacks() == []
    pids = {slot: chaos.pid(slot) for slot in range(SLOTS)}
    for slot in range(SLOTS):
        stack = eventually(lambda slot=slot: sampler.found(lambda one: one.slot == slot), f"slot {slot} answers")
        assert stack.pid == pids[slot]


def test_a_sample_names_the_code_that_runs(chaos):  # noqa: F811
    chaos.until_live()
    sampler = Sampler(chaos)
    with contextlib.ExitStack() as stack:
        (connection,) = chaos.connect(stack, 1)
        connection.recv(100)
        connection.send(b"burn 20\n")
        found = eventually(lambda: sampler.found(lambda one: "serve" in one.calls), "it is seen where it burns")
        assert "echo_service.py:" in found.calls.splitlines()[0]
        assert all(call.count(" ") == 1 for call in found.calls.splitlines())


def test_a_worker_whose_loop_is_held_is_left_to_the_stall_watch(chaos):  # noqa: F811
    chaos.until_live()
    chaos.region.slot(0).stalled_since_ns = 1
    sampler = Sampler(chaos)
    eventually(lambda: sampler.found(lambda one: one.slot == 1), "the others are asked")
    assert 0 not in {one.slot for one in sampler.stacks()}
