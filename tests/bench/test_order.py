"""What a process is told and says survives the way between processes."""

import msgspec
from tests.bench.outcomes import measured

from tidegate.bench.order import Ended, Failed, Order, Ready, Said, SecondOver, Server


def test_an_order_is_read_as_it_was_written():
    order = Order(
        server=Server(address="10.0.0.1", port=443, is_tls=True, name="a.test"),
        requests=[b"GET / HTTP/1.1\r\n\r\n", bytes(range(256))],
        stretches=[(1.0, 2.0, 3.0)],
        seconds=1.0,
        warm_up_s=0.5,
        clients=3,
        patience_s=2.0,
        websocket=(b"/", b"Host: a\r\n"),
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=Order) == order


def test_what_is_said_is_one_line_and_known_by_its_kind():
    counted = measured()
    for said in (Ready(3, ("dns_error", "words\n")), SecondOver(counted.by_second[0]), Ended(counted), Failed("why")):
        line = msgspec.json.encode(said)
        assert b"\n" not in line
        assert msgspec.json.decode(line, type=Said) == said
