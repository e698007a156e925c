"""The filters that ship, each a class in one file, written against the public interface only.

- ``header_changes``: fields set, added and removed, with values from the exchange
- ``cors``: what a browser asks before it lets a page read an answer of another origin
- ``basic_auth``: name and password, from hashed entries
- ``jwt_auth``: JSON Web Tokens (``jwt``, ``tokens``)
- ``session_auth``: sessions in Redis (``sessions``, ``tokens``)
- ``redirect``: sends clients elsewhere, under conditions
- ``fixed_answer``: answers for the upstream, a maintenance page for instance

``placeholders`` is what values such as ``"{client.ip}"`` are made of.
"""
