"""Whom to ask, and over which connection.

An ``Upstream`` is a group of ``Endpoint``s and a way to ``pick`` one of them (``balance``). Each endpoint has a
``Peer``, which is everything that makes a connection interchangeable, and for it a ``Pool``, which says in one step
whether there is a connection, room to dial, or a wait. ``Pools`` keeps the pools of a worker across snapshots.
``build`` makes an upstream from the configuration, ``discover`` keeps its endpoints up to date, ``retry`` says what may
be sent twice.
"""
