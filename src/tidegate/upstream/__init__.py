"""Whom to ask: an ``Upstream`` is a group of ``Endpoint``s; each has a ``Peer``, and for it a ``Pool``."""
