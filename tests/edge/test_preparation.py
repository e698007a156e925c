"""What is shared with the active snapshot, what is given up, and how long the loop is held."""

import asyncio
import ssl
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme
import uvloop

from tidegate.config.check import check_text
from tidegate.config.snapshot import Snapshot
from tidegate.edge.preparation import Preparation, Prepared, give_up, give_up_upstreams
from tidegate.limits.bell import WorkerBells
from tidegate.memory.region import Region
from tidegate.process.slices import collector_at_rest, in_slices
from tidegate.upstream import tls
from tidegate.upstream.build import build_upstream
from tidegate.upstream.pools import Pools
from tidegate.upstream.tls import TlsSettings

T = TypeVar("T")
UPSTREAM = '[upstreams.{name}]\nendpoints = ["{address}"]\n'


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def snapshot(*upstreams: tuple[str, str], number: int = 1, more: str = "", listener: str = "") -> Snapshot:
    listed = "".join(UPSTREAM.format(name=name, address=address) for name, address in upstreams)
    route = '[[routes]]\nname = "r"\nrespond = {}\n'
    text = f'[[listeners]]\nbind = "127.0.0.1:8080"\n{listener}\n{listed}{route}{more}'
    made, findings = check_text(text, number=number)
    assert made is not None, list(map(str, findings))
    return made


class Bench:
    """Pools, a region, and the active snapshot."""

    def __init__(self) -> None:
        self.pools = Pools()
        self.region = Region.create(1)
        self.ring = self.region.slot(0).take_log_ring()
        self.bells = WorkerBells(self.region.bells(), 0)
        self.active: Prepared | None = None

    def begin(self, wanted: Snapshot) -> Preparation:
        return Preparation(
            wanted, lambda: self.active, self.pools, slot=0, region=self.region, ring=self.ring, bells=self.bells
        )

    async def switch(self, wanted: Snapshot) -> Prepared:
        made = await self.begin(wanted).run()
        for upstream in made.upstreams.values():
            upstream.activate()
        if self.active is not None:
            give_up(self.active, [made])
        self.active = made
        return made


def test_upstream_with_the_same_settings_is_the_same_object() -> None:
    async def scenario() -> None:
        bench = Bench()
        one = await bench.switch(snapshot(("a", "127.0.0.1:1"), ("b", "127.0.0.1:2")))
        two = await bench.switch(snapshot(("a", "127.0.0.1:1"), ("b", "127.0.0.1:3"), number=2))
        assert two.upstreams["a"] is one.upstreams["a"]
        assert two.upstreams["b"] is not one.upstreams["b"]
        assert not two.upstreams["a"].is_closed and one.upstreams["b"].is_closed
        assert {pool.peer.port: pool.is_retired for pool in bench.pools} == {1: False, 2: True, 3: False}
        give_up(two, [])
        assert len(bench.pools) == 0

    run(scenario())


def test_what_another_snapshot_has_is_not_given_up() -> None:
    async def scenario() -> None:
        bench = Bench()
        one = await bench.switch(snapshot(("a", "127.0.0.1:1")))
        two = await bench.begin(snapshot(("a", "127.0.0.1:1"), number=2)).run()
        give_up_upstreams(one, [two])
        assert not one.upstreams["a"].is_closed
        give_up(two, [])
        assert one.upstreams["a"].is_closed

    run(scenario())


def test_name_that_is_known_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.7"]

    async def scenario() -> None:
        bench = Bench()
        monkeypatch.setattr(
            "tidegate.edge.preparation.build_upstream",
            lambda *args, **rest: build_upstream(*args, **{**rest, "resolve": resolve}),
        )
        one = await bench.switch(snapshot(("a", "name.test:80")))
        assert asked == ["name.test"]
        more = '[upstreams.a.tcp]\nuser_timeout = "9s"\n'
        two = await bench.switch(snapshot(("a", "name.test:80"), number=2, more=more))
        assert two.upstreams["a"] is not one.upstreams["a"]
        assert [endpoint.peer.address for endpoint in two.upstreams["a"].endpoints] == ["127.0.0.7"]
        assert two.upstreams["a"].endpoints == one.upstreams["a"].endpoints
        assert two.upstreams["a"].endpoints[0].is_available
        assert asked == ["name.test"], "its address is known"
        await bench.switch(snapshot(("a", "other.test:80"), number=3))
        assert asked == ["name.test", "other.test"]
        give_up(bench.active or one, [])

    run(scenario())


