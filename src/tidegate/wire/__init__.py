"""Bytes to values and back: codecs with no I/O, no clock and no policy.

http1: heads of requests and responses. chunked: the chunked coding. names: identity of field names. refusal: why
something is refused. authority, connection: what Host and Connection say. target: one canonical path. view: all of it
as Python values, for tests. The caller owns every buffer; offsets come back. ``cimport`` all of it from http1.
"""
