"""JSON Web Tokens (RFC 7519), as ``filters.jwt_auth`` judges them.

- ``keys``: keys that signatures are verified with, each good for the algorithms of its kind only
- ``verifier``: one token against one key: signature, time, issuer, audience, claims
- ``source``: where keys come from, fetched in a thread and kept while their publisher is away
- ``download``: one GET of a key set, bounded in size and time

Only a worker whose routes have the filter loads this, and with it PyJWT and cryptography.
"""
