"""What filters share that let requests in by a token: a session's id, a JWT.

- ``place``: where a request presents its token, and what can be one
- ``principal``: whom it stands for, from a JSON object, and what the upstream is told
- ``known``: those that were found out already, bounded in number and bytes
- ``turns``: arithmetic that takes a bounded share of each turn of the event loop
- ``auth``: the filter around them, to which each kind of token adds how it is judged
"""
