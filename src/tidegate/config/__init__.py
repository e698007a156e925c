"""What the operator said.

    file ─ load ─> tree with positions ─ check ─> findings, or a Gateway ─ snapshot ─> bytes for every worker

- `schema` declares every option once, in the module of its noun: `server`, `listeners`, `upstreams`, `redis`, `routes`,
  `filters`, `logs`; `kinds` are the markers an option's type is made of, `section` the base of the dataclasses.
- `values` and `patterns` read durations, sizes, addresses, hosts and paths.
- `options` lets a filter class declare its own options the same way.
- `load` reads TOML or YAML and keeps line and column of everything; `check` finds all that is wrong at once;
  `findings` are what it says, `child` does it in a process of its own.
- `rules` are what a configuration means as a whole, `structure` whether its parts are well-formed.
- `declarations` are the options as values: `json_schema` and `manual` are made from them.
- `snapshot` is the validated result, immutable, and the only thing that leaves this room at run time.

Workers import `schema`, `values`, `patterns`, `options`, `secrets` and `snapshot`; never `load`, `check` or `manual`.
"""