def test_certificates_that_are_the_same_stay_the_same_object(tmp_path: Path) -> None:
    def write(name: str) -> None:
        certificate = trustme.CA().issue_cert(name)
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "c.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / "k.pem"))

    listener = f'tls.certificates = [{{ cert = "{tmp_path}/c.pem", key = "{tmp_path}/k.pem" }}]'

    async def scenario() -> None:
        bench = Bench()
        write("a.test")
        one = await bench.switch(snapshot(listener=listener))
        two = await bench.switch(snapshot(number=2, listener=listener))
        assert two.tls["127.0.0.1:8080"] is one.tls["127.0.0.1:8080"]
        write("b.test")
        three = await bench.switch(snapshot(number=3, listener=listener))
        assert three.tls["127.0.0.1:8080"].statistics()[0].names == ("b.test",)
        broken = snapshot(number=4, listener=listener)
        (tmp_path / "c.pem").write_text("no certificate")
        with pytest.raises((OSError, ValueError, ssl.SSLError)):
            await bench.begin(broken).run()

    run(scenario())


def test_thousands_of_routes_do_not_hold_the_loop() -> None:
    routes = "".join(
        f'[[routes]]\nname = "r{i}"\nhosts = ["t{i % 97}.test"]\npath = "/a/{i}/{{x}}"\nupstream = "a"\n'
        for i in range(3000)
    )
    data = snapshot(("a", "127.0.0.1:1"), number=2, more=routes).encode()

    async def scenario() -> tuple[int, float]:
        bench = Bench()
        await bench.switch(snapshot())
        held_s = 0.0
        turns = 0

        async def watch() -> None:
            nonlocal held_s, turns
            while True:
                # Time of this process's own: what others take from a busy machine is not the loop's fault.
                began_s = time.process_time()
                await asyncio.sleep(0)
                held_s = max(held_s, time.process_time() - began_s)
                turns += 1

        task = asyncio.get_running_loop().create_task(watch())
        with collector_at_rest():
            made = await bench.switch(await in_slices(Snapshot.decoding(data)))
        task.cancel()
        assert made.plan is not None
        assert len(made.plan.routes) == 3001
        return turns, held_s

    turns, held_s = run(scenario())
    assert turns > 20
    assert held_s < 0.5, "by far the bound of 20 ms, which a benchmark measures"


def test_what_a_filter_imports_does_not_hold_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported in a thread; on the loop nobody would be served meanwhile."""
    (tmp_path / "slow_to_load.py").write_text(
        "import threading\nfrom tidegate import Filter\n"
        "loaded_in = threading.get_ident()\nclass Slow(Filter):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    server = '[server]\nfilter_packages = ["slow_to_load"]\n[filters.slow]\nclass = "slow_to_load:Slow"\n'
    wanted = snapshot(more=server)
    sys.modules.pop("slow_to_load")  # the check has loaded it, in a process of its own

    async def main() -> None:
        made = await Bench().begin(wanted).run()
        assert type(made.filters["slow"]).__name__ == "Slow"

    run(main())
    module = sys.modules.pop("slow_to_load")
    assert module.loaded_in != threading.get_ident()


def test_preparation_says_what_it_is() -> None:
    async def scenario() -> None:
        shown = repr(Bench().begin(snapshot(number=5)))
        assert shown == "<Preparation of snapshot 5: 0 upstreams>"

    run(scenario())


def test_tls_context_goes_with_the_last_upstream_that_needs_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        trustme.CA().cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))

    def with_root(name: str, number: int, upstreams: str = "a") -> Snapshot:
        more = "".join(f'[upstreams.{one}.tls]\nca = "{tmp_path}/{name}.pem"\nname = "{one}"\n' for one in upstreams)
        listed = [(one, f"127.0.0.1:{port}") for port, one in enumerate(upstreams, 1)]
        return snapshot(*listed, number=number, more=more)

    def known(name: str) -> bool:
        return TlsSettings(name="", ca=f"{tmp_path}/{name}.pem") in tls._prepared

    async def scenario() -> None:
        bench = Bench()
        await bench.switch(with_root("one", 1, "ab"))
        await bench.switch(with_root("one", 2))
        assert known("one"), "another upstream has it still"
        await bench.switch(with_root("two", 3))
        assert (known("one"), known("two")) == (False, True)
        last = await bench.switch(snapshot(number=4))
        assert not known("two")
        give_up(last, [])

    run(scenario())
