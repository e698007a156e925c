"""Side by side with nginx, Envoy and Caddy: who moves how much, at what cost in CPU, latency and memory.

Run it with ``python -m benchmarks`` (``--help`` lists the options); one core for the contender, one for the load and
the upstream. Its nouns:

- ``contenders/``  a program under test: its configuration, its start, the processes that are counted as its own
- ``load/``        the upstream and the generators (C, compiled at start) and ``wrk``; what a run of them reports
- ``processes``    pinning, CPU time in nanoseconds, resident memory, of a whole process tree
- ``rounds``       short alternated rounds and what is concluded from them (the best third of each)
- ``scenarios/``   what is measured: throughput, filters, latency, tail, memory; each knows its targets
- ``table``        the figures as text;  ``record``: as JSON and in ``RESULTS.md``
- ``micro/``       a runner of its own for single compiled functions: ``python -m benchmarks micro``

Why rounds: the machine this was made for flips between two speeds within seconds. Contenders therefore take turns
second by second and only the best third of each is compared; ``--self-check`` runs nginx against itself, which must
give 1.00 +- 0.05. The load core is full before a fast contender is, so CPU time per request stands beside every rate.
"""
