"""Load and upstream: three small C programs and ``wrk``, all on the load core.

``programs`` compiles the C sources once a session, ``report`` is what any generator says about one run, ``wrk`` runs
Debian's wrk and reads its output, ``own`` runs ``closed.c`` and ``paced.c``.
"""
