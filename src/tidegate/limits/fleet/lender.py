"""Borrows what a machine needs of a fleet's limit, and decides when the store cannot.

- Who finds that a key has too little left asks for more, unless another worker of the machine does; its mark ends by
  itself (``memory.leases``), so that nobody waits for one that was stopped or died.
- What was not used when its epoch ends is given back with the next look, a quarter of a second later at most.
- When the store is away, or has not answered within a request's ``latency_cap``, the machine lends to itself, as
  ``on_store_failure`` says. What was used of that is told to the store when it answers again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tidegate.config.limits import Limit as Settings
from tidegate.errors import GatewayError
from tidegate.limits.fleet.allowance import QuotaAllowance, RateAllowance, pause_ms
from tidegate.limits.fleet.exact import PermitTicket, Ticket, Verdict, ask_for_all
from tidegate.limits.fleet.loans import Loan, Question, ask
from tidegate.limits.fleet.nodes import Nodes
from tidegate.limits.fleet.paper import Paper
from tidegate.memory.leases import EPOCH_MS, LeaseTable
from tidegate.process import tasks
from tidegate.redis.errors import ReplyError

if TYPE_CHECKING:
    from tidegate.redis.link import Link

__all__ = ["ANSWER_S", "Lender", "LenderCounts"]

ANSWER_S: Final = 0.4
"""How long an answer of the store is waited for, in seconds: what comes later would hardly be of use."""

LOOK_S: Final = 0.25
"""How often is looked for what was not used, in seconds."""

UNLIMITED: Final = 1 << 30
"""Credits that a machine lends itself for a second with ``on_store_failure = "allow"``."""

CLOSED_MS: Final = 100
"""How long a key is refused without a question when the store is away, in milliseconds, with "deny"."""

LONGEST_CLOSED_S: Final = 1.0
"""How long at most a store that is away is not asked again for a key that has used its share, in seconds."""

DRAWS: Final = 4
"""In how many parts a machine lends itself its share: what is not used of one lapses with its epoch."""

AT_ONCE: Final = 256
"""Keys that the store is told of at a time."""


@dataclass(slots=True)
class _Epoch:
    """What this worker has put into the table for a key in one epoch."""

    key: str
    which: int
    own: int = 0  # of it the machine lent to itself
    window: int = 0  # of a quota: the latest of which there is something


@dataclass(slots=True)
class _Owed:
    """What the store does not know yet of a key: credits that were not used, or let in without it."""

    which: int
    fingerprint: int
    since_ms: int
    returned: int = 0
    used: int = 0
    window: int = 0  # that what is returned is of


@dataclass(slots=True)
class LenderCounts:
    """What a lender did: questions to the store, those that failed; credits borrowed, given back, lent to itself."""

    asked: int = 0
    failed: int = 0
    borrowed: int = 0
    returned: int = 0
    self_lent: int = 0


class Lender:
    """That of one limit in one worker.

    Args:
        name: The limit's.
        settings: As configured.
        allowances: By the number of what is allowed.
        table: Where credits are.
        link: Gives the link to the store, None while there is none.
        nodes: How many share it.
        now_ms: CLOCK_MONOTONIC in milliseconds.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        allowances: Sequence[RateAllowance | QuotaAllowance],
        table: LeaseTable,
        *,
        link: "Callable[[], Link | None]",
        nodes: Nodes,
        now_ms: Callable[[], int],
    ) -> None:
        self.name = name
        self._policy = settings.on_store_failure
        self._is_exact = settings.mode == "exact"
        self._allowances = allowances
        self._windows = f":{allowances[0].counted_in}" if isinstance(allowances[0], QuotaAllowance) else ""
        self._table = table
        self._link = link
        self.nodes = nodes
        self._now_ms = now_ms
        self.counts = LenderCounts()
        self.paper = Paper()
        self.is_store_away = False
        """Whether the last question to the store failed."""
        self._epochs: dict[tuple[int, int], _Epoch] = {}  # by epoch and fingerprint, in the order of epochs
        self._owed: dict[str, _Owed] = {}
        self._owed_max = settings.keys
        self._timer: asyncio.TimerHandle | None = None

    def low(self, which: int) -> int:
        """With less than this left of the current epoch more is borrowed; 0: only for who is there."""
        return 0 if self._is_exact else self._allowances[which].low(self.nodes.count)

    def borrow(self, which: int, fingerprint: int, fleet: int, least: int) -> None:
        """Asks the store for credits of a key, at least so many; the caller has the mark to do so.

        Args:
            which: Number of the allowance.
            fingerprint: Of the key, on this machine.
            fleet: Of the key, in the store.
            least: With less than this nobody is helped.
        """
        self.nodes.begin()
        tasks.start(self._borrow(which, fingerprint, self._key(fleet), least), f"borrow of limit {self.name}")

    def decide(self, which: int, fingerprint: int, fleet: int, cost: int) -> None:
        """Somebody has waited for the store as long as he may: the machine lends to itself, or refuses."""
        self._lend_to_oneself(which, fingerprint, self._key(fleet), cost)

    def spend(self, which: int, lease: int, fleet: int, tag: int, cost: int) -> None:
        """So much was served that nobody had credits for: the store is told, whatever room there is."""
        key = self._key_of_all(fleet, tag) if self._is_exact else self._key(fleet)
        self._owe(lease, key, which, used=cost, since_ms=self._now_ms())

    def allowance(self, which: int) -> RateAllowance | QuotaAllowance:
        """What number ``which`` of the limit allows."""
        return self._allowances[which]

    def ticket(self, which: int, lease: int, fleet: int, tag: int, cost: int) -> Ticket:
        """What this limit is asked for one request; keys of one ``tag`` are together in the store."""
        return Ticket(self, which, lease, fleet, self._key_of_all(fleet, tag), cost)

    def words(self, ticket: Ticket, now_ms: int) -> list[str | int]:
        """What the script of `exact` is told of it."""
        allowance = self._allowances[ticket.which]
        if isinstance(allowance, RateAllowance):
            return ["rate", ticket.cost, repr(allowance.interval_us), allowance.burst_and_one, 0, 0, 0, 0]
        held, until_ms = self._table.held(ticket.fleet, now_ms)
        quota = (allowance.maximum, allowance.period_ms, allowance.window, self.nodes.name)
        return ["quota", ticket.cost, *quota, held, until_ms - now_ms]

    def take_all(self, tickets: list[Ticket | PermitTicket]) -> None:
        """Asks the store for what all these want together."""
        self.nodes.begin()
        tasks.start(self._take_all(tickets), f"take of limit {self.name}")

    def take_on_paper(self, ticket: Ticket) -> None:
        """Asks the store for a request that has passed: what it says is counted, and nobody is refused."""
        self.nodes.begin()
        tasks.start(self._take_on_paper(ticket), f"dry run of limit {self.name}")

    def decide_ticket(self, ticket: Ticket) -> None:
        """What a request may use without the store, as ``on_store_failure`` says; it has waited as long as it may."""
        now_ms = self._now_ms()
        if any(self._table.credits(ticket.lease, now_ms)):
            return  # somebody has decided already
        lent, until_ms = ticket.cost, now_ms + CLOSED_MS
        if self._policy == "deny" or not self._allowances[ticket.which].count:
            lent = 0
        elif self._policy == "share":
            most, window_ms = self._allowances[ticket.which].share(self.nodes.count)
            most = max(0, most - self._table.held(ticket.fleet, now_ms)[0])
            lent, until_ms = self._table.share(ticket.fleet, now_ms, now_ms + window_ms, ticket.cost, most)
        if lent == ticket.cost:
            self.counts.self_lent += lent
            self._put(ticket.which, ticket.lease, ticket.key, now_ms // EPOCH_MS, lent, own=lent)
        else:
            self._close(ticket.lease, now_ms, until_ms - now_ms)

    def close(self) -> None:
        """Gives nothing back any more; what is lent lapses."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _key_of_all(self, fleet: int, tag: int) -> str:
        """Of a key that is asked as one with others, with which it is kept together."""
        return f"tidegate:{{{tag:016x}}}:{self.name}:{fleet:016x}{self._windows}"

    def _key(self, fleet: int) -> str:
        return f"tidegate:{{{fleet:016x}}}:{self.name}{self._windows}"

    async def _borrow(self, which: int, fingerprint: int, key: str, least: int) -> None:
        allowance = self._allowances[which]
        if not allowance.count:
            self._close(fingerprint, self._now_ms(), pause_ms(1 << 30))
            return
        epoch = self._now_ms() // EPOCH_MS  # before it asks: so nothing is of use for longer than it may be
        wanted = max(least, allowance.chunk(self.nodes.count))
        loan = await self._ask(fingerprint, key, which, least, wanted)
        now_ms = self._now_ms()
        if loan is None:
            self._lend_to_oneself(which, fingerprint, key, least)
            return
        lent = loan.credits
        self.counts.borrowed += lent
        if lent:
            self._put(which, fingerprint, key, epoch, lent, window=loan.window)
        if lent < wanted and (lent == 0 or loan.told_ms):
            # Without as much as was needed there may be enough for who needs less.
            self._close(fingerprint, now_ms, pause_ms(loan.told_ms), least if lent == 0 else 1)
        else:
            self._table.free(fingerprint, now_ms)

    async def _ask(self, fingerprint: int, key: str, which: int, least: int, wanted: int) -> Loan | None:
        """One step on a key's bucket, with what the store is to be told; None: it is away."""
        allowance = self._allowances[which]
        owed = self._owed.pop(key, None) or _Owed(which, fingerprint, 0)
        began_ms = self._now_ms()
        held, held_until_ms = self._table.held(fingerprint, began_ms)
        question = Question(
            least=least,
            wanted=wanted,
            node=self.nodes.name,
            nodes=self.nodes.count,
            returned=owed.returned,
            used=owed.used,
            since_ms=max(0, began_ms - owed.since_ms),
            window=owed.window,
            held=held,
            held_left_ms=max(0, held_until_ms - began_ms),
        )
        link = self._link()
        self.counts.asked += 1
        if link is not None:
            try:
                loan = await ask(link.control.within(ANSWER_S), key, allowance, question)
            except (GatewayError, ReplyError):
                pass
            else:
                self.is_store_away = False
                self.counts.returned += owed.returned
                if loan.window:
                    had = loan.credits + owed.used - (owed.returned if owed.window == loan.window else 0)
                    self._table.hold(fingerprint, self._now_ms(), began_ms + loan.ends_ms, had)
                return loan
        self.counts.failed += 1
        self.is_store_away = True
        # Whether it has heard of what was returned nobody knows: to tell it twice would let in too many.
        if owed.used:
            self._owe(fingerprint, key, which, used=owed.used, since_ms=owed.since_ms)
        return None

    async def _ask_for_all(self, tickets: Sequence[Ticket | PermitTicket], began_ms: int) -> Verdict | None:
        link = self._link()
        self.counts.asked += 1
        verdict = None
        if link is not None:
            verdict = await ask_for_all(link.control.within(ANSWER_S), tickets, began_ms)
        self.is_store_away = verdict is None
        self.counts.failed += verdict is None
        return verdict

    async def _take_all(self, tickets: list[Ticket | PermitTicket]) -> None:
        began_ms = self._now_ms()
        verdict = await self._ask_for_all(tickets, began_ms)
        for number, one in enumerate(tickets):
            if isinstance(one, PermitTicket):
                one.lender.heard(one, verdict, number)
            elif verdict is None:
                one.lender.decide_ticket(one)
            elif verdict.refused < 0:
                one.lender.grant(one, began_ms, *verdict.parts[number])
            else:
                one.lender.refuse(one, verdict.told_ms if verdict.refused == number else None)

    async def _take_on_paper(self, ticket: Ticket) -> None:
        began_ms = self._now_ms()
        verdict = await self._ask_for_all([ticket], began_ms)
        if verdict is None:
            self.paper.count(self._policy != "deny")
            return
        self.paper.count(verdict.refused < 0)
        if verdict.refused < 0:
            self.counts.borrowed += ticket.cost
            window, ends_ms = verdict.parts[0]
            if window:
                self._table.hold(ticket.fleet, self._now_ms(), began_ms + ends_ms, ticket.cost)

    def refuse(self, ticket: Ticket, told_ms: int | None) -> None:
        """The store has not so much, and would in ``told_ms``; None: another limit refuses, this may be asked anew."""
        if told_ms is None:
            self._table.free(ticket.lease, self._now_ms())
        else:
            self._close(ticket.lease, self._now_ms(), told_ms)

    def grant(self, ticket: Ticket, began_ms: int, window: int, ends_ms: int) -> None:
        """The store has been asked at ``began_ms`` and has it; of a quota, in a window that ends ``ends_ms`` later."""
        self.counts.borrowed += ticket.cost
        self._put(ticket.which, ticket.lease, ticket.key, began_ms // EPOCH_MS, ticket.cost, window=window)
        if window:
            self._table.hold(ticket.fleet, self._now_ms(), began_ms + ends_ms, ticket.cost)

    def _lend_to_oneself(self, which: int, fingerprint: int, key: str, least: int) -> None:
        """What the machine may use without the store, as ``on_store_failure`` says."""
        now_ms = self._now_ms()
        if self._policy == "deny" or not self._allowances[which].count:
            self._close(fingerprint, now_ms, CLOSED_MS)
            return
        lent, until_ms = UNLIMITED, now_ms
        if self._policy == "share":
            most, window_ms = self._allowances[which].share(self.nodes.count)
            most = max(0, most - self._table.held(fingerprint, now_ms)[0])
            wanted = max(least, -(-most // DRAWS))
            lent, until_ms = self._table.share(fingerprint, now_ms, now_ms + window_ms, wanted, most)
        if lent:
            self.counts.self_lent += lent
            self._put(which, fingerprint, key, now_ms // EPOCH_MS, lent, own=lent)
            self._table.free(fingerprint, now_ms)
        else:
            self._close(fingerprint, now_ms, min(until_ms - now_ms, round(LONGEST_CLOSED_S * 1000)))

    def _put(
        self, which: int, fingerprint: int, key: str, epoch: int, lent: int, *, own: int = 0, window: int = 0
    ) -> None:
        self._table.put(fingerprint, self._now_ms(), epoch, lent)
        one = self._epochs.setdefault((epoch, fingerprint), _Epoch(key, which))
        one.own += own
        one.window = max(one.window, window)
        self._look_later()

    def _close(self, fingerprint: int, now_ms: int, for_ms: int, least: int = 1) -> None:
        self._table.close(fingerprint, now_ms, now_ms + max(1, for_ms), least)

    # -- what is over -------------------------------------------------------------------------------------------------

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Takes what was not used of epochs that are over, and tells the store."""
        self._timer = None
        now_ms = self._now_ms()
        while self._epochs:
            (epoch, fingerprint), one = next(iter(self._epochs.items()))
            if (epoch + 2) * EPOCH_MS > now_ms:
                break
            del self._epochs[epoch, fingerprint]
            # Other workers may have put credits into the same cell, of the store or their own: who comes first takes
            # all that is left, and what each then tells the store is right when it is summed.
            left = self._table.end(fingerprint, epoch) - one.own
            if left > 0:
                self._owe(fingerprint, one.key, one.which, returned=left, window=one.window)
            elif left < 0:
                self._owe(fingerprint, one.key, one.which, used=-left, since_ms=(epoch + 1) * EPOCH_MS)
        told = list(self._owed)[: 1 if self.is_store_away else AT_ONCE]
        for key in told:
            owed = self._owed[key]
            tasks.start(self._ask(owed.fingerprint, key, owed.which, 0, 0), f"settle limit {self.name}")
        if self._epochs or self._owed:
            self._look_later()

    def _owe(
        self,
        fingerprint: int,
        key: str,
        which: int,
        *,
        returned: int = 0,
        window: int = 0,
        used: int = 0,
        since_ms: int | None = None,
    ) -> None:
        owed = self._owed.get(key)
        if owed is None:
            if len(self._owed) >= self._owed_max:
                return  # more keys than the limit remembers: the store charges these nothing
            owed = self._owed[key] = _Owed(which, fingerprint, self._now_ms() if since_ms is None else since_ms)
        if returned and window > owed.window:
            owed.returned, owed.window = 0, window  # what was of a window that is over
        if window == owed.window:
            owed.returned += returned
        owed.used += used
        if since_ms is not None:
            owed.since_ms = min(owed.since_ms, since_ms)
        self._look_later()

    def __repr__(self) -> str:
        away = ", its store is away" if self.is_store_away else ""
        return f"<Lender of {self.name}: {self.counts}, {len(self._owed)} keys to tell{away}>"
