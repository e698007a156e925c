"""Downstream connections: accept, read heads and bodies, answer, close with care."""
