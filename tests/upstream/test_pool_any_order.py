"""Pools under any order of things: nothing reaches anybody else, nothing is lost or double, nobody overtakes."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.config.upstreams import Pool as Bounds
from tidegate.upstream import probe
from tidegate.upstream.peer import Peer
from tidegate.upstream.pool import Pool
from tidegate.upstream.probe import ProbeConnection, ProbeWaiter
from tidegate.upstream.tls import TlsSettings

HERE = Peer("10.0.0.5", 9001)
# Every one differs from HERE in one field only.
PEERS = [
    HERE,
    Peer("10.0.0.5", 9002),
    Peer("orders", 9001, "10.0.0.5"),
    Peer("10.0.0.5", 9001, source_address="10.0.0.1"),
    Peer("10.0.0.5", 9001, tls=TlsSettings(name="10.0.0.5")),
    Peer("unix:/run/orders.sock"),
]


THEN = ["keep", "end at once", "fail at once", "ask again"]
HAPPENS = ["server sends", "server closes", "peer is another"]
BOUNDS = st.builds(
    Bounds,
    max=st.integers(1, 3),
    idle=st.integers(0, 3),
    wait=st.integers(0, 4),
    wait_timeout=st.just(0.02),
    idle_timeout=st.just(0.03),
    max_age=st.sampled_from([None, 0.05]),
    max_requests=st.sampled_from([None, 2]),
)


class PoolMachine(RuleBasedStateMachine):
    """Two pools whose peers differ in a field or two, and exchanges that do what they like."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.peers: list[Peer] = []
        self.pools: dict[Peer, Pool] = {}
        self.places: dict[Peer, int] = {}
        self.lent: list[tuple[Pool, ProbeConnection]] = []
        self.alive: dict[ProbeConnection, Pool] = {}
        self.queues: dict[Peer, list[ProbeWaiter]] = {}
        self.deadlines: dict[ProbeWaiter, int] = {}
        self.is_expiring = False
        self.faults: list[AssertionError] = []

    @initialize(pair=st.lists(st.sampled_from(PEERS), min_size=2, max_size=2, unique=True), bounds=BOUNDS)
    def make(self, pair: list[Peer], bounds: Bounds) -> None:
        self.peers = pair
        for peer in pair:
            self.pools[peer] = Pool(peer, bounds)
            self.places[peer] = 0
            self.queues[peer] = []

    # what the model knows

    def handed_out(self, pool: Pool, connection: ProbeConnection) -> None:
        assert connection.peer == pool.peer, "somebody else's connection"
        assert self.alive.get(connection) is pool, "a closed connection, or one of another pool"
        assert all(connection is not other for _, other in self.lent), "lent twice"
        assert connection.is_fit and not connection.closed
        self.lent.append((pool, connection))

    def take(self, index: int) -> tuple[Pool, ProbeConnection]:
        return self.lent.pop(index % len(self.lent))

    def closed(self, connection: ProbeConnection) -> None:
        if self.alive.pop(connection, None) is None:
            self.faults.append(AssertionError("closed twice"))
        if any(connection is other for _, other in self.lent):
            self.faults.append(AssertionError("closed while it was lent"))

    def new_connection(self, pool: Pool) -> None:
        connection = ProbeConnection()
        connection.on_discard = self.closed
        self.alive[connection] = pool
        self.places[pool.peer] -= 1
        probe.adopt(pool, connection, self.now_ms)
        self.handed_out(pool, connection)

    def waiter(self, pool: Pool, then: str) -> ProbeWaiter:
        def ended(waiter: ProbeWaiter, outcome: ProbeConnection | str) -> None:
            assert len(waiter.outcomes) == 1, "a wait ended twice"
            assert self.queues[pool.peer].pop(0) is waiter, "somebody overtook"
            if outcome == "timeout":
                assert self.is_expiring and self.deadlines[waiter] <= self.now_ms
                return
            if isinstance(outcome, ProbeConnection):
                self.handed_out(pool, outcome)
                if then == "end at once":
                    self.lent.pop()
                    probe.give_back(pool, outcome, self.now_ms)
                elif then == "fail at once":
                    self.lent.pop()
                    del self.alive[outcome]
                    probe.forget(pool, outcome, self.now_ms)
            else:
                assert outcome == "dial"
                self.places[pool.peer] += 1
                if then == "end at once":
                    self.new_connection(pool)
                elif then == "fail at once":
                    self.places[pool.peer] -= 1
                    probe.dial_failed(pool, self.now_ms)
            if then == "ask again" or (then == "end at once" and pool.waiting):
                self.ask(pool, "keep")

        def noted(waiter: ProbeWaiter, outcome: ProbeConnection | str) -> None:
            # A pool survives what its callbacks raise, so what goes wrong in one has to be kept.
            try:
                ended(waiter, outcome)
            except AssertionError as fault:
                self.faults.append(fault)

        return ProbeWaiter(noted)

    def ask(self, pool: Pool, then: str) -> None:
        open_before = pool.open
        decision, connection = probe.decide(pool, pool.peer, self.now_ms)
        if decision == "reuse":
            assert connection is not None
            self.handed_out(pool, connection)
        elif decision == "dial":
            assert open_before < pool.max_open or pool.open <= pool.max_open
            assert pool.waiting == 0, "a newcomer overtook"
            self.places[pool.peer] += 1
        elif decision == "wait":
            waiter = self.waiter(pool, then)
            self.queues[pool.peer].append(waiter)
            self.deadlines[waiter] = self.now_ms + 20
            probe.wait(pool, waiter, self.now_ms)
        else:
            assert decision == "full"
            assert pool.waiting >= pool.max_waiting and pool.open >= pool.max_open

    # what may happen

    @rule(which=st.integers(0, 1), then=st.sampled_from(THEN))
    def somebody_asks(self, which: int, then: str) -> None:
        self.ask(self.pools[self.peers[which]], then)

    @rule(which=st.integers(0, 1))
    def somebody_asks_the_wrong_pool(self, which: int) -> None:
        pool = self.pools[self.peers[which]]
        before = (pool.open, pool.idle, pool.waiting)
        assert probe.decide(pool, self.peers[1 - which], self.now_ms) == ("crossed", None)
        assert (pool.open, pool.idle, pool.waiting) == before

    @precondition(lambda self: any(self.places.values()))
    @rule(index=st.integers(0, 100), works=st.booleans())
    def a_dial_ends(self, index: int, works: bool) -> None:
        peers = [peer for peer, count in self.places.items() if count]
        pool = self.pools[peers[index % len(peers)]]
        if works:
            self.new_connection(pool)
        else:
            self.places[pool.peer] -= 1
            probe.dial_failed(pool, self.now_ms)

    @precondition(lambda self: self.lent)
    @rule(index=st.integers(0, 100), is_fit=st.booleans())
    def an_exchange_ends(self, index: int, is_fit: bool) -> None:
        pool, connection = self.take(index)
        connection.is_fit = is_fit
        probe.give_back(pool, connection, self.now_ms)

    @precondition(lambda self: self.lent)
    @rule(index=st.integers(0, 100))
    def an_exchange_is_cut_short(self, index: int) -> None:
        pool, connection = self.take(index)
        del self.alive[connection]
        probe.forget(pool, connection, self.now_ms)

    @precondition(lambda self: self.lent)
    @rule(index=st.integers(0, 100))
    def a_connection_is_given_to_the_wrong_pool(self, index: int) -> None:
        pool, connection = self.take(index)
        (wrong,) = (other for other in self.pools.values() if other is not pool)
        probe.give_back(wrong, connection, self.now_ms)
        assert connection.closed == 1 and connection not in self.alive

    @precondition(lambda self: self.lent)
    @rule(index=st.integers(0, 100))
    def the_wrong_pool_is_told_of_a_close(self, index: int) -> None:
        pool, connection = self.lent[index % len(self.lent)]
        (wrong,) = (other for other in self.pools.values() if other is not pool)
        probe.forget(wrong, connection, self.now_ms)

    @precondition(lambda self: any(pool.idle for pool in self.pools.values()))
    @rule(index=st.integers(0, 100), what=st.sampled_from(HAPPENS))
    def something_happens_to_an_idle_connection(self, index: int, what: str) -> None:
        pools = [pool for pool in self.pools.values() if pool.idle]
        pool = pools[index % len(pools)]
        idle = probe.idle_connections(pool)
        connection = idle[index % len(idle)]
        if what == "server closes":
            del self.alive[connection]
            probe.forget(pool, connection, self.now_ms)
        elif what == "server sends":
            connection.is_fit = False
        else:
            connection.pretend_peer(next(peer for peer in self.peers if peer != pool.peer))

    @precondition(lambda self: any(self.queues.values()))
    @rule(index=st.integers(0, 100))
    def somebody_gives_up(self, index: int) -> None:
        peers = [peer for peer, queue in self.queues.items() if queue]
        peer = peers[index % len(peers)]
        waiter = self.queues[peer].pop(index % len(self.queues[peer]))
        probe.leave(self.pools[peer], waiter)
        assert waiter.outcomes == []

    @rule(passed_ms=st.integers(1, 40))
    def time_passes(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.is_expiring = True
        for pool in self.pools.values():
            probe.expire(pool, self.now_ms)
        self.is_expiring = False
        for queue in self.queues.values():
            assert all(self.deadlines[waiter] > self.now_ms for waiter in queue), "a wait outlived its time-out"

    # what always holds

    @invariant()
    def nothing_is_lost_or_double(self) -> None:
        assert not self.faults
        for peer, pool in self.pools.items():
            mine = [connection for connection, owner in self.alive.items() if owner is pool]
            idle = probe.idle_connections(pool)
            lent = [connection for owner, connection in self.lent if owner is pool]
            assert set(mine) == set(idle) | set(lent) and len(mine) == len(idle) + len(lent)
            assert pool.idle == len(idle) <= max(pool.max_idle, 0)
            assert pool.dialling == self.places[peer]
            assert pool.open == len(mine) + self.places[peer] <= pool.max_open
            assert probe.waiters(pool) == self.queues[peer]
            assert pool.waiting == len(self.queues[peer]) <= pool.max_waiting
            # Nobody waits while there is something to have.
            assert not pool.waiting or (pool.open == pool.max_open and not pool.idle)


PoolMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=60)
TestAnyOrder = PoolMachine.TestCase


