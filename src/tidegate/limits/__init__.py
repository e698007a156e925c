"""May it pass: the arithmetic of limits. It takes the time as an argument, waits for nothing and knows no exchange.

A ``rate`` says how long a request has to wait for its turn, or that it is refused; a ``quota`` counts in windows, fixed
or sliding; ``unit_delay`` slows down what is beyond a bound on concurrency; ``adaptive`` learns how many requests an
upstream bears at once. What they remember of each key is in ``memory``: ``rates`` and ``quotas`` are tables that all
processes charge at once, and a key is there by its fingerprint. Who waits, and where in the life of an exchange a limit
is asked, is the affair of ``exchange``.
"""
