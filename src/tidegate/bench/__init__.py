"""An open-loop load generator: requests begin when they are due, whether or not earlier ones have been answered.

A closed loop (each connection sends when it has its answer) slows down with the server and never asks while it stands
still: of a stop of one second it reports one slow answer a connection. Here a schedule says when each request should
begin, and its latency counts from then, the wait for a connection included (Tene's "coordinated omission"). The service
time, from when it was really sent, stands beside it.

- ``schedule``    when requests are due: rates that stay, rise or step, evenly or as a Poisson process; arithmetic
- ``requests``    what is sent: the bytes of each request, made before the load begins
- ``histogram``   durations to three digits, as HdrHistogram counts them; ``hgrm``: its text form
- ``loop``        the least of an event loop: waits to the nanosecond, where uvloop's timers know milliseconds
- ``client``      one connection with one exchange at a time, on the gateway's own codec; ``websocket``: with echoes
- ``tally``       what came of it: by status, errors by kind, second by second
- ``load``        the driver: takes what is due, hands it to a free client, counts
- ``recipe``      requests from flags, a file or a script; ``keys``: how often each key is asked for
- ``plan``        what was asked for, and the ``order`` of each process that it becomes
- ``process``     drives the load of one order; ``fleet`` starts several, begins them at one moment, collects
- ``measured``    what came out, as counts that add up; ``document``: the JSON with what is read off them
- ``table``       the document in a terminal; ``progress``: a line while it goes; ``page``: a report to keep
"""
