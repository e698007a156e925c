"""How many requests an upstream bears at once, learned from how long it takes: samples in, a number out.

    interval     what was measured in a stretch of time: how many ended, how long they took, how many were dropped
    tally        counts single samples into an interval; one a worker, merged for the machine
    algorithm    the interface: an interval makes the next limit, and says why
    controller   an algorithm with the guards that every one needs, its state and its `statistics()`
    catalogue    the algorithms by the name that a configuration gives them

    queue_delay  the default: additive growth, sigmoid decrease, by the time spent waiting behind the limit
    gradient, gradient2, vegas, aimd    as Netflix concurrency-limits has them
    envoy, bbr, pid                     after Envoy's adaptive concurrency, TCP BBR and the textbook

    by_waiting   what queue_delay, envoy, bbr and pid share: a target, and what is known of waiting
    waiting      how long requests wait, told from how long they take
    floor        the least of a sliding window, which a queue that stands cannot lift
    windowed     gathers intervals for an algorithm that is to see windows only
    configured   from the options of a limit to a controller
    shared       one limit for all workers: whose turn it is decides, from what shared memory holds
    suggestion   a fixed bound, learned from the peaks that did no harm

Nothing here reads a clock: times are nanoseconds of the monotonic clock, given by the caller. `lab.sim` plays all of
them against the same backends.
"""
