"""Nanoseconds for what a filter does: its method called on a request of ten fields, and parts of it.

What an exchange adds around that (composing a head with changes, making a view) is measured end to end by the scenario
``filters``. The last cases are what an ``async`` method costs beside: a task, and turns of the loop.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from benchmarks.filters import ReadOneSetTwo, ReadOneSetTwoAsync
from tidegate import Request, testing
from tidegate.filters.cors import Cors
from tidegate.filters.header_changes import HeaderChanges
from tidegate.testing.exchange import repeat

HEADERS = {
    "Host": "api.example.com",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "theme=dark; session=3f6c1a5e0b7d4c2e9a8b7c6d5e4f3a2b",
    "Origin": "https://app.example.com",
    "Referer": "https://app.example.com/orders",
    "X-Tenant": "acme",
    "Cache-Control": "no-cache",
}


def _set_two(request: Request) -> None:
    request.headers["x-bench-agent"] = "a"
    request.headers["x-bench-plan"] = "gold"


METHODS: dict[str, Callable[[Request], object]] = {
    "nothing": lambda _: None,
    "get the last field": lambda request: request.headers.get("cache-control"),
    "get what is not there": lambda request: request.headers.get("x-nothing"),
    "set two": _set_two,
    "path": lambda request: request.path,
    "query": lambda request: request.query("page"),
    "cookie": lambda request: request.cookie("session"),
    "client_ip": lambda request: request.client_ip,
    "store": lambda request: request.store,
    "all items": lambda request: request.headers.items(),
    "filter: read one, set two": ReadOneSetTwo().on_request,
    "filter: header_changes, two": testing.make(
        HeaderChanges, request={"set": {"X-Client": "{client.ip}", "X-Route": "{route}"}}
    ).on_request,
    "filter: cors, no preflight": testing.make(Cors, origins=["https://app.example.com"]).on_request,
}


def _calls(method: Callable[[Request], object]) -> Callable[[int], None]:
    request = testing.request("GET", "/orders/42?page=3&size=20", headers=HEADERS, path="/orders/{id}")
    return lambda n: repeat(request, method, n)


def _tasks(wait: Callable[[], Coroutine[Any, Any, None]] | None) -> Callable[[int], None]:
    method = ReadOneSetTwoAsync().on_request

    async def one(request: Request) -> None:
        if wait is not None:
            await wait()
        await method(request)

    async def many(n: int) -> None:
        loop = asyncio.get_running_loop()
        request = testing.request("GET", "/orders/42", headers=HEADERS)
        for number in range(n):
            if number % 100 == 99:  # changes add up until an exchange ends
                request = testing.request("GET", "/orders/42", headers=HEADERS)
            await asyncio.Task(one(request), loop=loop)

    def run(n: int) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(many(n))

    return run


CASES = {name: _calls(method) for name, method in METHODS.items()} | {
    "async filter that does not wait, in a task": _tasks(None),
    "async filter that waits one turn of the loop, in a task": _tasks(lambda: asyncio.sleep(0)),
}
