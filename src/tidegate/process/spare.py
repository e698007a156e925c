"""A worker before it has a place: started ahead, with everything imported, for the one that dies next.

Most of what a new worker takes until it serves is the start of an interpreter and its imports. The spare has that
behind it, so whoever waits in a dead worker's sockets waits for some hundredths of a second. It is a fresh interpreter
as any worker, and holds nothing but descriptors: it maps no shared memory, has no slot, and accepts nobody before it is
told its place.
"""

import gc
import os
import select
import sys

import msgspec

from tidegate.process.channel import Channel, ChannelClosed
from tidegate.process.messages import Prepared, TakePlace, WorkerMessage, WorkerOrder
from tidegate.process.service import load_service
from tidegate.process.worker import begin, live

__all__ = ["main", "wait_for_place"]


def wait_for_place(order: WorkerOrder, channel: Channel[WorkerMessage]) -> WorkerOrder:
    """In the spare: imports all that serving needs, reports, and returns the order with the place it is told.

    Raises:
        ChannelClosed: the supervisor is gone.
    """
    load_service(order.service)
    gc.collect()
    gc.freeze()  # so that the collector has nothing to do with it when every hundredth counts
    channel.send(Prepared())
    ready = select.poll()
    ready.register(channel, select.POLLIN)
    while True:
        ready.poll()
        message = channel.receive()
        if isinstance(message, TakePlace):
            break
    for fd in {one.fd for one in order.listeners} - {one.fd for one in message.listeners}:
        os.close(fd)
    return msgspec.structs.replace(order, slot=message.slot, listeners=message.listeners, snapshot_fd=message.fd)


def main() -> int:
    """Waits by the order in the descriptor named by the first argument, then runs the worker that it became."""
    order, channel = begin(int(sys.argv[1]))
    try:
        order = wait_for_place(order, channel)
    except ChannelClosed:
        return 0
    return live(order, channel)


if __name__ == "__main__":
    sys.exit(main())
