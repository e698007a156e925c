"""The server of the tests of the link."""

from tests.redis.conftest import server

__all__ = ["server"]
