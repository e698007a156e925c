"""The thread that writes, and how long anybody waits for it."""

import asyncio
import threading

import pytest
from tests.memory.store.stores import FAR_S, run, until

from tidegate.memory.store import writer as module
from tidegate.memory.store.writer import Write, Writer


class Held:
    """A writer whose thread can be held, as LMDB's lock would."""

    def __init__(self, patience_s=FAR_S):
        self.may_go = threading.Event()
        self.may_go.set()
        self.is_held = threading.Event()
        self.written = []
        self.answered = []
        self.states = []
        self.writer = Writer(self.make, self.answered.append, self.states.append, patience_s)

    def make(self, writes):
        self.is_held.set()
        assert self.may_go.wait(FAR_S)
        made = [write for write in writes if write.value is None or not write.is_given_up]
        self.written += [(write.key, write.value) for write in made]
        return [write in made for write in writes]

    def hold(self):
        self.may_go.clear()
        self.is_held.clear()

    def add(self, key, value=b"v"):
        return self.writer.add(Write(key, value, asyncio.get_running_loop().create_future()))


def test_writes_are_made_in_their_order():
    async def main():
        held = Held()
        results = await asyncio.gather(*(held.add(b"%d" % i) for i in range(500)))
        assert results == [True] * 500
        assert held.written == [(b"%d" % i, b"v") for i in range(500)]
        assert len(held.answered) == 500
        assert held.writer.waiting == 0
        assert held.writer.close()

    run(main())


def test_what_comes_meanwhile_is_made_together():
    async def main():
        held = Held()
        batches = []
        make = held.make
        held.writer._make = lambda writes: batches.append(len(writes)) or make(writes)
        held.hold()
        first = held.add(b"0")
        await until(held.is_held.is_set)
        others = [held.add(b"%d" % i) for i in range(1, 65)]
        held.may_go.set()
        await asyncio.gather(first, *others)
        assert batches == [1, 64]
        assert held.writer.close()

    run(main())


def test_nobody_waits_for_a_writer_that_is_stuck():
    async def main():
        held = Held(patience_s=0.05)
        held.hold()
        under_way = held.add(b"under way")
        await until(held.is_held.is_set)
        waits = held.add(b"waits")
        deletes = held.add(b"gone", None)
        assert await under_way is False
        assert await waits is False
        assert await deletes is False
        assert held.writer.is_stuck
        assert held.add(b"late").result() is False
        assert held.add(b"gone too", None).result() is False
        assert held.states == [True]
        assert (held.writer.waits, held.writer.turned_away) == (1, 2)

        held.may_go.set()
        await until(lambda: not held.writer.is_stuck and len(held.answered) == 4)
        assert held.states == [True, False]
        assert held.written == [(b"gone", None), (b"gone too", None)]
        assert await held.add(b"again") is True
        assert held.writer.close()

    run(main())


def test_a_slow_write_among_many_does_not_make_it_stuck():
    async def main():
        held = Held(patience_s=FAR_S)
        await held.add(b"a")
        for _ in range(3):
            held.writer._look(asyncio.get_running_loop())
            await held.add(b"b")
        assert not held.writer.is_stuck
        assert held.writer.close()

    run(main())


@pytest.mark.parametrize(("limit", "value"), [("WAITING_MAX", 2), ("WAITING_BYTES_MAX", 20)])
def test_what_waits_has_a_bound(monkeypatch, limit, value):
    async def main():
        monkeypatch.setattr(module, limit, value)
        held = Held()
        held.hold()
        first = held.add(b"a", bytes(10))
        await until(held.is_held.is_set)
        second = held.add(b"b", bytes(10))
        assert held.add(b"c", bytes(10)).result() is False
        deletion = held.add(b"d", None)
        assert not deletion.done()
        held.may_go.set()
        assert await asyncio.gather(first, second, deletion) == [True, True, True]
        assert await held.add(b"c", bytes(10))
        assert held.writer.turned_away == 1
        assert held.writer.close()

    run(main())


def test_work_is_done_in_its_turn():
    async def main():
        held = Held()
        held.hold()
        first = held.add(b"a")
        await until(held.is_held.is_set)
        held.writer.run(lambda: held.written.append("work"))
        second = held.add(b"b")
        held.may_go.set()
        await asyncio.gather(first, second)
        assert held.written == [(b"a", b"v"), "work", (b"b", b"v")]
        assert held.writer.close()

    run(main())


def test_caller_who_leaves_takes_nothing_with_him():
    async def main():
        held = Held()
        held.hold()
        leaves = held.add(b"a")
        stays = held.add(b"b")
        leaves.cancel()
        held.may_go.set()
        assert await stays is True
        assert held.written == [(b"a", b"v"), (b"b", b"v")]
        assert held.writer.close()

    run(main())


def test_close_makes_what_waits_and_answers():
    async def main():
        held = Held()
        waiting = [held.add(b"%d" % i) for i in range(100)]
        assert held.writer.close()
        assert await asyncio.gather(*waiting) == [True] * 100
        assert held.add(b"late").result() is False

    run(main())


def test_a_thread_that_stands_still_keeps_nobody_longer_than_he_says():
    async def main():
        held = Held()
        held.hold()
        waiting = held.add(b"a")
        assert held.is_held.wait(FAR_S)
        assert held.writer.close(0.01) is False  # FAR_S otherwise
        assert waiting.result() is False
        held.may_go.set()

    run(main())


def test_close_leaves_a_thread_that_stands_still():
    async def main():
        held = Held(patience_s=0.02)
        held.hold()
        assert await held.add(b"a") is False
        assert held.writer.close() is False
        held.may_go.set()

    run(main())
