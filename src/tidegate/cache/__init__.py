"""Do we know already: values that cost something to get, kept near, and fetched once however many ask.

    Caches          those of a worker by name; they outlive snapshots
    Cache           what callers see: get, set, invalidate, pin
    Loaded          what a load may return: a value with its time and its tags
    Question        a load that most often is one question, and then needs no task
    Shelf, Entry    compiled: the values at hand, and the way to one that is fresh, which nothing waits on
    Space           which of them stay when there is no room: bounded in bytes
    Sketch          how often keys were asked for, also of those that did not stay
    Lifetimes       fresh, stale, ended: arithmetic on times
    Flights         one fetch for each key in this worker, and who waits for it
    Limit, Run      how long loads may take: one timer for all of them
    Patience        how long callers wait: one timer for all of them
    Fetcher         one fetch for the machine or the fleet: Redis, then the origin
    MachineTier     what all workers share, and what outlives them
    decoding        a large JSON text as its value, a piece at a time
    Remote          what others find in Redis; Head is what is known of a value there
    Lease           who fetches for a fleet
    Bus             what was invalidated by other machines
    Source          what tells by itself what is in it and what changes: RedisKeys, FileMembers
    Follower        a cache that has all of a source, and hears what changes
    Untold          invalidations that Redis could not be told, until it can
    Maker, Names    entries, and what they are called by who shares them

A caller asks the Cache. What is on its Shelf or in the MachineTier and fresh is there at once. Else the caller joins
the flight for that key. The Fetcher looks into Redis, and the first caller's ``load`` asks the origin; the value goes
to all tiers, and on the shelf, where Space may have to put others out for it.
"""
