"""What in this machine, this configuration and these Redis servers has taken gateways down before, and how to mend it.

Reading and judging are apart, so that tests can show the judges machines that are badly set up:

    machine, running, redis_server, sockets   read: /proc, /sys, `/status`, INFO, the kernel's list of connections
    facts                                     all that was read, in one place
    network_checks, resource_checks,          judge: from facts to findings, with no I/O and no clock
    redis_checks, upstream_checks,
    gateway_checks, directions
    finding                                   what was seen, why it matters, what mends it
    examination                               reads, judges, and puts the findings in order

What cannot be read is None in the facts, and the check that would need it says that it could not look. Nothing here
changes anything.
"""
