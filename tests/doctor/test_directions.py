from dataclasses import replace

from tests.doctor.patients import patient, running

from tidegate.doctor.directions import Direction, compare_directions, judge_directions
from tidegate.doctor.finding import Unseen
from tidegate.doctor.running import RunningUpstream
from tidegate.doctor.sockets import Connection

ORDERS, STORE, REDIS = ("10.0.0.5", 9001), ("10.0.0.6", 9002), ("10.0.0.9", 6379)
PEERS = {ORDERS: "upstream orders", STORE: "upstream store", REDIS: "redis main"}
HERE = "10.0.0.1"


def connection(peer, port=40_000, **facts):
    return Connection((HERE, port), peer, "established", **{"rtt_s": 0.001, "segments_out": 1000, **facts})


def client(**facts):
    return Connection((HERE, 8080), ("192.0.2.7", 50_000), "established", **{"rtt_s": 0.02, **facts})


def compare(now, before=(), **facts):
    given = patient(connections=tuple(now), earlier_connections=tuple(before), **facts)
    return {one.name: one for one in compare_directions(given, PEERS, [8080])}


def judged(*directions):
    return list(judge_directions(directions))


def test_each_connection_belongs_to_its_direction():
    elsewhere = Connection((HERE, 22), ("192.0.2.9", 5), "established")
    found = compare([connection(ORDERS), connection(ORDERS, 40_001, rtt_s=0.003), client(), elsewhere])
    assert {name: one.connections for name, one in found.items()} == {
        "upstream orders": 2, "upstream store": 0, "redis main": 0, "clients": 1,
    }  # fmt: skip
    assert found["upstream orders"].rtt_s == 0.002
    assert found["upstream store"].rtt_s is None
    assert not any(one.is_failing for one in found.values())


def test_only_what_grew_between_the_looks_counts():
    before = connection(ORDERS, retransmits=500, segments_out=1000)
    now = replace(before, retransmits=502, segments_out=1900)
    found = compare([now], [before])["upstream orders"]
    assert (found.segments, found.retransmits) == (900, 2)
    another = replace(before, retransmits=1, segments_out=10)
    found = compare([another], [before])["upstream orders"]
    assert (found.segments, found.retransmits) == (10, 1), "the port was used again"


def test_a_direction_fails_by_loss_by_silence_or_by_what_the_gateway_counted():
    lossy = connection(ORDERS, retransmits=40)
    assert compare([lossy])["upstream orders"].is_failing
    silent = Connection((HERE, 1), STORE, "syn-sent", retransmits=1)
    assert compare([silent])["upstream store"].is_failing
    dialling = Connection((HERE, 1), STORE, "syn-sent")
    assert not compare([dialling])["upstream store"].is_failing
    then = running(upstreams={"orders": RunningUpstream(exchanges_total=100)})
    now = running(upstreams={"orders": RunningUpstream(exchanges_total=110, failures_total=8)})
    found = compare([], running=now, earlier_running=then)["upstream orders"]
    assert (found.failures, found.exchanges, found.is_failing) == (8, 10, True)


def direction(name, *, fails=False):
    return Direction(name=name, connections=3, is_local=False, rtt_s=0.001, unanswered=2 * fails)


def test_unrelated_directions_that_fail_at_once_have_this_machine_in_common():
    (one,) = judged(direction("clients", fails=True), direction("redis main", fails=True), direction("upstream a"))
    assert (one.subject, one.severity) == ("this machine", "serious")
    assert one.seen.startswith("2 of 3 directions fail at once (clients: 3 connections")


def test_one_that_fails_alone_is_that_peer():
    (one,) = judged(direction("clients"), direction("redis main", fails=True), direction("upstream a"))
    assert one.subject == "redis main" and "other 2 directions do not fail" in one.seen
    few_of_many = [direction(f"upstream {index}", fails=index < 2) for index in range(6)]
    assert [one.subject for one in judged(*few_of_many)] == ["upstream 0", "upstream 1"]


def test_all_well_says_nothing_and_nobody_there_is_said():
    assert judged(direction("clients"), direction("redis main")) == []
    (one,) = judged(Direction(name="clients", connections=0, is_local=False))
    assert isinstance(one, Unseen)


def test_a_direction_on_this_machine_is_told_as_such():
    local = Connection(("127.0.0.1", 40_000), ("127.0.0.1", 9), "established", rtt_s=0.0001)
    given = patient(connections=(local,), earlier_connections=())
    (found,) = compare_directions(given, {("127.0.0.1", 9): "redis main"}, [])
    assert str(found) == ("redis main: 1 connections, round trip 0.10 ms, 0 of 0 segments sent again (on this machine)")
