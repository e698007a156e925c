"""The filters of an exchange, one after the other.

A plain method runs in the callback that brought the bytes. An async one, or what a plain one returned to be awaited, runs in a
task of its own while the exchange waits; the exchange then goes on inside that task. A plain one that returned a ``Later`` needs
no task: its future calls back. A wait has a ``turn``: a task or future whose turn is over (the client has gone, the time is up)
may end as it likes, and nobody listens.

While a filter's code runs, the worker's mark says so, each time a coroutine is resumed as well: who looks from outside and
finds the loop held knows by whom.

Whatever code of somebody else raises, SystemExit included, ends its exchange and nothing else.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint64_t

from tidegate.exchange.plan cimport Step
from tidegate.exchange.state cimport FILTER, NOTHING, RESPONDING, RUNNING, WAITING
from tidegate.exchange.views cimport Response, request_view, response_view
from tidegate.memory.marks cimport leave, step_into, step_out
from tidegate.memory.meters cimport EXCHANGES_ASYNC_FILTER, REQUESTS_UNAUTHENTICATED
from tidegate.net.reactor cimport Reactor
from tidegate.upstream.connection cimport UpstreamConnection

import asyncio
from types import CoroutineType

from tidegate.net.later import Later

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR


cdef bint _is_awaitable(object result):
    return type(result) is not Response and hasattr(type(result), "__await__")


cdef class Marked:
    """The rest of a filter's coroutine that has begun to wait; each time it is resumed the worker is marked as in it."""
    cdef object inner                       # iterator
    cdef object first                       # what it waits for, to be handed on
    cdef bint has_first
    cdef Reactor reactor
    cdef uint64_t place

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        cdef PySendResult result
        cdef PyObject* got = NULL
        if self.has_first:
            self.has_first = False
            value = self.first
            self.first = None
            return value
        self.reactor.begin_callback()
        step_into(self.reactor.mark, self.place)
        try:
            result = PyIter_Send(self.inner, None, &got)
        finally:
            leave(self.reactor.mark)
        value = <object>got
        Py_DECREF(value)        # it came with a reference of its own
        if result == PYGEN_RETURN:
            raise StopIteration(value)
        return value

    def throw(self, *error):
        self.reactor.begin_callback()
        step_into(self.reactor.mark, self.place)
        try:
            return self.inner.throw(*error)
        finally:
            leave(self.reactor.mark)

    def close(self):
        if hasattr(self.inner, "close"):
            self.inner.close()


cdef Marked _marked(Reactor reactor, Step step, object inner, object first):
    cdef Marked marked = Marked.__new__(Marked)
    marked.inner = inner
    marked.first = first
    marked.has_first = True
    marked.reactor = reactor
    marked.place = step.place
    return marked


cdef class Resumption:
    """What the future of a ``Later`` calls when it is done: the exchange that waits for it goes on."""
    cdef Steps exchange
    cdef Step step
    cdef object then
    cdef bint is_response
    cdef uint64_t number
    cdef uint64_t turn

    def __call__(self, future):
        cdef Steps exchange = self.exchange
        cdef Reactor reactor = exchange.context.reactor
        result = failure = None
        if exchange.turn != self.turn or exchange.waits_for != FILTER:
            return      # the exchange has ended, or gone on without it
        reactor.begin_callback()
        if future.cancelled():
            failure = RuntimeError("what the filter waited for was cancelled")
        else:
            step_into(reactor.mark, self.step.place)
            try:
                result = self.then(future)
            except BaseException as error:
                failure = error
        leave(reactor.mark)
        if exchange.turn == self.turn and exchange.waits_for == FILTER:
            exchange.go_on(self.step, self.number, self.is_response, result, failure)


