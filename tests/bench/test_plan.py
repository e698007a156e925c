"""What was asked for, and the orders that it becomes."""

import socket

import pytest
from tests.plane.harness import REFUSING

from tidegate.bench.plan import Plan, arrivals, directed, parse_url, rate_of, resolve
from tidegate.bench.recipe import Request
from tidegate.bench.schedule import Schedule


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://a.test", ("http", "a.test", 80, "/", "a.test")),
        ("https://a.test:8443/x?y=z", ("https", "a.test", 8443, "/x?y=z", "a.test:8443")),
        ("wss://[::1]/", ("wss", "::1", 443, "/", "[::1]")),
        ("ws://127.0.0.1:80/ws", ("ws", "127.0.0.1", 80, "/ws", "127.0.0.1")),
    ],
)
def test_a_url_is_taken_apart(text, found):
    target = parse_url(text)
    assert (target.scheme, target.host, target.port, target.path, target.authority) == found
    assert (target.is_tls, target.is_websocket) == (found[0] in ("https", "wss"), found[0] in ("ws", "wss"))


@pytest.mark.parametrize("text", ["a.test", "ftp://a", "http://", "http://a:99999/", "http://u:p@a/", "http://a/#b"])
def test_what_is_no_target_is_refused(text):
    with pytest.raises(ValueError, match="got"):
        parse_url(text)


def test_rates_are_read():
    assert [rate_of(text) for text in ("1000", "0.5", "90/min", "100/s", "3600/h")] == [1000, 0.5, 1.5, 100, 1]
    for wrong in ("", "x", "-1", "0", "nan", "1/d", "1e9"):
        with pytest.raises(ValueError, match="a rate is"):
            rate_of(wrong)


def test_arrivals_begin_with_the_warm_up():
    assert arrivals(10, 2, rate="50") == [(2, 50, 50), (10, 50, 50)]
    assert arrivals(10, 0, ramp="10:100/s") == [(10, 10, 100)]
    assert arrivals(9, 1, steps="1,2,3") == [(1, 1, 1), (3, 1, 1), (3, 2, 2), (3, 3, 3)]
    assert arrivals(10, 5) is None
    with pytest.raises(ValueError, match="only one of them"):
        arrivals(1, 0, rate="1", ramp="1:2")
    with pytest.raises(ValueError, match="FROM:TO"):
        arrivals(1, 0, ramp="1")


def test_processes_share_connections_and_arrivals():
    plan = Plan(target=parse_url("http://a.test/"), connections=10, processes=3, stretches=arrivals(2, 0, rate="30"))
    orders = plan.orders("10.0.0.1")
    assert [order.clients for order in orders] == [4, 3, 3]
    assert {(order.server.address, order.server.port, order.server.name) for order in orders} == {
        ("10.0.0.1", 80, "a.test")
    }
    assert {order.server.address for order in directed(orders, "::1")} == {"::1"}
    schedules = [Schedule(order.stretches, part=order.part, parts=order.parts) for order in orders]
    assert sum(len(schedule.take(100)) for schedule in schedules) == 60
    with pytest.raises(ValueError, match="want a connection each"):
        Plan(target=plan.target, connections=2, processes=3).orders("10.0.0.1")
    with pytest.raises(ValueError, match="lasts for some time"):
        Plan(target=plan.target, seconds=0).orders("10.0.0.1")


def test_keys_make_as_many_requests_as_are_prepared():
    template = [Request(path="/a/{key}"), Request(path="/b/{key}")]
    plan = Plan(target=parse_url("http://a.test/"), requests=template, keys="sequence:5", prepared=10)
    (order,) = plan.orders("10.0.0.1")
    lines = [text.split(b" ")[1] for text in order.requests]
    assert lines[:6] == [b"/a/0", b"/b/1", b"/a/2", b"/b/3", b"/a/4", b"/b/0"]
    assert len(lines) == 10


def test_a_websocket_is_opened_with_the_headers_and_sends_the_bodies():
    request = Request(path="/chat", headers={"X-Plan": "gold"}, body=b"tide")
    (order,) = Plan(target=parse_url("ws://a.test/chat"), requests=[request]).orders("10.0.0.1")
    assert order.websocket == (b"/chat", b"Host: a.test\r\nX-Plan: gold\r\n")
    assert order.requests[0][0] == 0x81
    assert len(order.requests[0]) == 2 + 4 + 4
    with pytest.raises(ValueError, match="opened once"):
        Plan(target=parse_url("ws://a.test/"), is_fresh=True).orders("10.0.0.1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "closed loop, as fast as answers come"),
        ({"stretches": [(1, 5, 5), (9, 5, 5)], "warm_up_s": 1}, "even arrivals, 5/s"),
        ({"stretches": [(9, 5, 10)], "is_poisson": True}, "Poisson arrivals, 5/s rising to 10/s"),
        ({"stretches": [(9, 5, 5), (9, 7, 7)]}, "even arrivals in steps of 5/s, 7/s"),
    ],
)
def test_it_is_described_in_words(options, said):
    assert Plan(target=parse_url("http://a.test/"), **options).described()["schedule"] == said


def test_the_first_address_that_takes_a_connection_is_asked(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert resolve(parse_url(f"http://127.0.0.1:{listening.getsockname()[1]}/")) == "127.0.0.1"
        assert resolve(parse_url(f"http://localhost:{listening.getsockname()[1]}/")) == "127.0.0.1"
    with pytest.raises(OSError, match="refused"):
        resolve(parse_url(f"http://{REFUSING}/"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/s")
        listening.listen()
        target = parse_url("http://a.test/", unix=f"{tmp_path}/s")
        assert resolve(target) == f"unix:{tmp_path}/s"
        assert str(target) == f"http://a.test/ at {tmp_path}/s"
