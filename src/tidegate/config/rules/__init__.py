"""What a configuration means as a whole: each rule looks at the well-formed sections and says what cannot work.

- `references`: names that no table declares, secrets.
- `files`: certificates, keys and other files.
- `sockets`: addresses that are taken twice, or lead back to the gateway.
- `cores`: cores that workers are to run on.
- `upstreams`: pools, and options that have no effect.
- `redis`: what is said of a server of Redis and has no effect, or contradicts itself.
- `auth`: keys that two would have, and fields that cannot have a key.
- `fields`: names of fields, as the others compare them.
- `classes`: classes of traffic that there are, and shares of theirs.
- `limits`: options that do not fit together, and limits that are asked where what they need is not known.
- `routes`: what a route does, its regexes and captures, and whether it can match at all.
- `logs`: fields and formats of the access log.
- `filters`: classes and their options.
"""
