"""What a link counts: latency by command name, bytes by the beginning of keys.

Plain numbers, moved by the one loop that the link lives on; whoever exports them reads them when he likes. Latency is from
handing a command to its connection until its reply has been read, without the time that callers held the loop in between.

Names and keys come from callers, so both tables are bounded; what finds no place counts as "other".
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from tidegate.memory.histogram import BUCKETS
from tidegate.redis.commands import key_at

cdef enum:
    NAMES_MAX = 128
    PREFIXES_MAX = 64
    SPELLINGS_MAX = 512

assert BUCKETS == BUCKET_COUNT

cdef extern from *:
    int __builtin_clzll(unsigned long long value) nogil


cdef int bucket_of(int64_t us) noexcept nogil:
    """As ``memory.histogram.bucket_of``."""
    cdef int exponent
    if us < 8:
        return <int>us if us > 0 else 0
    exponent = 63 - __builtin_clzll(<unsigned long long>us)
    if exponent >= 27:
        return BUCKET_COUNT - 1
    return <int>(((exponent - 3) << 3) + (us >> (exponent - 3)))


cdef class CommandMeter:
    """Calls of one command, with a log-linear histogram of their latency."""

    def __init__(self, str name not None):
        self.name = name
        self.key_at = key_at(name.encode())
        memset(self.counts, 0, sizeof(self.counts))

    cdef void record(self, int64_t us, int bucket) noexcept:
        self.count += 1
        self.total_us += us
        self.counts[bucket] += 1
        if us > self.max_us:
            self.max_us = us

    @property
    def buckets(self):
        """The histogram, of ``memory.histogram``'s buckets."""
        return [self.counts[i] for i in range(BUCKET_COUNT)]

    def __repr__(self):
        return f"<CommandMeter {self.name} {self.count}>"


cdef class PrefixMeter:
    """Bytes of commands about keys that begin alike."""

    def __init__(self, str prefix not None):
        self.prefix = prefix

    def __repr__(self):
        return f"<PrefixMeter {self.prefix} {self.commands}>"


cdef class Meters:
    """The meters of one link."""

    def __cinit__(self):
        self.commands = {}
        self.prefixes = {}
        self.by_name = {}
        self.by_prefix = {}

    cdef CommandMeter command_of(self, name):
        meter = self.commands.get(name)
        return <CommandMeter>meter if meter is not None else self.command(name)

    cdef PrefixMeter prefix_of(self, key):
        """The meter of what stands before the first colon of a key."""
        cdef Py_ssize_t at = (<str>key).find(":") if type(key) is str else (<bytes>key).find(b":")
        beginning = key[:at] if at > 0 else ""
        meter = self.prefixes.get(beginning)
        return <PrefixMeter>meter if meter is not None else self.made_prefix(beginning)

    def command(self, spelt):
        """The meter of a command, made at first use."""
        name = text_of(spelt).upper()
        meter = self.by_name.get(name)
        if meter is None:
            if len(self.by_name) >= NAMES_MAX:
                name = "other"
            meter = self.by_name.setdefault(name, CommandMeter(name))
        if len(self.commands) < SPELLINGS_MAX:
            self.commands[spelt] = meter
        return meter

    def prefix(self, key):
        """The meter of the keys that begin as this one does, up to its first colon."""
        return self.prefix_of(key)

    def made_prefix(self, beginning):
        prefix = text_of(beginning)
        meter = self.by_prefix.get(prefix)
        if meter is None:
            if len(self.by_prefix) >= PREFIXES_MAX:
                prefix = "other"
            meter = self.by_prefix.setdefault(prefix, PrefixMeter(prefix))
        if len(self.prefixes) < SPELLINGS_MAX:
            self.prefixes[beginning] = meter
        return meter

    def every_command(self):
        """The meters of all commands so far."""
        return self.by_name.values()

    def every_prefix(self):
        """The meters of all beginnings of keys so far."""
        return self.by_prefix.values()

    def __repr__(self):
        return f"<Meters {len(self.by_name)} commands, {len(self.by_prefix)} prefixes>"


cdef str text_of(spelt):
    return spelt if isinstance(spelt, str) else bytes(spelt).decode("utf-8", "replace")
