"""Tidegate: an API gateway and push gateway with a compiled data plane."""