@pytest.mark.parametrize("seed", range(20))
def test_any_order_for_a_long_time(seed: int) -> None:
    """The same rules without the library's bookkeeping: it finds the short failures, this one the deep ones."""
    chance = random.Random(seed)
    machine = PoolMachine()
    machine.make(
        chance.sample(PEERS, 2),
        Bounds(
            max=chance.randint(1, 3),
            idle=chance.randint(1, 3),
            wait=chance.randint(0, 6),
            wait_timeout=0.02,
            idle_timeout=0.03,
            max_age=chance.choice([None, 0.05]),
            max_requests=chance.choice([None, 2, 5]),
        ),
    )
    for _ in range(3000):
        step = chance.randrange(100)
        if step < 35:
            machine.somebody_asks(chance.randrange(2), chance.choice(THEN))
        elif step < 38:
            machine.somebody_asks_the_wrong_pool(chance.randrange(2))
        elif step < 55:
            if any(machine.places.values()):
                machine.a_dial_ends(chance.randrange(100), chance.random() < 0.8)
        elif step < 85:
            if machine.lent and step < 79:
                machine.an_exchange_ends(chance.randrange(100), chance.random() < 0.9)
            elif machine.lent:
                cut = [
                    machine.an_exchange_is_cut_short,
                    machine.a_connection_is_given_to_the_wrong_pool,
                    machine.the_wrong_pool_is_told_of_a_close,
                ]
                cut[step % 3](chance.randrange(100))
        elif step < 91:
            if any(pool.idle for pool in machine.pools.values()):
                machine.something_happens_to_an_idle_connection(chance.randrange(100), chance.choice(HAPPENS))
        elif step < 94:
            if any(machine.queues.values()):
                machine.somebody_gives_up(chance.randrange(100))
        else:
            machine.time_passes(chance.randint(1, 12))
        machine.nothing_is_lost_or_double()
    assert sum(pool.reused for pool in machine.pools.values()) > 100, "this walk went nowhere"
