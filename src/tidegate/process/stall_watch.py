"""The stall watch: finds the worker whose loop is held, says by whom, sends new connections elsewhere, replaces it.

Twenty times a second it looks at two things in shared memory: the callback a worker is in (`memory.marks`) and its
heartbeat, which the loop stamps by a timer. Rules:

- A callback that is older than ``stall_notice`` is a stall, each by itself, however well the loop beats in between. A
  loop whose timer is late by as much and that is in no such callback is held by something else: a task or timer that
  somebody started, or many callbacks in a row.
- It is asked for its stack (`stack_pipe`) while it is held, and one event names filter, file and line. A process that
  is stopped, or waits in the kernel, is said to be so.
- One that is held for longer than ``stall_out`` is looked into from outside, where that can be done (`native_stack`).
- After ``stall_out`` new connections are steered to workers that get on, as long as there are any; what waits in its
  sockets stays there for it or its successor. It is put back when nothing has held it for half a second.
- After ``stall_kill`` it is replaced, unless a debugger has it.
- The watch itself may have been held up, with the whole machine: a look that comes late judges nobody.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tidegate.config.server import Server
from tidegate.config.snapshot import Snapshot
from tidegate.memory.marks import PHASE_NAMES, SNAPSHOTS_APART, MarkReader, read_place
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.blocked_time import BlockedTime
from tidegate.observe.log_writer import Say
from tidegate.observe.stalls import Frame, StallBook, culprit, parse_stack, render_stack
from tidegate.process import development
from tidegate.process.child import Child, condition_of
from tidegate.process.messages import read_memory_file
from tidegate.process.native_stack import NativeStacks
from tidegate.process.place import WorkerPlace
from tidegate.process.workforce import Workforce

__all__ = ["StallWatch"]

_BEAT_NS = 50_000_000  # `pulse` stamps as often as this
_PERIOD_NS = 50_000_000
_CLOSE_NS = 10_000_000  # while a stall is young: how long it was is known as well as this
_STACK_NS = 2_000_000  # until a stack that was asked for is looked for
_STACK_LATE_NS = 250_000_000  # from then on none is waited for
# Who writes filters hears of what holds the loop for less, too: their requests come one at a time.
_DEVELOPMENT_NOTICE_NS = 30_000_000
_SETTLED_NS = 500_000_000  # without a stall, and it is put back
_NATIVE_CALLS = 12  # shown of a stack that goes down into C


@dataclass(frozen=True)
class _Names:
    """What the numbers in a mark stand for, by the snapshot they were given in."""

    number: int = 0
    routes: tuple[str, ...] = ()
    modules: dict[str, str] = field(default_factory=dict)  # of the filters, in their order

    @classmethod
    def of(cls, snapshot: Snapshot) -> "_Names":
        gateway = snapshot.gateway
        modules = {name: use.target.partition(":")[0] for name, use in gateway.filters.items()}
        return cls(snapshot.number, tuple(route.name for route in gateway.routes), modules)


@dataclass
class _Stall:
    """One time that a loop is held."""

    began_ns: int
    since_ns: int  # the callback; 0: none of the gateway's
    beat_ns: int
    place: int
    # its stack
    asked_ns: int = 0  # 0: it was not asked
    text: bytes = b""
    frames: list[Frame] = field(default_factory=list)
    is_settled: bool = False  # there is nothing more to wait for
    # what was made of it
    condition: str = ""
    where: str = ""
    is_counted: bool = False  # it is in the book
    is_told: bool = False  # and in the log, so that its end belongs there as well
    is_last_asked: bool = False
    is_looked_into: bool = False  # or was


@dataclass
class _Watched:
    """One worker's place, and what was seen at the last look."""

    place: WorkerPlace
    child: Child | None = None
    held_ns: int = 0
    held_at_ns: int = 0  # the last look at which it was held for long enough to be noticed
    noticed_beat_ns: int = 0
    stall: _Stall | None = None


