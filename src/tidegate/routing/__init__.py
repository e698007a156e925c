"""Which route a request takes: hosts, paths, matchers, compiled once per snapshot into one ``Router``."""
