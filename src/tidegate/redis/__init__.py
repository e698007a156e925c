"""The link to Redis or Valkey: few connections, shared by all callers of a worker.

    client ─ link ─ node ─ lane ─ connection ─ server
      typed    whose  one      one      one
      face     key    server   queue    socket

- `client` is what callers see: typed commands, `call` for all others.
- `links` are those of a worker, by their names in the configuration; `link` makes one, `report` is for `/metrics`.
- `single` is a link to one server: it takes each command to a lane. `sentinel` is one that follows fail-overs,
  `cluster` one to many servers, by the `slots` of keys.
- `node` is one server: its lanes `control`, `data` and `bulk`, one `breaker`, and the `pace` of connecting again.
- `lane` is one connection with its queue of commands, deadlines and bounds; `pipeline` is the part of it that every
  command passes, compiled; `commands` how they are written and where their key is.
- `connection` opens and greets a socket; bytes become replies in `tidegate.wire.resp`, parsed by hiredis.
- `scripts` run in the server; `subscriber` hears what is published.
- `load` is how busy servers are, by their own account.
- `meters` are what is counted, `statistics` how it is told, `errors` what can fail.
"""
