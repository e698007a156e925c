"""What processes share: one region, mapped by all; single-writer slots, atomics of a word or two, nothing that locks.

``region`` is the face: the supervisor creates it, everybody else attaches by descriptor. ``layout`` says where
everything lies, ``mapping`` is the region mapped into a process. A ``slot`` belongs to one worker at a time: its mark
(who, how far, last heartbeat), its ``meters`` (counters and histograms, which ``histogram`` explains) and its
``log_ring`` (finished log lines on their way to control). A dead worker's slot stays as it is, and its successor
goes on in it.

``hitters`` are the keys that lead in requests, refusals, upstream time or bytes.

Limits count in tables of 16-byte cells that all processes charge at once: ``rates`` and ``quotas``, by the protocol in
``cells.h``. ``tables`` says where a limit's table is and how large, ``fingerprints`` what is known of a key.

``inflight`` counts permits to be in flight, a cell for each worker slot, so that those of the dead can be given back;
``adaptive`` holds what limits that learn measure, and what they have learned.

``health`` is what control knows of each endpoint, one word each; ``bells`` wake the next who waits for something
shared; ``turns`` let one process speak for all; a ``journal`` keeps the latest of what was put into it.

``flights`` say who fetches a key for all workers, ``single_flight`` is how a worker asks. What it fetched goes into the
``store``, which is no part of the region: it lies in a directory and outlives all processes. ``store_report`` is what
it tells of itself in the region.
"""
