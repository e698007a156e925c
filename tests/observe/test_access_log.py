"""The access log line."""

import datetime as dt
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.log_fields import COMBINED, FIELDS, FORMAT_ONLY
from tidegate.memory.region import Region
from tidegate.observe.access_log import AccessLog

pytestmark = pytest.mark.sanitize

TEXTS = {
    "method": "method", "target": "target", "host": "host", "client": "client", "peer_address": "peer",
    "route": "route", "upstream": "upstream", "endpoint": "endpoint", "request_id": "request_id",
    "user_agent": "user_agent", "referer": "referer", "error": "error", "detail": "detail",
}  # fmt: skip
EXCHANGE = {
    "started_us": 1795298400123456,
    "duration_ns": 12_345_678,
    "upstream_ns": 10_000_999,
    "request_bytes": 0,
    "response_bytes": 5120,
    "downstream_serial": 17,
    "upstream_serial": 4,
    "downstream_uses": 12,
    "upstream_uses": 3001,
    "status": 200,
    "upstream_status": 200,
    "client_port": 50123,
    "attempts": 1,
    "method": b"GET",
    "target": b"/orders/42?full=1",
    "host": b"api.example.com",
    "client": b"203.0.113.9",
    "peer_address": b"10.0.0.1",
    "route": b"orders",
    "upstream": b"orders",
    "endpoint": b"10.0.0.5:9001",
    "request_id": b"3f6c1a5e0b7d4c2e9a8b7c6d5e4f3a2b",
    "user_agent": b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "referer": b"https://example.com/",
}


@pytest.fixture(scope="module")
def slot():
    region = Region.create(slots=1, log_bytes=1 << 20)
    yield region.slot(0)
    region.close()


def render(slot, record, **settings):
    reader = slot.log_reader()
    reader.read(1 << 30)
    AccessLog(slot.take_log_ring(), **settings).log(record)
    return reader.read(1 << 30)


def test_default_line_of_an_ordinary_exchange(slot):
    line = render(slot, EXCHANGE)
    assert line == (
        b'{"ts":"2026-11-21T22:00:00.123456Z","request_id":"3f6c1a5e0b7d4c2e9a8b7c6d5e4f3a2b","client":"203.0.113.9",'
        b'"method":"GET","target":"/orders/42?full=1","host":"api.example.com","status":200,"bytes_in":0,'
        b'"bytes_out":5120,"duration_ms":12.345,"upstream_ms":10.000,"route":"orders","upstream":"orders",'
        b'"endpoint":"10.0.0.5:9001","upstream_status":200,"attempts":1,"connection":17,"connection_uses":12,'
        b'"upstream_connection":4,"upstream_connection_uses":3001,"user_agent":"Mozilla/5.0 (X11; Linux x86_64; '
        b'rv:140.0) Gecko/20100101 Firefox/140.0","referer":"https://example.com/"}\n'
    )


def test_combined_line(slot):
    assert render(slot, EXCHANGE, line_format="combined") == (
        b'203.0.113.9 - - [21/Nov/2026:22:00:00 +0000] "GET /orders/42?full=1 HTTP/1.1" 200 5120 '
        b'"https://example.com/" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"\n'
    )
    assert render(slot, {}, line_format="combined") == b'- - - [01/Jan/1970:00:00:00 +0000] "-" 0 0 "-" "-"\n'


def test_everything_absent_leaves_only_what_every_exchange_has(slot):
    assert set(json.loads(render(slot, {}))) == {
        "ts", "status", "bytes_in", "bytes_out", "duration_ms", "connection", "connection_uses",
    }  # fmt: skip


def test_absent_fields_are_those_the_manual_says(slot):
    always = {field.name for field in FIELDS if field.absent == "never"} - {"client", "peer"}
    assert set(json.loads(render(slot, {}, fields=[field.name for field in FIELDS]))) == always


def test_every_field_can_stand_alone_in_json(slot):
    full = EXCHANGE | {"connect_ns": 5, "error": b"x", "detail": b"y", "limit": b"z", "tls": 1, "event": 1}
    for field in FIELDS:
        (name,) = json.loads(render(slot, full, fields=[field.name]))
        assert name == field.name
    assert render(slot, {}, fields=["route"]) == b"{}\n"


def test_every_name_can_stand_in_a_format(slot):
    full = EXCHANGE | {
        "connect_ns": 5,
        "error": b"x",
        "detail": b"y",
        "limit": b"z",
        "tls": 1,
        "event": 2,
        "extra": b',"a":1',
    }
    for name in [field.name for field in FIELDS] + list(FORMAT_ONLY):
        line = render(slot, full, line_format="<{" + name + "}>")
        assert line.startswith(b"<")
        assert line.endswith(b">\n")
        assert line not in (b"<>\n", b"<->\n"), name


def test_decimals_and_flags(slot):
    record = {"duration_ns": 999, "connect_ns": 61_000_007_000, "tls": 1, "event": 1, "minor": 0}
    line = json.loads(render(slot, record, fields=["duration_ms", "connect_ms", "tls", "event", "protocol"]))
    assert line == {
        "duration_ms": 0.0, "connect_ms": 61000.007, "tls": True, "event": "upgrade_opened", "protocol": "HTTP/1.0",
    }  # fmt: skip


def test_extra_members_of_filters_close_the_line(slot):
    line = render(slot, EXCHANGE | {"extra": b',"plan":"gold","cost":3'}, fields=["status"])
    assert line == b'{"status":200,"plan":"gold","cost":3}\n'
    assert render(slot, {"extra": b',"plan":1'}, fields=["route"]) == b'{"plan":1}\n'


