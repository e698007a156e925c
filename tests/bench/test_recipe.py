"""Requests from flags, files and scripts, and the bytes that they become."""

import itertools
import re
import textwrap
from pathlib import Path
from random import Random

import pytest

from tidegate.bench.recipe import Request, from_file, from_script, head, render, with_keys
from tidegate.wire.view import RequestParser


def parsed(text):
    parser = RequestParser()
    found = parser.feed(text)
    assert found is not None
    return found, {name: value for name, value, *_ in found["fields"]}, parser.rest


def test_a_request_is_what_a_strict_server_reads():
    request = Request("POST", "/a?b=c", {"X-Plan": "gold", "content-type": "text/plain"}, b"tide")
    found, fields, rest = parsed(render(request, "server.test:8080"))
    assert (found["method"], found["target"], found["host"], rest) == (b"POST", b"/a?b=c", b"server.test:8080", b"tide")
    assert (fields[b"X-Plan"], fields[b"content-type"], fields[b"Content-Length"]) == (b"gold", b"text/plain", b"4")
    assert fields[b"User-Agent"].startswith(b"tidegate-bench/")
    assert b"Connection" not in fields


def test_fields_of_its_own_come_in_place_of_the_usual():
    text = render(Request(headers={"host": "other.test", "user-agent": "me"}), "server.test", is_fresh=True)
    found, fields, _ = parsed(text)
    assert (found["host"], fields[b"User-Agent"], fields[b"Connection"]) == (b"other.test", b"me", b"close")
    assert text.lower().count(b"host:") == 1


def test_methods_with_a_body_say_that_they_have_none():
    assert b"Content-Length: 0\r\n" in render(Request("POST"), "h")
    assert b"Content-Length" not in render(Request("DELETE"), "h")


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET "),
        Request(""),
        Request(path="no slash"),
        Request(path="/with space"),
        Request(path="/é"),
        Request(path="/a\r\nX: y"),
        Request(headers={"X": "a\r\nY: b"}),
        Request(headers={"X Y": "a"}),
        Request(headers={"": "a"}),
    ],
)
def test_what_would_be_two_requests_is_refused(request_):
    with pytest.raises(ValueError, match=r"no method|a path begins|no header field"):
        render(request_, "h")


def test_a_head_ends_with_its_empty_line():
    assert head("GET / HTTP/1.1", {"A": "b"}) == b"GET / HTTP/1.1\r\nA: b\r\n\r\n"


def test_keys_are_put_in_everywhere():
    template = Request("PUT", "/u/{key}", {"X-User": "{key}"}, b'{"id": {key}}')
    first, second = itertools.islice(with_keys(template, iter([7, 12])), 2)
    assert (first.path, first.headers, first.body) == ("/u/7", {"X-User": "7"}, b'{"id": 7}')
    assert second.path == "/u/12"


def test_a_file_has_a_request_a_line(tmp_path):
    file = tmp_path / "requests"
    file.write_text(
        '# comment\n\n/a\nDELETE /b\n{"path": "/c", "body": {"x": 1}, "weight": 2}\n{"method": "PUT", "body": "text"}\n'
    )
    json = Request("POST", "/c", {"Content-Type": "application/json"}, b'{"x": 1}')
    assert from_file(file) == [Request(path="/a"), Request("DELETE", "/b"), json, json, Request("PUT", body=b"text")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1"),
        ('{"url": "/"}', "url: a request has body, headers, method, path, weight"),
        ('{"weight": 0}', "a weight is a whole number"),
        ("# nothing", "has no request"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path, line, said):
    file = tmp_path / "requests"
    file.write_text(line + "\n")
    with pytest.raises(ValueError, match=said):
        from_file(file)


def test_a_script_yields_requests_in_any_of_three_forms(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from tidegate.bench.recipe import Request\n"
        "from tidegate.bench.keys import zipf\n"
        "def requests(random):\n"
        "    for user in zipf(100, random):\n"
        "        yield f'/users/{user}'\n"
        "        yield {'path': '/login', 'body': {'user': user}}\n"
        "        yield Request('HEAD', '/')\n"
    )
    found = from_script(script, 300, Random(3))
    assert len(found) == 300
    assert [one.method for one in found[:6]] == ["GET", "POST", "HEAD"] * 2
    assert len({one.path for one in found}) > 10
    assert found == from_script(script, 300, Random(3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no function requests"),
        ("requests = 1", "no function requests"),
        ("def requests(random): return 3", "gives a int"),
        ("def requests(random): yield 3", "request 1: a request is a path"),
        ("def requests(random): return []", "yields no request"),
    ],
)
def test_a_script_that_is_wrong_is_told(tmp_path, text, said):
    script = tmp_path / "script.py"
    script.write_text(text)
    with pytest.raises(ValueError, match=said):
        from_script(script, 10, Random(1))


def block_of_the_manual(tmp_path, language):
    page = (Path(__file__).parents[2] / "docs" / "bench.md").read_text()
    (block,) = re.findall(rf"^ *```{language}\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / language
    file.write_text(textwrap.dedent(block))
    return file


def test_script_and_file_of_the_manual_are_read(tmp_path):
    found = from_script(block_of_the_manual(tmp_path, "python"), 2000, Random(1))
    assert {one.path for one in found if one.method == "POST"} == {"/orders"}
    assert 20 < sum(one.method == "POST" for one in found) < 400
    assert from_file(block_of_the_manual(tmp_path, "text"))[:3] == [
        Request(path="/orders/1"),
        Request("DELETE", "/orders/2"),
        Request("POST", "/orders", {"Content-Type": "application/json", "X-Plan": "gold"}, b'{"item": 7}'),
    ]
