"""Operate it: what control answers, and how the command line asks.

`health` decides whether the gateway is ready, `status` says how it is, `api` serves both (and the metrics) to programs:
read-only over TCP, with commands over the socket that only its user can open; `peek`, what limits would say to a
request, is among these. `host_guard` keeps web pages of others from asking. `client` is the other end of that socket.
"""
