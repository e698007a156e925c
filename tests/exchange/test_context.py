"""What all exchanges of a worker share: the date, the log's extra members, the active snapshot."""

import random
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

from tests.exchange.filtered import OK, filtered, get

from tidegate import Filter, Request
from tidegate.exchange.context import http_date

OWN = '[[routes]]\nname = "own"\npath = "/own"\nrespond = { status = 204 }\n'


def test_answers_of_the_gateway_say_when_they_were_made() -> None:
    with filtered(config=OWN) as (plane, _), plane.connect() as client:
        client.send(get("/own"))
        date = client.answer(to="HEAD").get("Date") or ""
        assert date.endswith(" GMT")
        assert abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()) < 5
        client.close()


def test_upstreams_date_is_left_alone() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK.replace(b"\r\n\r\n", b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"))
            assert client.answer().get_all("Date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
        client.close()


def test_answer_without_a_date_gets_one_on_its_way() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            (date,) = client.answer().get_all("Date")
            assert abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()) < 5
        client.close()


def test_date_that_the_route_sets_or_removes_is_the_only_one() -> None:
    routes = "".join(
        f'[[routes]]\nname = "{name}"\npath = "/{name}"\nupstream = "a"\nresponse_headers = {{ {changes} }}\n'
        for name, changes in (
            ("set", 'set = { Date = "never" }'),
            ("add", 'add = { Date = "never" }'),
            ("no", 'remove = ["Date"]'),
        )
    )
    with filtered(config=routes) as (plane, upstream), plane.connect() as client:
        client.send(get("/set") + get("/add") + get("/no"))
        with upstream.accept() as server:
            for expected in (["never"], ["never"], []):
                server.request()
                server.send(OK)
                assert client.answer().get_all("Date") == expected
        client.close()


def test_dates_are_those_of_the_standard_library() -> None:
    chance = random.Random(3)
    for second in [0, 1, 951_782_400, 4_102_444_799, *(chance.randrange(1 << 33) for _ in range(2000))]:
        assert http_date(second).decode() == formatdate(second, usegmt=True)


def test_log_field_without_a_place_in_json_is_told_and_left_out() -> None:
    class Log(Filter):
        def on_request(self, request: Request) -> None:
            request.log["fine"] = 1
            request.log["odd"] = object() if request.path == "/odd" else [1, {"a": None}]

    with filtered(Log) as (plane, upstream), plane.connect() as client:
        for path in ("/odd", "/even"):
            client.send(get(path))
            if path == "/odd":
                server = upstream.accept()
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        server.close()
        odd, even = plane.log_records(2)
        assert odd["target"] == "/odd"
        assert "odd" not in odd
        assert (even["fine"], even["odd"]) == (1, [1, {"a": None}])
        assert plane.error_log.kinds() == ["log_field"]
        client.close()
