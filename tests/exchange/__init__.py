"""Exchanges, driven by filters that the tests write, through real sockets."""
