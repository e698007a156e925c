"""Whose fault it is, from one second of everybody's failures."""

import pytest
from tests.observe.samples import sample, upstream, worker

from tidegate.observe.suspicion import Suspicion, evidence_of


def evidence(*upstreams, clients=(0, 0), **changed):
    return evidence_of(
        sample(worker(clients_asked=clients[0], clients_failing=clients[1]), upstreams=upstreams, **changed)
    )


@pytest.mark.parametrize(
    ("upstreams", "clients", "is_against_us"),
    [
        ([], (0, 0), False),
        ([upstream("a", 4, 4), upstream("b", 4, 4)], (0, 0), True),
        ([upstream("a", 4, 2), upstream("b", 4, 2)], (0, 0), True),  # half is enough
        ([upstream("a", 4, 2), upstream("b", 5, 2)], (0, 0), False),  # and less is not
        ([upstream("a", 1, 1), upstream("b", 2, 2)], (0, 0), False),  # three could be chance
        ([upstream("a", 30, 30)], (0, 0), False),  # one upstream may die as a whole
        ([upstream("a", 30, 30), upstream("b", 1, 0)], (0, 0), False),
        ([upstream("a", 3, 3)], (10, 8), True),  # an upstream and the clients
        ([upstream("a", 3, 3)], (1000, 8), False),
        ([upstream("a", 3, 0)], (10, 10), False),  # all clients hung up on, and nobody else
    ],
)
def test_half_of_unrelated_peers_speak_against_us(upstreams, clients, is_against_us):
    assert evidence(*upstreams, clients=clients).is_against_us is is_against_us


def test_what_is_said_names_the_worst_and_our_own_part():
    found = evidence_of(
        sample(
            worker(loop_lag_s=0.12, clients_asked=3, clients_failing=1),
            worker(1, clients_asked=2),
            upstreams=(upstream("store", 2, 2), upstream("orders", 4, 4), upstream("calm", 9, 0)),
            link_share=0.98,
            retransmit_share=0.105,
        )
    )
    assert str(found) == (
        "7 of 20 peers failed within a second (orders 4/4, store 2/2, clients 1/5); "
        "own loop lag 120 ms, link 98%, segments sent again 10.5%"
    )
    assert "link unknown" in str(evidence())


def test_it_begins_at_once_is_said_once_and_ends_after_three_calm_seconds():
    against, calm = evidence(upstream("a", 4, 4), upstream("b", 1, 1)), evidence(upstream("a", 4, 0))
    suspicion = Suspicion()
    assert suspicion.judge(0.0, calm) is None
    assert suspicion.judge(1.0, against) is True
    assert [suspicion.judge(now_s, against) for now_s in (2.0, 3.0)] == [None, None]
    assert suspicion.judge(4.0, calm) is None
    assert suspicion.judge(5.0, against) is None  # it was not over
    assert [suspicion.judge(now_s, calm) for now_s in (6.0, 7.0)] == [None, None]
    assert suspicion.is_on
    assert suspicion.judge(8.0, calm) is False
    assert not suspicion.is_on
    assert suspicion.judge(9.0, calm) is None
