import sys
import weakref

from tidegate.observe.heap_census import count_objects


class Kept:
    """What is looked for."""


class Lying:
    def __sizeof__(self):
        raise RuntimeError("no")

    @property
    def __class__(self):
        raise RuntimeError("no")


def census():
    steps = count_objects()
    count = 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            return end.value, count


def named(one):
    return f"{__name__}.{one.__qualname__}"


def test_objects_are_counted_by_their_type_with_their_size():
    kept = [Kept() for _ in range(7)]
    found, _ = census()
    count, size = found[named(Kept)]
    assert count == len(kept) and size == sum(map(sys.getsizeof, kept))
    kept += [Kept() for _ in range(500)]
    assert census()[0][named(Kept)][0] == len(kept) == 507


def test_it_stops_often_and_holds_nothing_at_the_end():
    kept = Kept()
    gone = weakref.ref(kept)
    found, steps = census()
    assert steps >= sum(count for count, _ in found.values()) // 200
    del kept, found
    assert gone() is None


def test_a_class_that_lies_or_a_proxy_of_something_dead_is_counted_all_the_same():
    target = Kept()
    lying, proxy = Lying(), weakref.proxy(target)
    del target
    found, _ = census()
    assert found[named(Lying)] == [1, 0]
    assert lying is not None and type(proxy) is weakref.ProxyType
