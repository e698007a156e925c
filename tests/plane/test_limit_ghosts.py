"""Clients that leave at any moment, in any way, from every kind of limit that holds something: nothing is left behind.

Meanwhile the limits are changed by reloads. ``python -m benchmarks ghosts`` does the same a million times, against a
gateway with several workers.
"""

import random
import socket
import time

import pytest
from benchmarks.trouble.ghosts import LIMITS, PATHS, Server, leave, left_in, routes
from tests.plane.harness import Plane, until

pytestmark = pytest.mark.sanitize

SEED = 31
CLIENTS = 400


def test_clients_that_leave_at_any_moment_leave_nothing_behind() -> None:
    chance = random.Random(SEED)
    # Others with the same names, and the first again, while they are held and waited for.
    limits = (LIMITS.replace("concurrency = 4", "concurrency = 2").replace("queue = 8", "queue = 2"), LIMITS)
    with Server() as server, Plane(LIMITS + routes(server.address)) as plane:
        there: list[socket.socket] = []
        for number in range(CLIENTS):
            sock = socket.create_connection((plane.host, plane.port))
            path, user = chance.choice(PATHS), chance.randrange(5)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nX-User: {user}\r\nX-Class: batch\r\n\r\n".encode())
            there.append(sock)
            if number in (CLIENTS // 3, 2 * CLIENTS // 3):
                plane.reload(limits[number > CLIENTS // 2] + routes(server.address))
            if number % 8 == 0:
                time.sleep(chance.uniform(0, 0.004))  # some get further than others
            while len(there) > chance.randrange(40):
                leave(there.pop(chance.randrange(len(there))), chance)
        for sock in there:
            leave(sock, chance)
        until(lambda: plane.statistics().connections == 0 and sum(left_in(plane.region)) == 0, "all have left")
        assert plane.statistics().faults == 0
        assert plane.counters()["client_aborts"] > 0
