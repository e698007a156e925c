"""Header fields set, added and removed."""

from typing import Any

import pytest

from tidegate import Response, testing
from tidegate.filters.header_changes import HeaderChanges


def test_both_heads_are_changed() -> None:
    filter_use = testing.use(
        HeaderChanges,
        request={
            "remove": ["X-Old", "x_gone"],
            "set": {"X-Client": "{client.ip}", "X-Tenant": "{captures.tenant}/{headers.x-part}"},
            "add": {"X-Trace": "{request.id}"},
        },
        response={"remove": ["Server"], "set": {"X-Route": "{route} {status}"}, "add": {"Vary": "Accept"}},
    )
    answer = Response(404, b"", {"Vary": "Origin", "X-Route": "from upstream"})
    with testing.gateway(filter_use, route={"path": "/{tenant}/*"}, answer=answer) as gw:
        found = gw.get("/acme/x", {"X-Old": "1", "X-Gone": "2", "X-Client": "me", "X-Trace": "t", "X-Part": "p"})
        [got] = gw.upstream.received
        assert (got.get("X-Old"), got.get("X-Gone")) == (None, None)
        assert (got.get_all("X-Client"), got.get("X-Tenant")) == (["127.0.0.1"], "acme/p")
        assert got.get_all("X-Trace") == ["t", gw.log(1)[0]["request_id"]]
        assert (found.get("Server"), found.get_all("X-Route")) == (None, ["test 404"])
        assert found.get_all("Vary") == ["Origin", "Accept"]


def test_values_are_those_before_the_changes() -> None:
    changes = testing.make(
        HeaderChanges, request={"remove": ["X-A"], "set": {"X-B": "{headers.x-a}", "X-C": "{headers.x-b}"}}
    )
    request = testing.request(headers={"X-A": "a", "X-B": "b"})
    changes.on_request(request)
    assert request.headers.items() == [("Host", "gateway.test"), ("X-B", "a"), ("X-C", "b")]


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"request": {"set": {"X-A": "{nope}"}}}, r"\{nope\}"),
        ({"request": {"set": {"X-A": "{status}"}}}, r"\{status\}"),
        ({"response": {"set": {"X A": "1"}}}, "name of a header field"),
        ({"response": {"set": {"X-A": "a\nb"}}}, "control characters"),
        ({"response": {"sett": {}}}, "sett"),
    ],
)
def test_wrong_options_are_findings(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        testing.make(HeaderChanges, **options)
