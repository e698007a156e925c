"""Sockets and readiness: the reactor that a worker's connections live on.

A ``Reactor`` is one epoll inside the event loop; a ``Channel`` is one registered descriptor with its deadline. A
``Later`` is a wait for a future without a task.
"""
