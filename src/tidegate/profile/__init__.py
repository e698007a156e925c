"""Where a worker's time and memory go, as flame graphs.

    sampler       asks py-spy for where the threads of a process are, a hundred times a second
    stacks        stacks with a weight: what all of it becomes; read, merged, put under a root
    measurements  asks the gateway: how loops were held, what was allocated, which objects live
    flame_graph   stacks as an SVG picture or an HTML page
    speedscope    stacks as a file for speedscope.app
    ctrl_c        ends what runs without losing what there is
    output        which of these a file name asks for

Nothing here runs inside the gateway; what does is in `observe.heap_census`, `observe.allocations`,
`observe.blocked_time` and `process.measurement`.
"""
