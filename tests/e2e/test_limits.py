"""Limits of a gateway with several workers: one count for all of them, over reloads and deaths."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket

import pytest
from tests.e2e.test_options import gateway, metrics, status
from tests.e2e.test_processes import ask
from tests.process.gateway import eventually
from tests.redis.servers import serving

from tidegate.memory.quotas import COUNT_MAX
from tidegate.process.quota_log import read_batches

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LIMIT = '[limits.edge]\nrate = "1/d"\nburst = {burst}\n[[routes]]\nname = "all"\nlimits = ["edge"]\nrespond = {{}}\n'


def statuses(address, times, target="/"):
    """Of so many requests, each on a connection of its own, and so at any worker."""
    return [ask(address, target)[0] for _ in range(times)]


def test_all_workers_count_together_and_go_on_over_a_reload(tmp_path):
    with gateway(tmp_path, LIMIT.format(burst=19), server="workers = 2") as running_gateway:
        found = statuses(running_gateway.listener, 40)
        assert found == [200] * 20 + [429] * 20
        verdicts = metrics(running_gateway)
        assert verdicts["tidegate_limit_requests_total", ("limit", "edge"), ("verdict", "admitted")] == 20
        assert verdicts["tidegate_limit_requests_total", ("limit", "edge"), ("verdict", "refused")] == 20
        (limit,) = status(running_gateway)["limits"]
        assert (limit["name"], limit["admitted_total"], limit["refused_total"]) == ("edge", 20, 20)
        file = tmp_path / "gateway.toml"
        # Another limit before it in the file: whose place is whose is settled by what is active, not by the order.
        other = '[limits.aaa]\nrate = "1/s"\nkey = "client.ip"\n'
        file.write_text(
            file.read_text().replace("burst = 19", "burst = 24").replace("[limits.edge]", f"{other}[limits.edge]")
        )
        running_gateway.signal(signal.SIGHUP)
        eventually(lambda: len(status(running_gateway)["limits"]) == 2, "the reload is active", deadline_s=60)
        assert statuses(running_gateway.listener, 10) == [200] * 5 + [429] * 5


def test_permits_of_a_killed_worker_are_there_again(tmp_path):
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        text = (
            "[limits.servers]\nconcurrency = 20\n"
            f'[upstreams.slow]\nendpoints = ["127.0.0.1:{listening.getsockname()[1]}"]\nlimits = ["servers"]\n'
            '[[routes]]\nname = "slow"\nupstream = "slow"\n'
        )
        running_gateway = opened.enter_context(gateway(tmp_path, text, server="workers = 2"))

        def hold(count):
            """Requests that are under way: the upstream has accepted them and answers nothing."""
            for _ in range(count):
                client = opened.enter_context(socket.create_connection(running_gateway.address, timeout=20))
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                server, _ = listening.accept()
                opened.enter_context(server)

        listening.settimeout(30)
        hold(20)
        assert statuses(running_gateway.listener, 3) == [503] * 3
        for pid in running_gateway.workers():
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(running_gateway.workers()) == 2, "they are followed", deadline_s=60)
        hold(20)
        assert statuses(running_gateway.listener, 3) == [503] * 3


def test_permits_of_a_fleet_outlive_the_workers_that_asked_for_them(tmp_path):
    with contextlib.ExitStack() as opened:
        store = opened.enter_context(serving())
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        text = (
            f'[redis.main]\nurl = "redis://{store.address}"\n'
            '[limits.servers]\nconcurrency = 6\nscope = "fleet"\nstore = "main"\nlatency_cap = "1s"\n'
            f'[upstreams.slow]\nendpoints = ["127.0.0.1:{listening.getsockname()[1]}"]\nlimits = ["servers"]\n'
            '[[routes]]\nname = "slow"\nupstream = "slow"\n'
        )
        running_gateway = opened.enter_context(gateway(tmp_path, text, server="workers = 2"))

        def holds_another():
            """One more is under way, which the upstream answers never; False: it was refused."""
            client = opened.enter_context(socket.create_connection(running_gateway.address, timeout=30))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            readable, _, _ = select.select([listening, client], [], [], 60)
            if listening not in readable:
                return False
            opened.enter_context(listening.accept()[0])
            return True

        def under_way():
            (key,) = store.ask("KEYS", "*:servers")
            return [int(text.split()[1]) for text in store.ask("HGETALL", key)[1::2]]

        def hold_all():
            for _ in range(6):
                eventually(holds_another, "a permit is there", deadline_s=60)
            eventually(lambda: under_way() == [6], "the store knows of all", deadline_s=60)

        def holding():
            """Exchanges of each worker, by its pid; nothing while they are not all told of."""
            found = {one["pid"]: one["exchanges"] for one in status(running_gateway)["workers"]}
            return found if sum(found.values()) == 6 else None

        hold_all()
        for _ in range(3):
            assert not holds_another()
        held = eventually(holding, "all are told of", deadline_s=60)
        stopped, killed = sorted(held, key=held.__getitem__)
        os.kill(stopped, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        try:
            # What the one had is the machine's again, and its successor tells the store; what the other has stays.
            eventually(lambda: under_way() != [6], "the store hears of it", deadline_s=60)
        finally:
            os.kill(stopped, signal.SIGCONT)
        for pid in running_gateway.workers():
            os.kill(pid, signal.SIGKILL)
        hold_all()
        assert not holds_another()


def test_what_a_limit_has_learned_survives_a_restart(tmp_path):
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        listening.settimeout(30)
        text = (
            '[limits.backend]\nadaptive = { algorithm = "aimd", floor = 1, initial = 2, samples_min = 1 }\n'
            f'[upstreams.slow]\nendpoints = ["127.0.0.1:{listening.getsockname()[1]}"]\nlimits = ["backend"]\n'
            '[[routes]]\nname = "slow"\nupstream = "slow"\n'
        )

        def served(running_gateway, count):
            """So many requests at once, and whatever is refused beside them."""
            with contextlib.ExitStack() as held:
                pairs = []
                for _ in range(count):
                    client = held.enter_context(socket.create_connection(running_gateway.address, timeout=30))
                    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    server, _ = listening.accept()
                    held.enter_context(server)
                    pairs.append((client, server))
                assert statuses(running_gateway.listener, 2) == [503] * 2
                for client, server in pairs:
                    server.recv(4096)
                    server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")

        def learned(running_gateway):
            ((one,),) = [limit["learned"] for limit in status(running_gateway)["limits"]]
            return one

        with gateway(tmp_path, text, server="workers = 2") as running_gateway:
            served(running_gateway, 2)
            eventually(lambda: learned(running_gateway)["limit"] == 3, "it has grown", deadline_s=60)
            assert learned(running_gateway)["why"] == "short_queue"
            gauges = metrics(running_gateway)
            assert gauges["tidegate_adaptive_limit", ("endpoint", ""), ("limit", "backend")] == 3
            running_gateway.signal(signal.SIGTERM)
            assert running_gateway.wait() == 0
        with gateway(tmp_path, text, server="workers = 2") as running_gateway:
            assert learned(running_gateway)["limit"] == 3
            assert learned(running_gateway)["why"] == "restored"
            served(running_gateway, 3)


def test_what_is_shed_is_no_affair_of_health_and_admin(tmp_path):
    # No interpreter is so small: the worker sheds all it can from its second second on.
    text = '[shed]\nmemory = "1MiB"\n[[routes]]\nname = "all"\nrespond = {}\n'
    with gateway(tmp_path, text, server="workers = 1") as running_gateway:
        address = running_gateway.listener
        eventually(lambda: statuses(address, 5) == [503] * 5, "all is shed", deadline_s=60)
        assert status(running_gateway)["shed"]["all"]["memory_total"] >= 5
        assert status(running_gateway)["workers"][0]["shed_level"] > 0
        assert metrics(running_gateway)["tidegate_shed_total", ("class", "all"), ("reason", "memory")] >= 5
        assert ask(running_gateway.admin, "/health/ready")[0] == 200


QUOTA = (
    '[limits.month]\nquota = 5\nwindow = "30d"\nwindow_kind = "first_use"\nkey = "client.ip"\n'
    '[[routes]]\nname = "all"\nlimits = ["month"]\nrespond = {}\n'
)


def kept(directory):
    """What is on disk of the only key of the only quota."""
    count = 0
    for file in directory.rglob("quotas.log"):
        for batch in read_batches(file, file.with_name("limits.key").read_bytes()):
            for records in batch.tables:
                count = int.from_bytes(records.cells[-8:], "little") & COUNT_MAX
    return count


def test_a_quota_is_kept_over_a_restart(tmp_path):
    with gateway(tmp_path, QUOTA, server="workers = 2") as first:
        assert statuses(first.listener, 3) == [200] * 3
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        assert kept(tmp_path) == 3
    with gateway(tmp_path, QUOTA, server="workers = 2") as second:
        assert statuses(second.listener, 4) == [200] * 2 + [429] * 2


def test_a_quota_is_kept_when_everything_is_killed(tmp_path):
    with gateway(tmp_path, QUOTA, server="workers = 2") as first:
        assert statuses(first.listener, 3) == [200] * 3
        eventually(lambda: kept(tmp_path) == 3, "what was counted is on disk", deadline_s=60)
        (control,) = first.control()
        for pid in (first.pid, control, *first.workers()):
            os.kill(pid, signal.SIGKILL)
        first.wait()
    with gateway(tmp_path, QUOTA, server="workers = 2") as second:
        assert statuses(second.listener, 4) == [200] * 2 + [429] * 2
