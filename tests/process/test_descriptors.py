"""Descriptors of a worker: the limit that can be had, and what its bounds would need."""

import dataclasses
import resource
import signal
import sys

from tests.process.gateway import supervised

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process.descriptors import compare, raise_limit

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


def test_bound_that_nobody_set_follows_the_limit_and_nothing_is_said():
    default = dataclasses.replace(SHORT, server=Server(workers=2, admin="127.0.0.1:0"))
    with supervised(gateway=default, before=(sys.executable, "-c", LIMITED)) as gateway:
        gateway.wait_ready()
        gateway.signal(signal.SIGTERM)
        said = gateway.everything_said()
    # 600 descriptors for each of two workers, without those that it needs itself
    assert any("kind=ready" in line and "max_connections=1072" in line for line in said)
    assert not any("descriptors_short" in line for line in said)
