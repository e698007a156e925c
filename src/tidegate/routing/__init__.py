"""Which route a request takes: hosts, paths, matchers, compiled once per snapshot into one ``Router``.

    RouteSpec ─ ranked ─> Place per host, best first ─ Router ─> Match + captures ─> Rewrite | Redirect

- `spec`: ``RouteSpec`` is what a route wants; ``ranked`` puts every (route, host) in the one documented order.
- `reachable`: ``unreachable`` names the routes that another always beats; plain Python, for `tidegate check`.
- `table`: keyed hash table from (scope, bytes) to a number, with a bound on what any look-up can cost.
- `conditions`: what a route asks of headers and query parameters.
- `router`: hosts, then a tree of path segments; the look-up makes no Python object unless a regex is asked.
- `template`: what paths and Locations are made of, read and checked in plain Python, for `tidegate check` too.
- `rewrite`: the path that goes upstream, the Location that goes back; written into the caller's buffer.
- `regex`: user regexes, in a linear-time engine.
"""
