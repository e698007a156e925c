"""Sessions in Redis, as ``filters.session_auth`` looks them up.

- ``store``: one look-up of a session, which renews it on the way
- ``look_up``: what a cache does to find one out
- ``found``: what a cache remembers of one
"""