cdef class Steps(Forward):

    cdef void send_head(self):
        raise NotImplementedError

    cdef void run_request_filters(self):
        cdef tuple steps = self.route.on_request
        cdef Step step
        cdef uint64_t number = self.number
        cdef uint64_t* mark = self.context.reactor.mark
        cdef uint64_t outer
        while self.step < len(steps):
            step = <Step>steps[self.step]
            self.step += 1
            view = request_view(self)
            if step.is_async:
                self.start_async(step, view, None)
                return
            outer = step_into(mark, step.place)
            try:
                result = step.call(view)
            except BaseException as error:      # whatever code of somebody else raises ends its exchange and nothing else
                step_out(mark, outer)
                self.fault(error, step.filter_name)
                return
            step_out(mark, outer)
            if self.number != number or self.client is None:
                return      # whatever ended it has answered
            if result is not None:
                if _is_awaitable(result):
                    self.start_async(step, view, result)
                else:
                    self.answered_by(step, result)
                return
        # The deadlines that begin now must not have begun before a filter that held the loop up.
        self.context.reactor.refresh_clock()
        self.pick()

    cdef void answered_by(self, Step step, object result):
        if type(result) is not Response:
            self.fault(
                TypeError(f"a filter answers with a Response or None, not {type(result).__name__}"), step.filter_name
            )
            return
        if (<Response>result).status == 401 and not self.is_replaced:
            self.context.meters.add(REQUESTS_UNAUTHENTICATED, 1)
        self.answer(<Response>result)

    cdef void start_async(self, Step step, object argument, object awaited):
        """Runs an async filter in a task of its own; the exchange waits, and goes on inside that task.

        argument: the request's view, or None for an answer's phase. awaited: what a plain method returned for this, which is
        waited for without a task if it is a ``Later``; None: an async method, which is called in the task.
        """
        cdef UpstreamConnection connection = self.connection
        cdef Resumption resumption
        if connection is not None and connection.is_reading:
            # Its bytes wait in the kernel, what was read already waits with the connection.
            connection.pause_reading()
            connection.set_deadline(0)
            connection.rehold(self.rest, self.rest_size)
        self.left_sync(EXCHANGES_ASYNC_FILTER)
        self.stage = WAITING
        self.waits_for = FILTER
        self.turn += 1
        if type(awaited) is Later:
            resumption = Resumption.__new__(Resumption)
            resumption.exchange = self
            resumption.step = step
            resumption.then = awaited.then
            resumption.is_response = argument is None
            resumption.number = self.number
            resumption.turn = self.turn
            self.task = awaited.future
            self.task.add_done_callback(resumption)
            return
        self.awaited = awaited
        # Not through ``tasks.start``: the exchange holds the reference and hears of every end itself, and this is the way
        # of a request.
        self.task = asyncio.Task(  # noqa: TID251
            self._await_filter(step, argument, awaited, self.number, self.turn), loop=self.context.loop,
            name=step.filter_name,
        )

    async def _await_filter(self, Step step, argument, awaited, uint64_t number, uint64_t turn):
        cdef Reactor reactor = self.context.reactor
        cdef PySendResult sent
        cdef PyObject* got = NULL
        result = failure = None
        self.awaited = None
        try:
            if awaited is None and argument is None:
                awaited = step.call(request_view(self), response_view(self))
            elif awaited is None:
                awaited = step.call(argument)
            inner = awaited if type(awaited) is CoroutineType else type(awaited).__await__(awaited)
            # Most never wait: those cost neither another object nor a StopIteration.
            reactor.begin_callback()
            step_into(reactor.mark, step.place)
            sent = PyIter_Send(inner, None, &got)
            leave(reactor.mark)
            result = <object>got
            Py_DECREF(result)   # it came with a reference of its own
            if sent == PYGEN_NEXT:
                result = await _marked(reactor, step, inner, result)
        except GeneratorExit:
            raise       # the loop is gone, and the task with it
        except asyncio.CancelledError:
            failure = RuntimeError("the filter's task was cancelled")   # and not by the exchange, if it still has its turn
        except BaseException as error:
            failure = error
        leave(reactor.mark)
        if self.turn == turn and self.waits_for == FILTER:      # it has not ended, nor gone on without this
            self.go_on(step, number, argument is None, result, failure)

    cdef void go_on(self, Step step, uint64_t number, bint is_response, object result, object failure):
        """After a wait for a filter that nobody has cut short: with its result, or with why there is none."""
        cdef Reactor reactor = self.context.reactor
        try:
            reactor.begin_callback()
            self.task = None
            self.waits_for = NOTHING
            self.stage = RUNNING
            if failure is not None:
                self.fault(failure, step.filter_name)
            elif result is not None:
                self.is_replaced = is_response
                self.answered_by(step, result)
            elif is_response:
                self.run_response_filters()
            else:
                self.run_request_filters()
        except Exception as error:
            if self.number == number and self.client is not None:
                self.client.on_fault(error)
        finally:
            leave(reactor.mark)

    cdef void run_response_filters(self):
        cdef tuple steps = self.route.on_response
        cdef Step step
        cdef UpstreamConnection connection
        cdef uint64_t number = self.number
        cdef uint64_t* mark = self.context.reactor.mark
        cdef uint64_t outer
        while self.step < len(steps):
            step = <Step>steps[self.step]
            self.step += 1
            if step.is_async:
                if self.is_out_of_time:
                    continue        # the answer is that time is up: nothing is waited for any more
                self.start_async(step, None, None)
                return
            outer = step_into(mark, step.place)
            try:
                result = step.call(request_view(self), response_view(self))
            except BaseException as error:
                step_out(mark, outer)
                self.fault(error, step.filter_name)
                return
            step_out(mark, outer)
            if self.number != number or self.client is None:
                return
            if result is not None:
                if _is_awaitable(result):
                    if self.is_out_of_time:
                        if hasattr(result, "close"):
                            result.close()
                        continue
                    self.start_async(step, None, result)
                else:
                    self.is_replaced = True
                    self.answered_by(step, result)
                return
        connection = self.connection
        if connection is None or connection.is_reading:
            self.send_head()
            return
        # An async filter has run: what came behind the head waited with the connection.
        self.rest = connection.held
        self.rest_size = connection.held_size
        connection.resume_reading()
        connection.touch()
        self.send_head()
        if self.number == number and self.connection is connection:
            connection.drop_held()
            if not self.body_done and self.stage == RESPONDING:
                self.client.pump_body()     # what came of the request's body meanwhile
