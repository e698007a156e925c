"""The relay of the lab, for tests: between a client and a server, slow, narrow, cut or talking nonsense on purpose."""

from tidegate.lab.pieces.relay import Relay

__all__ = ["Relay"]
