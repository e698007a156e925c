"""May it pass: the arithmetic and the queues of limits, which take the time as an argument and know no exchange.

A ``rate`` says how long a request has to wait for its turn, or that it is refused; a ``quota`` counts in windows, fixed
or sliding; ``unit_delay`` slows down what is beyond a bound on concurrency; ``adaptive`` learns how many requests an
upstream bears at once, and ``learner`` is such a limit in one worker. ``concurrency`` is one limit on what is in
flight, as one worker sees it: permits of ``memory.inflight``, and for those who have to wait for one a waiting room
(``queue``).

``cost`` is what a request takes of a limit, ``peek`` a look that changes nothing.

``keys`` tells requests apart by a fingerprint, ``limit`` is one limit of a snapshot with all it allows whom, and a
``group`` asks the limits of one step as one: all are charged, or none is. What rates and quotas remember of each key is
in ``memory``: tables that all processes charge at once. Who waits, and where in the life of an exchange a limit is
asked, is the affair of ``exchange``.
"""
