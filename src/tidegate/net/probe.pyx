"""Drives channels and the timer wheel from Python, where tests are written; the gateway does not import it."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.net.reactor cimport Channel, Reactor


cdef class ProbeChannel(Channel):
    """fd: a non-blocking descriptor, the channel's from here on. action: called with the channel when something happens."""

    def __init__(self, Reactor reactor not None, int fd, action=None):
        self.happened = []
        self.reactor = reactor
        self.fd = fd
        self.action = action
        reactor.register(self)

    cdef void _note(self, tuple what):
        self.happened.append(what)
        if self.action is not None:
            self.action(self)

    cdef void on_event(self, uint32_t events):
        self._note(("event", events))

    cdef void on_ready(self):
        self._note(("ready",))

    cdef void on_deadline(self):
        self._note(("deadline",))

    cdef void on_fault(self, object fault):
        self.happened.append(("fault", fault))

    def deadline(self, uint64_t deadline_ms):
        """``set_deadline``."""
        self.set_deadline(deadline_ms)

    def ask(self):
        """``Reactor.call_soon``."""
        self.reactor.call_soon(self)

    def close(self):
        """``close_fd``."""
        self.close_fd()


def wheel_ms(Reactor reactor not None):
    """Where the wheel stands."""
    return reactor.wheel_ms


def turn(Reactor reactor not None, uint64_t now_ms):
    """Turns the wheel as a tick at that time does."""
    reactor.now_ms = now_ms
    reactor.turn_wheel()
