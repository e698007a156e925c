"""The values that a worker has at hand, and the shortest way to one of them.

Rules:

1. What is fresh is returned as the entry itself, which is awaitable and ready: ``await`` gets the value and nothing
   else runs in between. Any number of callers may await the same entry.
2. All else is ``miss``, which a subclass has: what has ended, what may have to be fetched again early, what is not there.
3. A value is never changed: a new one is a new entry. So who holds one has what it was given.
4. An entry that was invalidated is not given out, whoever has invalidated it: the marks under which it was fetched are
   compared when the epoch has changed (``memory.generations``).

The clock is the machine's monotonic one, read here without a call into Python; tests give another.
"""

cimport cython
from libc.stdint cimport uint64_t
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from tidegate.memory.generations cimport Generations
cdef extern from *:
    """
    static void tidegate_answer_sends(PyTypeObject *type, sendfunc send) { type->tp_as_async->am_send = send; }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
    ctypedef PySendResult (*sendfunc)(PyObject*, PyObject*, PyObject**) noexcept
    void tidegate_answer_sends(PyTypeObject* type, sendfunc send) noexcept


Key = str | bytes
"""What a value is asked for by."""


@cython.no_gc       # there may be a million, and the collector would look at each: what is cached does not lead back here
cdef class Entry:
    """key: of the value. value: None when there is none. size: bytes it counts for. times: ``freshness.Times``.
    came_at: when it came. tags: names under which it can be invalidated with others. slots, marks: of the
    generations, as they were when its fetch began. load_s: how long that took.
    """

    def __cinit__(self, key, value, Py_ssize_t size, times, double came_at, tuple tags, tuple slots, tuple marks,
                  double load_s=0.0):
        if not isinstance(times, tuple) or len(times) != 5:
            raise TypeError(f"expected the five times of a value's life, got {times!r}")
        self.key = key
        self.value = value
        self.size = size
        self.tags = tags
        self.slots = slots
        self.marks = marks
        self.checked_epoch = <uint64_t>-1           # not yet
        self.loaded_at = <object>PyTuple_GET_ITEM(times, 0)
        self.early_from = <object>PyTuple_GET_ITEM(times, 1)
        self.fresh_until = <object>PyTuple_GET_ITEM(times, 2)
        self.stale_until = <object>PyTuple_GET_ITEM(times, 3)
        self.error_until = <object>PyTuple_GET_ITEM(times, 4)
        self.came_at = came_at
        self.load_s = load_s

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.value)

    def __repr__(self):
        what = "nothing" if self.value is None else f"{self.size} bytes"
        return f"<Entry {self.key!r}: {what}, fresh until {self.fresh_until:.3f}, used {self.uses} times>"


cdef PySendResult _send(PyObject* entry, PyObject* _, PyObject** result) noexcept:
    value = (<Entry>entry).value
    Py_INCREF(value)
    result[0] = <PyObject*>value
    return PYGEN_RETURN


# What ``await`` asks first. By ``__next__`` the value would travel in an exception, with a traceback: 400 ns more.
tidegate_answer_sends(<PyTypeObject*>Entry, _send)


cdef class Shelf:
    """generations: where invalidations are seen. clock: seconds, for tests."""

    def __init__(self, Generations generations not None, clock=None):
        self.entries = {}
        self.generations = generations
        self.clock = clock

    def now(self) -> float:
        """Seconds on the shelf's clock."""
        return self.read_clock()

    cdef double read_clock(self) except? -1.0:
        cdef timespec read
        if self.clock is not None:
            return self.clock()
        clock_gettime(CLOCK_MONOTONIC, &read)
        return <double>read.tv_sec + read.tv_nsec * 1e-9

    def get(self, key, load=None, *, ttl=None, tags=(), timeout=None):
        """The value of ``key``, to be awaited; None when there is none.

        Args:
            key: Text or bytes.
            load: ``await load(key)`` fetches what is not there; it returns a value, a ``Loaded``, or None for there is
                none. Without it only what is remembered is found.
            ttl: Seconds that the value is fresh; the cache's own when absent.
            tags: Names to invalidate it by, with others.
            timeout: Seconds to wait; the cache's own when absent.

        Raises GatewayError when it could not be had in time, and what ``load`` raises.
        """
        cdef Entry entry = self.entries.get(key)
        if entry is not None and entry.checked_epoch == self.generations.epoch() and self.read_clock() < entry.early_from:
            entry.uses += 1
            self.hits += 1
            return entry
        return self.miss(key, load, ttl, tags, timeout)

    def get_nowait(self, key, default=None):
        """The value of ``key`` if it is at hand and fresh, else ``default``; None when it is known that there is none."""
        cdef Entry entry = self.entries.get(key)
        if entry is not None and self.read_clock() < entry.fresh_until and self.holds(entry):
            entry.uses += 1
            self.hits += 1
            return entry.value
        return default

    def is_current(self, Entry entry not None) -> bool:
        """Whether nothing that concerns the entry was invalidated since its fetch began."""
        return self.holds(entry)

    cdef bint holds(self, Entry entry) except -1:
        cdef uint64_t epoch = self.generations.epoch()
        if entry.checked_epoch == epoch:
            return True
        if not self.generations.hold(entry.slots, entry.marks):
            return False
        entry.checked_epoch = epoch
        return True

    def miss(self, key, load, ttl, tags, timeout):
        """What ``get`` returns for what cannot be given out just so."""
        raise NotImplementedError

    def __repr__(self):
        return f"<Shelf of {len(self.entries)}>"
