"""The data plane in one process, for tests that speak to it through real sockets.

``harness.Plane`` runs a ``Server`` on an uvloop in a thread of its own; the test is the client, and usually the
upstream too, with blocking sockets, so that it reads from top to bottom in the order in which things happen.
"""
