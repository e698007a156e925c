"""Borrows what a machine may have under way of a fleet's limit of concurrency, and decides when the store cannot.

What is under way is counted in memory that the machine's workers share (``memory.inflight``), what the store lends lies
in cells beside it (``memory.grants``). So a worker that dies takes nothing along: its permits are the machine's again
when the supervisor has reaped it, and the next who asks tells the store what is under way in all.

- Who needs more than was lent asks the store, unless another worker of the machine does. What is not needed goes back,
  the half each second; with ``mode = "exact"`` at once.
- Where another gateway misses some of its part, whoever has more than his own yields as much of it, once for each time
  that it was refused: what is under way ends, and is not followed.
- Each second every worker that has seen a key looks whether somebody has told the store of it lately, and tells it
  otherwise. Where nobody does for ``memory.grants.FORGOTTEN_MS``, the store lends the permits to others.
- When the store is away, or has not answered within a request's ``latency_cap``, the machine allows itself what
  ``on_store_failure`` says, for two seconds at a time.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.config.limits import PERMITS_MAX
from tidegate.config.limits import Limit as Settings
from tidegate.errors import GatewayError
from tidegate.limits.fleet.allowance import PermitAllowance, pause_ms
from tidegate.limits.fleet.exact import PermitTicket, Verdict
from tidegate.limits.fleet.lender import ANSWER_S, CLOSED_MS, LOOK_S, LenderCounts
from tidegate.limits.fleet.loans import PermitLoan, PermitQuestion, ask_for_permits
from tidegate.limits.fleet.nodes import Nodes
from tidegate.limits.fleet.paper import Paper
from tidegate.memory.grants import FORGOTTEN_MS, HELD_MS, GrantTable
from tidegate.memory.inflight import PermitTable, waiting_fingerprint
from tidegate.memory.leases import ASKED_MS
from tidegate.process import tasks
from tidegate.redis.errors import ReplyError

if TYPE_CHECKING:
    from tidegate.redis.link import Link

__all__ = ["PermitLender"]

RENEW_MS: Final = 1000
"""How often the store is told what is under way, in milliseconds; with each look where there is less than is wanted."""

OWN_MS: Final = 2000
"""How long what a machine allows itself holds, in milliseconds: until the store has been asked again."""

RETURN_S: Final = 0.005
"""How long what is not needed is gathered before it goes back, in seconds, with ``mode = "exact"``."""

REFUSED_MS: Final = 3
"""How long a store that has none left is not asked again with ``mode = "exact"``: until all who wait have seen it."""

AT_ONCE: Final = 256
"""Keys that are looked at in one go: less than a millisecond."""


@dataclass(slots=True)
class _Key:
    """A key that this worker has seen."""

    which: int
    name: str
    nodes: int = 1  # that have some of it, as the store said last
    is_short: bool = False  # there is less than is wanted: none is kept ready
    missing: int = 0  # what another has to be yielded
    missed_at: int = 0  # … which was refused it then, by the store's clock
    asking: int = 0  # requests that found somebody else's question under way


class _Count(NamedTuple):
    """What there is of a key on this machine."""

    under_way: int
    waiting: int


class PermitLender:
    """That of one limit in one worker.

    Args:
        name: The limit's.
        settings: As configured.
        allowances: By the number of what is allowed.
        table: What the store lends this machine.
        permits: What is under way here.
        link: Gives the link to the store, None while there is none.
        nodes: How many share it.
        now_ms: CLOCK_MONOTONIC in milliseconds.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        allowances: Sequence[PermitAllowance],
        table: GrantTable,
        permits: PermitTable,
        *,
        link: "Callable[[], Link | None]",
        nodes: Nodes,
        now_ms: Callable[[], int],
    ) -> None:
        self.name = name
        self.is_exact = settings.mode == "exact"
        self._policy = settings.on_store_failure
        self._patience_ms = settings.latency_cap * 1000
        self._allowances = allowances
        self._table = table
        self._permits = permits
        self._link = link
        self.nodes = nodes
        self._now_ms = now_ms
        self.counts = LenderCounts()
        self.paper = Paper()
        self.is_store_away = False
        """Whether the last question to the store failed."""
        self._only: int | None = None
        self._keys: OrderedDict[int, _Key] = OrderedDict()  # by fingerprint, in the order that they are looked at
        self._keys_max = settings.keys
        self._ended: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._return_timer: asyncio.TimerHandle | None = None

    def low(self, which: int) -> int:
        """With less than this left more is borrowed; 0: only when there is nothing."""
        return 0 if self.is_exact else self._allowances[which].low(self.nodes.count)

    def see(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Somebody has got a permit of this key: the store is to be told of it from here on."""
        self._known(which, fingerprint, fleet, tag)

    def borrow(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Asks the store for more; the caller has the mark to do so."""
        self.nodes.begin()
        one = self._known(which, fingerprint, fleet, tag)
        tasks.start(self._ask(fingerprint, one, asks=1), f"borrow of limit {self.name}")

    def ticket(self, which: int, fingerprint: int, fleet: int, tag: int) -> PermitTicket | None:
        """What the store is asked together with other limits of a request; the caller has the mark to do so."""
        one = self._known(which, fingerprint, fleet, tag)
        question = self._begin(fingerprint, one, 1)
        return None if question is None else PermitTicket(self, fingerprint, one.name, question)

    def words(self, ticket: PermitTicket) -> list[str | int]:
        """What the script of `exact` is told of it."""
        question, maximum = ticket.question, self._maximum(ticket.fingerprint)
        told = (question.node, question.turn, min(question.needed, maximum), question.wanted, FORGOTTEN_MS)
        return ["permits", question.under_way + 1, maximum, *told]

    def heard(self, ticket: PermitTicket, verdict: Verdict | None, number: int) -> None:
        """The store's answer to a ticket, which was the ``number``-th of those that were asked together."""
        one = self._keys.get(ticket.fingerprint)
        now_ms = self._now_ms()
        self.is_store_away = verdict is None
        if one is None:
            self._table.free(ticket.fingerprint, now_ms)
        elif verdict is None:
            self._allow_oneself(ticket.fingerprint, one)
        elif verdict.refused < 0:
            lent, nodes = verdict.parts[number]
            self._heard(ticket.fingerprint, one, ticket.question, PermitLoan(lent, nodes, 0, 0))
        elif verdict.refused == number:
            self._table.close(ticket.fingerprint, now_ms, now_ms + REFUSED_MS)
        else:
            self._table.free(ticket.fingerprint, now_ms)

    def wait(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Somebody waits for a question that is under way: the next one asks for him as well."""
        self._known(which, fingerprint, fleet, tag).asking += 1

    def decide(self, which: int, fingerprint: int, fleet: int, tag: int) -> None:
        """Somebody has waited as long as he may: if that was for the store, the machine decides alone."""
        one = self._known(which, fingerprint, fleet, tag)
        now_ms = self._now_ms()
        until_ms = self._table.asked(fingerprint, now_ms)
        if self.is_store_away or (until_ms and now_ms - (until_ms - ASKED_MS) >= self._patience_ms):
            self._allow_oneself(fingerprint, one)

    def ended(self, fingerprint: int) -> None:
        """A permit has ended. With ``mode = "exact"`` the store is told at once, of all that end together."""
        self._ended.add(fingerprint)
        if self._return_timer is None:
            self._return_timer = asyncio.get_running_loop().call_later(RETURN_S, self._give_back)

    def begin(self, only: tuple[int, int, int] | None, before: "PermitLender | None") -> None:
        """Its snapshot has become active.

        Args:
            only: Fingerprints of the one key of a limit without `key`, here and in the store, and of what it is kept
                together with there: any worker tells of it, whichever has used it.
            before: The lender of the limit in the snapshot before, which looks after its keys no more.
        """
        if before is not None:
            for fingerprint, one in before.hand_over().items():
                which = one.which if one.which < len(self._allowances) else 0
                self._keys.setdefault(fingerprint, _Key(which, one.name, one.nodes))
        if only is not None:
            self._only = only[0]
            self._known(0, *only)
        if self._keys:
            self._look_later()

    def retire(self) -> None:
        """Its snapshot is not active any more: it looks after what is under way, and then ends."""
        self._only = None

    def hand_over(self) -> dict[int, _Key]:
        """The keys that the lender of the next snapshot looks after from here on."""
        self.retire()
        keys = dict(self._keys)
        self._keys.clear()
        return keys

    def close(self) -> None:
        """Tells the store nothing any more: it forgets this machine, unless another worker tells it."""
        for timer in (self._timer, self._return_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._return_timer = None

    def _maximum(self, fingerprint: int) -> int:
        one = self._keys.get(fingerprint)
        return 0 if one is None else self._allowances[one.which].maximum

    def _known(self, which: int, fingerprint: int, fleet: int, tag: int) -> _Key:
        one = self._keys.get(fingerprint)
        if one is None:
            name = f"tidegate:{{{fleet:016x}}}:{self.name}"
            if self.is_exact:  # in one slot with what it is asked together with
                name = f"tidegate:{{{tag:016x}}}:{self.name}:{fleet:016x}"
            one = self._keys[fingerprint] = _Key(which, name)
            if len(self._keys) > self._keys_max:
                self._keys.popitem(last=False)
            self._look_later()
        one.which = which
        return one

    def _count(self, fingerprint: int) -> _Count:
        counts = self._permits.counts
        return _Count(sum(counts(fingerprint)), sum(counts(waiting_fingerprint(fingerprint))))

    # -- questions ----------------------------------------------------------------------------------------------------

    def _begin(self, fingerprint: int, one: _Key, asks: int) -> PermitQuestion | None:
        """A question that lowers what there is to what it asks for; None: there is no room for it."""
        allowance = self._allowances[one.which]
        began_ms = self._now_ms()
        had, _ = self._table.lent(fingerprint, began_ms)
        under_way, waiting = self._count(fingerprint)
        needed = under_way + waiting + (one.asking + 1 if asks else 0)
        one.asking = 0
        wanted = self._wanted(one, allowance, needed, had)
        turn = self._table.begin(fingerprint, began_ms, wanted)
        if turn < 0:
            self._table.free(fingerprint, began_ms)
            return None
        return PermitQuestion(
            node=self.nodes.name,
            began_ms=began_ms,
            turn=turn,
            had=had,
            under_way=self._count(fingerprint).under_way,  # now that no more are given out than it asks for
            needed=needed,
            wanted=wanted,
        )

    async def _ask(self, fingerprint: int, one: _Key, asks: int = 0) -> None:
        """Tells the store what is under way, and has it lend what is needed; ``asks``: 1 if somebody needs more."""
        question = self._begin(fingerprint, one, asks)
        if question is None:
            return
        allowance = self._allowances[one.which]
        link = self._link()
        loan = None
        self.counts.asked += 1
        if link is not None:
            with contextlib.suppress(GatewayError, ReplyError):
                loan = await ask_for_permits(link.control.within(ANSWER_S), one.name, allowance, question)
        self.is_store_away = loan is None
        if loan is None:
            self.counts.failed += 1
            self._allow_oneself(fingerprint, one)
        else:
            self._heard(fingerprint, one, question, loan)

    def _wanted(self, one: _Key, allowance: PermitAllowance, needed: int, lent: int) -> int:
        missing, one.missing = one.missing, 0
        if missing:
            return allowance.yielded(needed, lent, missing, one.nodes)
        if self.is_exact or one.is_short:
            return min(needed, allowance.maximum)
        return allowance.grown(needed, lent, self.nodes.count) if needed > lent else allowance.kept(needed, lent)

    def _heard(self, fingerprint: int, one: _Key, question: PermitQuestion, loan: PermitLoan) -> None:
        one.nodes = loan.nodes
        if loan.missing and loan.missed_at != one.missed_at:
            one.missing, one.missed_at = loan.missing, loan.missed_at
        one.is_short = loan.missing > 0
        now_ms = self._now_ms()
        if loan.permits < 0 or not self._table.answer(fingerprint, question.began_ms, question.turn, loan.permits):
            return  # somebody has asked since, and has the mark
        self.counts.borrowed += max(0, loan.permits - question.had)
        self.counts.returned += max(0, question.had - loan.permits)
        if self._table.own(fingerprint, now_ms):
            self._table.allow(fingerprint, now_ms, now_ms, 0)
        if loan.permits < question.needed:
            self._table.close(fingerprint, now_ms, now_ms + (REFUSED_MS if self.is_exact else pause_ms(0)))
        else:
            self._table.free(fingerprint, now_ms)
        if self.is_exact:
            self.ended(fingerprint)  # for whoever has left meanwhile
        if one.missing and loan.permits > self._allowances[one.which].share(one.nodes):
            self._tell(fingerprint, one, now_ms)

    def _tell(self, fingerprint: int, one: _Key, now_ms: int) -> bool:
        """Asks for nothing new, unless somebody asks anyway; whether it does."""
        if not self._table.ask(fingerprint, now_ms, now_ms + ASKED_MS, 0):
            return False
        tasks.start(self._ask(fingerprint, one), f"renew permits of limit {self.name}")
        return True

    def _allow_oneself(self, fingerprint: int, one: _Key) -> None:
        """What the machine may have under way without the store, as ``on_store_failure`` says."""
        now_ms = self._now_ms()
        allowance = self._allowances[one.which]
        if self._policy != "deny" and allowance.count:
            permits = PERMITS_MAX if self._policy == "allow" else allowance.share(self.nodes.count)
            self.counts.self_lent += max(0, permits - self._table.maximum(fingerprint, now_ms, allowance.maximum))
            self._table.allow(fingerprint, now_ms, now_ms + OWN_MS, permits)
        # What there is is used without a question; for more the store is asked again in a moment.
        self._table.close(fingerprint, now_ms, now_ms + CLOSED_MS)

    # -- from time to time --------------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._timer is None:
            often = max(1, len(self._keys) // AT_ONCE)
            self._timer = asyncio.get_running_loop().call_later(LOOK_S / often, self._look)

    def _look(self) -> None:
        """Has the store told of keys that nobody has told it of lately."""
        self._timer = None
        now_ms = self._now_ms()
        for fingerprint in list(islice(self._keys, AT_ONCE)):
            one = self._keys[fingerprint]
            self._keys.move_to_end(fingerprint)
            lent, until_ms = self._table.lent(fingerprint, now_ms)
            under_way, waiting = self._count(fingerprint)
            if not (lent or under_way or waiting or self._table.own(fingerprint, now_ms)):
                if fingerprint != self._only:
                    del self._keys[fingerprint]
            elif waiting or one.is_short or now_ms >= until_ms - HELD_MS + RENEW_MS:
                self._tell(fingerprint, one, now_ms)
        if self._keys:
            self._look_later()

    def _give_back(self) -> None:
        self._return_timer = None
        now_ms = self._now_ms()
        for fingerprint in list(self._ended):
            one = self._keys.get(fingerprint)
            lent = self._table.lent(fingerprint, now_ms)[0]
            has_more = one is not None and lent > self._count(fingerprint).under_way
            if one is None or not has_more or self._tell(fingerprint, one, now_ms):
                self._ended.discard(fingerprint)
        if self._ended:
            self._return_timer = asyncio.get_running_loop().call_later(RETURN_S, self._give_back)

    def __repr__(self) -> str:
        away = ", its store is away" if self.is_store_away else ""
        return f"<PermitLender of {self.name}: {self.counts}, {len(self._keys)} keys{away}>"
