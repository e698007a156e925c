"""A gateway with a limit between clients and a backend, in virtual time: a minute takes a fraction of a second.

    clock       virtual time: what is due next
    scenario    what is played, as data (`scenarios.toml`): streams of requests, a backend, what changes when
    arrivals    when the next request of a stream comes
    clients     requests that come whether or not the last was answered, give up, and try again
    gate        the gateway: permits, a queue by class, and the limit under test
    backend     servers with a queue in front, and how long they take
    contenders  the limits that are compared: each algorithm, a fixed limit, none
    outcome     what came of it, second by second
    play        one scenario with one contender
    picture     an outcome, or several, drawn

Everything random comes from one seeded generator a part, so that a run repeats to the last figure and two contenders
meet the same arrivals.
"""
