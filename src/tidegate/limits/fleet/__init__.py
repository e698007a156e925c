"""Limits of a whole fleet: what many gateways allow together, through a store (Valkey or Redis) that they share.

    request ─ limit ─ lease table (shared memory) ─ lender ─ script ─ store
                take                                  borrow    one bucket a key

- `allowance` is the arithmetic of one allowance: how much is borrowed at a time, what a node may lend to itself while
  the store is away, and how much more than the limit can pass at worst.
- `scripts` run in the store, by the store's clock: they hold the one bucket of a key that all nodes borrow from.
- `nodes` tells how many gateways there are: each says every second that it is there.
- `stores` are those of a worker: it has a lender for each limit, and tells what they did.
- `lender` borrows for the keys that are asked for, gives back what was not used, and decides when the store cannot.
- `exact` asks for several limits of one request as one; `paper` counts what a dry run of such a limit came to.
- `permits` borrows what may be under way at once, as it is no use of a credit: it comes back.

A request takes credits from cells that all workers of its machine share (``memory.leases``), and waits for nobody while
there are some. The first one of a key waits for the store, ``latency_cap`` at most.
"""
