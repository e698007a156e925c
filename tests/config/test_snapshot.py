"""A snapshot goes through bytes unchanged, whatever is in it, and its etag is that of its meaning."""

import asyncio
import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.check import check_text
from tidegate.config.schema import (
    Endpoint,
    FilterUse,
    Gateway,
    HeaderChange,
    Listener,
    Pool,
    Redirect,
    Respond,
    Route,
    Upstream,
)
from tidegate.config.snapshot import Snapshot
from tidegate.process.slices import in_slices

TEXT = st.text(max_size=12)
MATCH = st.dictionaries(TEXT, st.one_of(TEXT, st.booleans()), max_size=3)
SECONDS = st.floats(0.001, 1e7)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


ROUTES = st.builds(
    Route,
    name=TEXT,
    hosts=tuples(TEXT),
    headers=MATCH,
    query=MATCH,
    redirect=st.none() | st.builds(Redirect, to=TEXT, status=st.sampled_from([301, 308])),
    respond=st.none() | st.builds(Respond, body=TEXT, headers=st.dictionaries(TEXT, TEXT, max_size=2)),
    request_headers=st.none()
    | st.builds(HeaderChange, remove=tuples(TEXT), set=st.dictionaries(TEXT, TEXT, max_size=2)),
    timeout=st.none() | SECONDS,
    max_body=st.none() | st.integers(0, 1 << 50),
)
UPSTREAMS = st.builds(
    Upstream, endpoints=tuples(st.builds(Endpoint, address=TEXT)), pool=st.builds(Pool, max_age=st.none() | SECONDS)
)
GATEWAYS = st.builds(
    Gateway,
    listeners=tuples(st.builds(Listener, bind=TEXT, owner=st.none() | TEXT, idle_timeout=SECONDS)),
    upstreams=st.dictionaries(TEXT, UPSTREAMS, max_size=2),
    filters=st.dictionaries(
        TEXT, st.builds(FilterUse, target=TEXT, options=st.dictionaries(TEXT, PLAIN, max_size=3)), max_size=2
    ),
    routes=tuples(ROUTES),
)


@given(GATEWAYS, st.integers(1, 1 << 40), TEXT)
def test_snapshot_goes_through_bytes_unchanged(gateway: Gateway, number: int, text: str) -> None:
    snapshot = Snapshot.build(gateway, number=number, source_text=text)
    again = Snapshot.decode(snapshot.encode())
    assert again == snapshot
    assert again.encode() == snapshot.encode()
    assert Snapshot.build(again.gateway).etag == snapshot.etag


def test_text_can_be_left_out_of_what_is_decoded() -> None:
    snapshot = Snapshot.build(Gateway(routes=(Route(name="a"),)), source_text="# a text\n")
    again = asyncio.run(in_slices(Snapshot.decoding(snapshot.encode(), with_text=False)))
    assert again == dataclasses.replace(snapshot, source_text="")


def test_decoded_snapshot_is_immutable() -> None:
    route = Route(name="a", headers={"X-A": True})
    snapshot = Snapshot.decode(Snapshot.build(Gateway(routes=(route,))).encode())
    with pytest.raises(TypeError):
        snapshot.gateway.routes[0].headers["X-A"] = False  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.number = 2  # type: ignore[misc]


def test_etag_is_that_of_the_meaning() -> None:
    base = '[[listeners]]\nbind = "127.0.0.1:80"\n'
    route = '[[routes]]\nname = "a"\nrespond = {}\n'
    one, _ = check_text(base + 'idle_timeout = "60s"\n' + route)
    same, _ = check_text(base + "idle_timeout = '1m' # as long\n" + route)
    other, _ = check_text(base + route)
    assert one is not None and same is not None and other is not None
    assert one.etag == same.etag != other.etag
    assert one.source_text != same.source_text


def test_numbers_count_and_do_not_change_the_etag() -> None:
    gateway = Gateway(routes=(Route(name="a"),))
    assert Snapshot.build(gateway, number=1).etag == Snapshot.build(gateway, number=2).etag


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"\xff", b'{"number":"x"}'])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        Snapshot.decode(data)


def test_what_has_no_place_in_a_snapshot_is_told() -> None:
    use = FilterUse(target="a:B", options={"x": object()})
    with pytest.raises(NotImplementedError, match="object has no place"):
        Snapshot.build(Gateway(filters={"a": use}))
