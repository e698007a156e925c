"""Bytes to values and back: codecs with no I/O, no clock and no policy.

http1: heads of requests and responses, and the one module to ``cimport`` from. request_line, authority, connection:
the parts of a head that have rules of their own. chunked: the chunked coding. names: identity of field names. refusal:
why something is refused. target: one canonical path. view: all of it as Python values, for tests; described: a request
that is told by method, URL and fields. The caller owns
every buffer; offsets come back.
"""
