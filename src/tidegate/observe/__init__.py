"""What happened: access log, error log, metrics.

A worker formats each exchange with ``access_log`` into its slot's ring; in control a ``log_writer`` brings the lines to
the file. Every process has an ``error_log``: ``bounded_log`` decides how often a kind of trouble is written,
``line_sink`` writes without ever waiting. ``metrics`` renders in control what the workers count in shared memory.
``line_format`` is how numbers, times and untrusted text get into a line in C.

``hitters`` merges what workers keep of those who ask most.

``recording`` is what the flight recorder keeps, in journals of the shared memory; ``recording_file`` is the file that
it becomes.
"""
