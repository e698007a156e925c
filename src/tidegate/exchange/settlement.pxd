"""What is charged when an exchange has ended: what it took, and that it failed."""

from libc.stdint cimport uint64_t

from tidegate.exchange.admission cimport Admission

# It was answered with 401 or 403: charges the limits that only such answers are charged to.
cdef void settle_failure(Admission x)
# Limits whose cost is measured, or of which filters said it after they were charged, get the difference. Once.
cdef void settle_costs(Admission x, uint64_t upstream_ns)
