"""Bytes to values and back: codecs with no I/O, no clock and no policy.

http1: heads and chunked bodies of HTTP/1.1. target: one canonical path. Callers own every buffer; offsets come back.
"""