@pytest.mark.parametrize("extra", [b',"a":"' + b"x" * 9000 + b'"', b',"a":\n1'])
def test_extra_that_is_too_long_or_breaks_the_line_is_dropped_and_says_so(slot, extra):
    assert json.loads(render(slot, {"extra": extra}, fields=["status"])) == {"status": 0, "extra_dropped": True}


def expected_text(raw):
    """What a JSON reader gets: UTF-8 where it is UTF-8, bytes that are not as Latin-1."""
    out, at = "", 0
    while at < len(raw):
        for size in (1, 2, 3, 4):
            try:
                out += raw[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            at += size
            break
        else:
            out += chr(raw[at])
            at += 1
    return out


NASTY = [
    b"abcdefgh", b"12345678abcdefgh", b'"', b"\\", b"\x00", b"\n", b"\r", b"\x7f", b"\xc2\x80", b"\xe2\x80\xa8",
    b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9", b"\xf5", b"\xc3", b"\xe2\x80", b"\xff\xfe", "é".encode(),
]  # fmt: skip
MEAN = (
    st.binary(max_size=60)
    | st.text(max_size=40).map(lambda s: s.encode("utf-8", "surrogatepass"))
    | st.lists(st.sampled_from(NASTY), max_size=12).map(b"".join)
)


@given(st.dictionaries(st.sampled_from(sorted(TEXTS)), MEAN))
def test_any_bytes_make_one_line_of_valid_json(slot, texts):
    line = render(slot, EXCHANGE | texts, fields=[field.name for field in FIELDS])
    assert line.count(b"\n") == 1
    text = line.decode()
    assert len(text.splitlines()) == 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text[:-1])
    read = json.loads(text)
    for name, raw in texts.items():
        assert read.get(TEXTS[name], "") == expected_text(raw)


@given(MEAN, MEAN)
def test_any_bytes_make_one_printable_line_of_a_format(slot, target, agent):
    line = render(
        slot, {"method": b"GET", "target": target, "user_agent": agent}, line_format='"{target}" "{user_agent}"'
    )
    assert line.endswith(b"\n")
    assert all(0x20 <= c < 0x7F for c in line[:-1])
    assert line.count(b'"') == 4


@given(st.integers(16, 300), MEAN.map(lambda raw: raw * 20))
def test_long_text_is_cut_at_a_character_and_marked(slot, clip, raw):
    line = render(slot, {"target": raw}, fields=["target"], clip_bytes=clip)
    got = json.loads(line).get("target", "")
    if len(raw) <= clip:
        assert got == expected_text(raw)
    else:
        assert got.endswith("…")
        kept = next(size for size in range(clip, clip - 4, -1) if expected_text(raw[:size]) == got[:-1])
        assert kept > clip - 4


@given(st.integers(0, 253402300799_999999))
def test_time_is_the_calendars(slot, started_us):
    line = json.loads(render(slot, {"started_us": started_us}, fields=["ts"]))
    when = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=started_us)
    assert line["ts"] == when.isoformat(timespec="microseconds").replace("+00:00", "Z")
    combined = render(slot, {"started_us": started_us}, line_format="{time_combined}").decode()
    assert combined == f"{when.day:02d}/{when:%b}/{when.year:04d}:{when:%H:%M:%S} +0000\n"


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_decimal(slot, number):
    assert render(slot, {"response_bytes": number}, line_format="{bytes_out}") == b"%d\n" % number
    assert render(slot, {"duration_ns": number}, line_format="{duration_ms}") == b"%d.%03d\n" % divmod(
        number // 1000, 1000
    )


def test_second_changes_with_the_record(slot):
    log = AccessLog(slot.take_log_ring(), line_format="{ts}")
    reader = slot.log_reader()
    reader.read(1 << 30)
    for started_us in (999_999, 1_000_000, 999_999):
        log.log({"started_us": started_us})
    assert [line[17:26] for line in reader.read().split()] == [b"00.999999", b"01.000000", b"00.999999"]


def test_braces_and_long_literals_of_a_format(slot):
    words = string.ascii_letters * 5
    assert render(slot, {"status": 7}, line_format=f"{{{{{words}}}}} {{status}} {words}") == (
        b"{%s} 7 %s\n" % (words.encode(), words.encode())
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fields": ["status", "statsu"]}, "'statsu' is no field"),
        ({"fields": ["status", "status"]}, "twice"),
        ({"line_format": "{client} {nope}"}, r"'\{nope\}'"),
        ({"line_format": "{client"}, r"'\{'"),
        ({"line_format": "a}"}, r"'\}'"),
        ({"line_format": "a\nb"}, "control character"),
        ({"clip_bytes": 3}, "clip_bytes"),
    ],
)
def test_format_nobody_understands_is_refused_by_name(slot, settings, says):
    with pytest.raises(ValueError, match=says):
        AccessLog(slot.take_log_ring(), **settings)


def test_log_that_is_off_writes_nothing(slot):
    log = AccessLog(None)
    assert not log.is_on
    log.log(EXCHANGE)


def test_line_too_long_for_the_ring_is_lost_and_counted():
    region = Region.create(1, 1)
    slot = region.slot(0)
    AccessLog(slot.take_log_ring(), clip_bytes=65536).log({"target": b"x" * 65536})
    assert slot.log_reader().lost == 1
    assert slot.log_reader().read() == b""
    region.close()


def test_text_that_stands_many_times_in_a_format_still_has_room(slot):
    assert render(slot, {"target": b"\x00" * 500}, line_format="{target}" * 50) == b"\\x00" * 25_000 + b"\n"


def test_combined_is_short_for_a_format(slot):
    assert render(slot, EXCHANGE, line_format=COMBINED) == render(slot, EXCHANGE, line_format="combined")
