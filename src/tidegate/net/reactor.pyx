"""One epoll inside the event loop, and the timer wheel that gives every channel its deadline.

Rules:

1. A registered channel is referenced by the reactor; ``close_fd`` ends that. A channel closed in a batch stays alive
   (``graveyard``) until the batch ends, so that an event already fetched for it finds ``fd == -1`` and is dropped, never
   freed memory and never a successor at the same address.
2. Registration is edge triggered for both directions and happens once. A channel that stops reading before the kernel
   says EAGAIN (or gives less than was asked for) remembers that it is readable; nobody will tell it again.
3. Whatever a callback raises ends there, in ``guard``: the channel's ``on_fault`` ends its own exchange, the batch goes on.
4. A deadline moved later costs one store: the timer stays where it is linked and is re-linked when it comes up
   (Varghese & Lauck, "Hashed and Hierarchical Timing Wheels", scheme 6 with lazy re-insertion).
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.marks cimport Mark, enter, leave
from tidegate.net.syscalls cimport (
    CLOCK_MONOTONIC, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP,
    F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK, clock_gettime, close, epoll_create1, epoll_ctl, epoll_event, epoll_wait, fcntl,
    pipe2, timespec,
)

import os
from collections import namedtuple

cdef enum:
    PIPE_SIZE = 1048576

ReactorStatistics = namedtuple("ReactorStatistics", "channels batches events faults ready")


cdef class Channel:

    def __cinit__(self):
        self.fd = -1
        self.timer.owner = <void*>self

    def __dealloc__(self):
        unlink(&self.timer)
        if self.fd >= 0:
            close(self.fd)

    cdef void on_event(self, uint32_t events):
        raise NotImplementedError

    cdef void on_ready(self):
        raise NotImplementedError

    cdef void on_deadline(self):
        raise NotImplementedError

    cdef void on_fault(self, object fault):
        self.close_fd()

    cdef void set_deadline(self, uint64_t deadline_ms) noexcept:
        cdef Timer* timer = &self.timer
        timer.deadline_ms = deadline_ms
        if deadline_ms == 0 or self.fd < 0:
            return
        if timer.next == NULL:
            timer.due_ms = deadline_ms
            self.reactor.link(timer)
        elif deadline_ms < timer.due_ms:
            unlink(timer)
            timer.due_ms = deadline_ms
            self.reactor.link(timer)

    cdef void close_fd(self) noexcept:
        if self.fd < 0:
            return
        unlink(&self.timer)
        # Explicit: closing ends a registration only with the *last* descriptor of the socket, and a supervisor (listening
        # sockets) or a child between fork and exec may hold another; its events would come to freed memory.
        if self.is_registered:
            epoll_ctl(self.reactor.epoll_fd, EPOLL_CTL_DEL, self.fd, NULL)
        close(self.fd)
        self.fd = -1
        if self.is_registered:
            self.is_registered = False
            self.reactor.channels -= 1
            self.reactor.graveyard.append(self)
            Py_DECREF(self)

    @property
    def is_open(self):
        return self.fd >= 0

    def fileno(self):
        return self.fd


cdef void unlink(Timer* timer) noexcept:
    if timer.next != NULL:
        timer.prev.next = timer.next
        timer.next.prev = timer.prev
        timer.next = NULL
        timer.prev = NULL


cdef class Reactor:
    """The worker's sockets and deadlines.

    loop: the running event loop (uvloop or asyncio); the reactor adds one reader and one 100 ms timer to it.
    Raises OSError when the kernel gives no epoll instance.
    """

    def __cinit__(self):
        self.epoll_fd = -1
        self.pipe[0] = self.pipe[1] = -1

    def __init__(self, loop):
        cdef int i
        self.loop = loop
        self.ready = []
        self.graveyard = []
        self.tick_hooks = []
        self.mark_owner = Mark()
        self.mark = self.mark_owner.words
        self.scratch = <char*>PyMem_RawMalloc(SCRATCH_SIZE)
        self.compose = <char*>PyMem_RawMalloc(SCRATCH_SIZE)
        self.staging = <char*>PyMem_RawMalloc(STAGING_SIZE)
        self.events = <epoll_event*>PyMem_RawCalloc(BATCH_EVENTS, sizeof(epoll_event))
        self.slots = <Timer*>PyMem_RawCalloc(WHEEL_SLOTS, sizeof(Timer))
        if self.scratch == NULL or self.compose == NULL or self.staging == NULL or self.events == NULL or self.slots == NULL:
            raise MemoryError
        for i in range(WHEEL_SLOTS):
            self.slots[i].next = &self.slots[i]
            self.slots[i].prev = &self.slots[i]
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, os.strerror(errno))
        if pipe2(self.pipe, O_NONBLOCK | O_CLOEXEC) < 0:
            raise OSError(errno, os.strerror(errno))
        fcntl(self.pipe[1], F_SETPIPE_SZ, PIPE_SIZE)    # refused: the pipe is smaller, and moves take more turns
        self.refresh_clock()
        self.wheel_ms = self.now_ms
        loop.add_reader(self.epoll_fd, self.poll)
        self.tick_handle = loop.call_later(TICK_MS / 1000.0, self.tick)

    def __dealloc__(self):
        cdef int i
        cdef Timer* head
        if self.slots != NULL:
            for i in range(WHEEL_SLOTS):
                head = &self.slots[i]
                while head.next != NULL and head.next != head:
                    unlink(head.next)
        PyMem_RawFree(self.scratch)
        PyMem_RawFree(self.compose)
        PyMem_RawFree(self.staging)
        PyMem_RawFree(self.events)
        PyMem_RawFree(self.slots)
        for i in range(2):
            if self.pipe[i] >= 0:
                close(self.pipe[i])
        if self.epoll_fd >= 0:
            close(self.epoll_fd)

    cdef void refresh_clock(self) noexcept:
        cdef timespec time
        clock_gettime(CLOCK_MONOTONIC, &time)
        self.now_ns = <uint64_t>time.tv_sec * 1000000000 + <uint64_t>time.tv_nsec
        self.now_ms = self.now_ns // 1000000

    cdef void begin_callback(self) noexcept:
        self.refresh_clock()
        enter(self.mark, self.now_ns)

    def use_mark(self, Mark mark not None):
        """From now on it is marked there in which callback the worker is, and since when."""
        self.mark_owner = mark
        self.mark = mark.words

    # -- readiness --------------------------------------------------------------------------------------------------

    cdef int register(self, Channel channel) except -1:
        """Takes over ``channel.fd``, which must be open and non-blocking. Raises OSError."""
        cdef epoll_event event
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        event.data.ptr = <void*>channel
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, channel.fd, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        Py_INCREF(channel)
        channel.reactor = self
        channel.is_registered = True
        self.channels += 1
        return 0

    cdef void call_soon(self, Channel channel) noexcept:
        """Calls ``on_ready`` once, after the events of this batch. For work that must not recurse or hold the batch."""
        if channel.is_queued:
            return
        channel.is_queued = True
        self.ready.append(channel)
        if not self.is_polling and not self.is_scheduled:
            self.is_scheduled = True
            self.loop.call_soon(self.poll)

    def poll(self):
        """Handles one batch of events; called by the loop when the epoll descriptor is readable."""
        cdef int i, n
        cdef epoll_event* event
        cdef Channel channel
        self.is_scheduled = False
        if self.is_closed or self.is_polling:
            return
        self.is_polling = True
        n = epoll_wait(self.epoll_fd, self.events, BATCH_EVENTS, 0)
        self.batches += 1
        for i in range(n):
            event = &self.events[i]
            channel = <Channel>event.data.ptr
            if channel.fd < 0:
                continue
            self.events_seen += 1
            self.refresh_clock()
            enter(self.mark, self.now_ns)
            try:
                channel.on_event(event.events)
            except BaseException as fault:
                self.guard(channel, fault)
        self.run_ready()
        leave(self.mark)
        self.is_polling = False
        if self.graveyard:
            self.graveyard = []
        if self.ready and not self.is_scheduled:
            self.is_scheduled = True
            self.loop.call_soon(self.poll)

    cdef void run_ready(self):
        cdef Channel channel
        cdef list batch
        if not self.ready:
            return
        batch = self.ready
        self.ready = []
        self.refresh_clock()
        enter(self.mark, self.now_ns)
        for channel in batch:
            channel.is_queued = False
            if channel.fd < 0:
                continue
            try:
                channel.on_ready()
            except BaseException as fault:
                self.guard(channel, fault)

    cdef void guard(self, Channel channel, object fault) noexcept:
        self.faults += 1
        try:
            channel.on_fault(fault)
        except BaseException as second:
            channel.close_fd()
            self.loop.call_exception_handler({"message": "a channel's on_fault failed", "exception": second})
        if not isinstance(fault, Exception):
            # KeyboardInterrupt and SystemExit belong to the loop, not to a connection.
            self.loop.call_soon(_raise, fault)

    # -- time -------------------------------------------------------------------------------------------------------

    cdef void link(self, Timer* timer) noexcept:
        cdef uint64_t due = timer.due_ms
        cdef uint64_t horizon = self.wheel_ms + (WHEEL_SLOTS - 1) * TICK_MS
        cdef Timer* head
        if due <= self.wheel_ms:
            due = self.wheel_ms + 1
        elif due > horizon:
            due = horizon
            timer.due_ms = horizon
        # Rounded up: a deadline fires at the first tick that is not before it.
        head = &self.slots[((due + TICK_MS - 1) // TICK_MS) % WHEEL_SLOTS]
        timer.next = head
        timer.prev = head.prev
        head.prev.next = timer
        head.prev = timer

    cdef void turn_wheel(self):
        cdef uint64_t slot, last
        cdef Timer due
        cdef Timer* head
        cdef Timer* timer
        cdef Channel channel
        last = self.now_ms // TICK_MS
        slot = self.wheel_ms // TICK_MS
        if last - slot > WHEEL_SLOTS:
            slot = last - WHEEL_SLOTS   # the loop was held up for longer than the wheel is round: each slot once
        while slot < last:
            slot += 1
            self.wheel_ms = slot * TICK_MS
            head = &self.slots[slot % WHEEL_SLOTS]
            if head.next == head:
                continue
            # Moved to a list of its own: what fires may link and unlink timers, those in this list included.
            due.next = head.next
            due.prev = head.prev
            due.next.prev = &due
            due.prev.next = &due
            head.next = head
            head.prev = head
            while due.next != &due:
                timer = due.next
                unlink(timer)
                if timer.deadline_ms == 0:
                    continue
                if timer.deadline_ms > self.wheel_ms:
                    timer.due_ms = timer.deadline_ms
                    self.link(timer)
                    continue
                timer.deadline_ms = 0
                channel = <Channel>timer.owner
                try:
                    channel.on_deadline()
                except BaseException as fault:
                    self.guard(channel, fault)

    def tick(self):
        """Turns the wheel and calls the hooks; every 100 ms."""
        if self.is_closed:
            return
        self.tick_handle = self.loop.call_later(TICK_MS / 1000.0, self.tick)
        self.refresh_clock()
        enter(self.mark, self.now_ns)
        self.turn_wheel()
        for hook in self.tick_hooks:
            try:
                hook(self.now_ms)
            except Exception as fault:
                self.faults += 1
                self.loop.call_exception_handler({"message": "a tick hook failed", "exception": fault})
        leave(self.mark)
        if not self.is_polling and self.graveyard:
            self.graveyard = []

    def add_tick_hook(self, hook):
        """Calls ``hook(now_ms)`` every 100 ms until the reactor is closed."""
        self.tick_hooks.append(hook)

    # -- for the rest of the worker ---------------------------------------------------------------------------------

    @property
    def time_ns(self):
        """The reactor's clock (CLOCK_MONOTONIC, nanoseconds), read now."""
        self.refresh_clock()
        return self.now_ns

    def statistics(self):
        return ReactorStatistics(self.channels, self.batches, self.events_seen, self.faults, len(self.ready))

    def close(self):
        """Stops polling and ticking. Channels still open are the caller's to close."""
        if self.is_closed:
            return
        self.is_closed = True
        self.loop.remove_reader(self.epoll_fd)
        if self.tick_handle is not None:
            self.tick_handle.cancel()
        self.tick_hooks = []

    def __repr__(self):
        return f"<Reactor {self.channels} channels, {self.batches} batches, {self.events_seen} events>"


def _raise(fault):
    raise fault
