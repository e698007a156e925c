"""Descriptors of a worker: the limit that can be had, and what its bounds would need."""

import resource
import signal
import sys

from tests.config.gateways import PLAIN, accepted
from tests.process.gateway import supervised

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process.descriptors import compare, needed, raise_limit

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 600))
os.execv(sys.argv[1], sys.argv[1:])
"""
SHORT = Gateway(
    server=Server(workers=2, admin="127.0.0.1:0", max_connections=2000), listeners=(Listener(bind="127.0.0.1:0"),)
)


def test_limit_goes_up_to_what_may_be_had():
    told = raise_limit()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert told == soft
    assert soft == min(hard, 1 << 20) or soft > 1 << 20


def test_worker_needs_its_share_of_clients_and_every_pool():
    upstreams = '[upstreams.a]\nendpoints = ["127.0.0.1:1", "127.0.0.1:2"]\npool = { max = 100, idle = 10 }\n'
    gateway = accepted(PLAIN.replace("[[routes]]", f"{upstreams}[[routes]]") + "[server]\nmax_connections = 1001\n")
    pools = sum(one.pool.max * len(one.endpoints) for name, one in gateway.upstreams.items() if name != "a")
    assert needed(gateway, 2) == (501, 200 + pools)


def test_limit_that_is_too_low_is_said_once_with_the_numbers():
    with supervised(gateway=SHORT, before=(sys.executable, "-c", LIMITED)) as gateway:
        said = gateway.hear("kind=descriptors_short").string
        assert "may have 600 descriptors and would need 1064 (1000 clients, 0 connections to upstreams, 64 of" in said
        assert "LimitNOFILE=1064" in said
        gateway.signal(signal.SIGTERM)
        assert sum("descriptors_short" in line for line in gateway.everything_said()) == 1


def test_limit_that_suffices_is_not_worth_a_line():
    said = []
    compare(SHORT, 2, 1064, lambda kind, *what: said.append(kind))
    assert said == []
    compare(SHORT, 2, 1063, lambda kind, *what: said.append(kind))
    assert said == ["descriptors_short"]