class StallWatch:
    """Looks after all workers of a workforce."""

    def __init__(
        self,
        region: Region,
        workers: Workforce,
        say: Say,
        native: NativeStacks | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._workers = workers
        self._native = native or NativeStacks()
        self._say = say
        self._clock_ns = clock_ns
        self._marks = MarkReader(region.mapping)
        self._watched = [_Watched(place) for place in workers.places]
        self._book = StallBook()
        self.blocked = BlockedTime()
        self._looked_ns = self._due_ns = clock_ns()
        self._names: list[_Names] = []  # newest first
        self._use(Server())

    def __repr__(self) -> str:
        held = [one.place.name for one in self._watched if one.stall is not None]
        return f"<StallWatch held: {', '.join(held) or 'none'}>"

    def _use(self, server: Server) -> None:
        self._notice_ns = int(server.stall_notice * 1e9)
        self._out_ns = int(server.stall_out * 1e9)
        self._kill_ns = None if server.stall_kill is None else int(server.stall_kill * 1e9)
        self._period_ns = _PERIOD_NS
        if development.is_on(server):
            self._notice_ns = min(self._notice_ns, _DEVELOPMENT_NOTICE_NS)
            self._period_ns = _CLOSE_NS

    # -- when ------------------------------------------------------------------------------------------------------

    def patience_s(self) -> float:
        """Seconds until the next look is due."""
        return max(0, self._due_ns - self._clock_ns()) / 1e9

    def look(self) -> None:
        """Looks at every worker if that is due, and acts on what it sees."""
        now_ns = self._clock_ns()
        if now_ns < self._due_ns:
            return
        was_late = now_ns - self._due_ns > 2 * _PERIOD_NS
        self._looked_ns = now_ns
        self._due_ns = now_ns + (self._period_ns if any(place.child for place in self._workers.places) else 10**9)
        self._learn()
        for watched in self._watched:
            self._look_at(watched, now_ns, is_fair=not was_late)
        self._hear_native(now_ns)
        if not was_late and not self._workers.is_draining:
            self._steer(now_ns)
            for watched in self._watched:
                self._replace(watched, now_ns)
        if (line := self._book.due(now_ns / 1e9)) is not None:
            if line.times > 1:
                line.fields["times"] = line.times
            self._say("loop_stalled", line.message, "warning", **line.fields)

    def _learn(self) -> None:
        """The newest snapshot says how patient to be, and what filters and routes are called."""
        number = self._workers.snapshot_number
        if number == 0 or (self._names and self._names[0].number == number):
            return
        snapshot = Snapshot.decode(read_memory_file(self._workers.snapshot_fd))
        self._names = [_Names.of(snapshot), *self._names[:1]]
        self._use(snapshot.gateway.server)

    # -- one worker ------------------------------------------------------------------------------------------------

    def _look_at(self, watched: _Watched, now_ns: int, *, is_fair: bool) -> None:
        place = watched.place
        slot = place.slot
        if place.child is not watched.child:
            self._end(watched, now_ns, has_died=True)
            watched.child = place.child
            watched.held_ns = watched.held_at_ns = watched.noticed_beat_ns = 0
            slot.stalled_since_ns = 0  # as it was left by a watch of another program
        if place.child is None or slot.state not in (SlotState.READY, SlotState.DRAINING):
            return
        since_ns, code = self._marks.read(slot.index)
        beat_ns = slot.heartbeat_ns
        in_callback_ns = max(0, now_ns - since_ns) if since_ns else 0
        late_ns = max(0, now_ns - beat_ns - _BEAT_NS)
        watched.held_ns = max(in_callback_ns, late_ns)
        if watched.held_ns >= self._notice_ns:
            watched.held_at_ns = now_ns

        stall = watched.stall
        if stall is not None:
            goes_on = since_ns == stall.since_ns if stall.since_ns else beat_ns == stall.beat_ns
            if goes_on:
                slot.stall_max_ns = max(slot.stall_max_ns, now_ns - stall.began_ns)
                self._follow(watched, stall, now_ns)
                return
            # It ended when the timer came, or the next callback began; at the latest now.
            ends = [now_ns, beat_ns, since_ns if stall.since_ns else now_ns]
            self._end(watched, min(at_ns for at_ns in ends if at_ns > stall.began_ns))
        if not is_fair:
            return
        if in_callback_ns >= self._notice_ns:
            self._notice(watched, _Stall(since_ns, since_ns, beat_ns, code), now_ns)
        elif late_ns >= self._notice_ns and watched.noticed_beat_ns != beat_ns:
            self._notice(watched, _Stall(beat_ns + _BEAT_NS, 0, beat_ns, code if since_ns else 0), now_ns)
        elif in_callback_ns and in_callback_ns + self._period_ns > self._notice_ns:
            self._be_back_in(self._notice_ns - in_callback_ns + 100_000)

    def _be_back_in(self, wait_ns: int) -> None:
        self._due_ns = min(self._due_ns, self._looked_ns + wait_ns)

    def _notice(self, watched: _Watched, stall: _Stall, now_ns: int) -> None:
        slot = watched.place.slot
        slot.stalls += 1
        slot.stalled_since_ns = stall.began_ns
        slot.stall_max_ns = max(slot.stall_max_ns, now_ns - stall.began_ns)
        watched.noticed_beat_ns = stall.beat_ns
        watched.stall = stall
        self._ask(watched, stall, now_ns)

    def _ask(self, watched: _Watched, stall: _Stall, now_ns: int) -> None:
        """Asks for its stack, unless nobody is there who could answer."""
        child = watched.child
        assert child is not None  # noqa: S101 - narrows the type
        stall.condition = self._condition(child.pid)
        stall.text = b""
        stall.is_settled = stall.condition in ("T", "t") or watched.place.stacks is None
        if stall.is_settled:
            self._tell(watched, stall, now_ns)
        elif watched.place.stacks is not None:
            watched.place.stacks.ask(child)
            stall.asked_ns = now_ns
            self._be_back_in(_STACK_NS)

    def _condition(self, pid: int) -> str:
        """What the kernel has for a worker; "" while it may be stopped only because we look into it."""
        return "" if self._native.pid == pid else condition_of(pid)

    def _follow(self, watched: _Watched, stall: _Stall, now_ns: int) -> None:
        """It goes on."""
        child = watched.child
        assert child is not None  # noqa: S101 - narrows the type
        if not stall.is_settled:
            self._hear(watched, stall, now_ns)
        elif now_ns - stall.began_ns < 1_000_000_000 or self._native.pid == child.pid:
            self._be_back_in(_CLOSE_NS)
        elif stall.condition not in ("T", "t") and (condition := self._condition(child.pid)) in ("T", "t"):
            # Held, and then stopped as well: who looks into it is told.
            stall.condition = condition
            self._tell(watched, stall, now_ns)
        elif stall.condition not in ("T", "t", "D") and not stall.is_looked_into and watched.held_ns >= self._out_ns:
            stall.is_looked_into = self._native.ask(child)

    def _hear_native(self, now_ns: int) -> None:
        """Says what was seen from outside, of a worker that is still in the same stall."""
        pid = self._native.pid
        calls = self._native.take()
        if not calls:
            return
        for watched in self._watched:
            stall, place = watched.stall, watched.place
            if place.slot.pid == pid and stall is not None and stall.is_looked_into:
                shown = " < ".join(calls[:_NATIVE_CALLS])
                held_ms = (now_ns - stall.began_ns) // 1_000_000
                message = f"{place.name} is held up in {shown}"
                self._say("native_stack", message, worker=place.seat, held_ms=held_ms)

    def _hear(self, watched: _Watched, stall: _Stall, now_ns: int) -> None:
        """Takes what there is of its stack: faulthandler writes in pieces, so the last is the one that none follows."""
        stacks = watched.place.stacks
        more = stacks.take() if stacks is not None else b""
        stall.text += more
        is_late = now_ns - stall.asked_ns >= _STACK_LATE_NS
        if (more or not stall.text) and not is_late:
            self._be_back_in(_STACK_NS)
            return
        stall.is_settled = True
        if not stall.text:
            stall.condition = condition_of(watched.place.slot.pid)
        self._tell(watched, stall, now_ns)

    def _end(self, watched: _Watched, at_ns: int, *, has_died: bool = False) -> None:
        """The stall is over, one way or the other."""
        stall = watched.stall
        watched.stall = None
        if stall is None:
            return
        place = watched.place
        if not stall.is_settled:
            # It was over before its stack had come whole: what there is of it is better than nothing.
            if place.stacks is not None and not has_died:
                stall.text += place.stacks.take()
            # A process that got no processor for a while looks like this as well, and that is nobody's code.
            if stall.since_ns or parse_stack(stall.text):
                self._tell(watched, stall, at_ns)
        place.stalled_in = ""
        place.slot.stalled_since_ns = 0
        length_ns = at_ns - stall.began_ns
        place.slot.stall_max_ns = max(place.slot.stall_max_ns, length_ns)
        if stall.since_ns or stall.frames or stall.condition in ("T", "t", "D"):
            instead = "it was stopped" if stall.condition in ("T", "t") else _unseen(stall)
            self.blocked.add(place.seat, stall.frames or parse_stack(stall.text), f"({instead})", length_ns)
        if stall.is_told and not has_died:
            after = "was held" if stall.condition not in ("T", "t") else "was stopped"
            where = f" in {stall.where}" if stall.where else ""
            message = f"{place.name} {after} for {length_ns / 1e9:.2f} s{where}, and goes on"
            self._say("loop_recovered", message, "info", worker=place.seat, held_ms=length_ns // 1_000_000)

    # -- what is said ----------------------------------------------------------------------------------------------

    def _tell(self, watched: _Watched, stall: _Stall, now_ns: int) -> None:
        place = watched.place
        held_s = (now_ns - stall.began_ns) / 1e9
        if stall.condition in ("T", "t"):
            stall.is_told = True
            by = "a debugger has it" if stall.condition == "t" else "until SIGCONT"
            place.stalled_in = "stopped" if stall.condition == "T" else "stopped by a debugger"
            message = f"{place.name} (pid {place.slot.pid}) is stopped, {by}: its connections wait"
            self._say("worker_stopped", message, worker=place.seat, held_ms=round(held_s * 1000))
            return
        if stall.text:
            stall.frames = parse_stack(stall.text)
        names = self._names_of(stall.place)
        marked = read_place(stall.place)
        by_mark = [*names.modules, ""][min(marked.filter, len(names.modules))] if marked.phase else ""
        frame, filter_name = culprit(stall.frames, names.modules, by_mark)
        fields: dict[str, object] = {"worker": place.seat, "held_ms": round(held_s * 1000)}
        if filter_name:
            fields["filter"] = filter_name
        if marked.phase:
            fields["phase"] = PHASE_NAMES[marked.phase]
            if marked.route < len(names.routes):
                fields["route"] = names.routes[marked.route]
        if frame is not None:
            fields |= {"file": frame.file, "line": frame.line}
        if stall.condition == "D":
            fields["state"] = "waits in the kernel"
        stall.where = frame.place if frame is not None else ""
        place.stalled_in = stall.where or _unseen(stall)
        who = _culprit(filter_name, fields)
        stack = f": {render_stack(stall.frames)}" if stall.frames else f": {_unseen(stall)}"
        message = f"{place.name} is held up by {who}{stack}"
        if not stall.is_counted:
            stall.is_counted = True
            stall.is_told = self._book.offer(now_ns / 1e9, f"{filter_name} {place.stalled_in}", message, fields)

    def _names_of(self, place: int) -> _Names:
        number = read_place(place).snapshot
        for names in self._names:
            if names.number % SNAPSHOTS_APART == number:
                return names
        return self._names[0] if place == 0 and self._names else _Names()

    # -- what is done ----------------------------------------------------------------------------------------------

    def _steer(self, now_ns: int) -> None:
        """Out with who is held for long, as long as others get on; back with who has been well for a while."""
        live = [one for one in self._watched if one.place.is_live]
        held = [one for one in live if one.held_ns >= self._out_ns]
        if held and len(held) < len(live):
            for watched in held:
                self._workers.steer_around(watched.place, is_out=True)
                message = f"{watched.place.name} gets no new connections: {self._cause(watched)}"
                self._say("steered_out", message, worker=watched.place.seat)
        for watched in self._watched:
            if watched.place.is_steered_out and now_ns - watched.held_at_ns >= _SETTLED_NS:
                self._workers.steer_around(watched.place, is_out=False)
                message = f"{watched.place.name} gets new connections again"
                self._say("steered_back", message, "info", worker=watched.place.seat)

    def _replace(self, watched: _Watched, now_ns: int) -> None:
        """Kills who has been held for too long; the stack is asked for once more, as it is the last that it can say."""
        stall, child = watched.stall, watched.child
        if self._kill_ns is None or watched.held_ns < self._kill_ns or child is None or child.last_words:
            return
        if stall is not None:
            if self._condition(child.pid) == "t":
                return
            if not stall.is_last_asked:
                stall.is_last_asked = True
                self._ask(watched, stall, now_ns)
            if not stall.is_settled:
                return
        child.last_words = self._cause(watched)
        self._say(
            "stall_killed", f"{watched.place.name} is replaced: {child.last_words}", "error", **self._last(watched)
        )
        child.kill()

    def _cause(self, watched: _Watched) -> str:
        held_s, stall = watched.held_ns / 1e9, watched.stall
        if stall is not None and stall.condition in ("T", "t"):
            return f"{watched.place.stalled_in} for {held_s:.1f} s"
        return f"stalled for {held_s:.1f} s" + (f" in {stall.where}" if stall is not None and stall.where else "")

    def _last(self, watched: _Watched) -> dict[str, object]:
        fields: dict[str, object] = {"worker": watched.place.seat}
        if watched.stall is not None and watched.stall.frames:
            fields["stack"] = render_stack(watched.stall.frames)
        return fields


def _culprit(filter_name: str, fields: dict[str, object]) -> str:
    if filter_name and "phase" in fields:
        return f"filter {filter_name} in {fields['phase']}"
    if filter_name:
        return f"something that filter {filter_name} started"
    return "a callback"


def _unseen(stall: _Stall) -> str:
    """Where it is, when no Python code of anybody's is seen."""
    if stall.condition == "D":
        return "it waits in the kernel"
    if not stall.text:
        return "its stack was not to be had"
    if stall.since_ns:
        return "the gateway's own code"
    return "no Python code runs on its loop: many callbacks in a row, or a thread that keeps the interpreter to itself"
