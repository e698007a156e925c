"""Tidegate: an API gateway and push gateway with a compiled data plane."""

__version__ = "0.1.0.dev0"
