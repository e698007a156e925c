"""A restart under too much load: what is concluded from the answers."""

from collections import Counter

from benchmarks.trouble.overload import CAPACITY, SECONDS, SETTLED_S, Told, by_second, verdicts

GREEN = Counter({"200 ": 100})


def answers(second, served=int(CAPACITY), shed=int(CAPACITY), other=0):
    return [Told(1000.0 + second, 0.5, status) for status in (*[200] * served, *[503] * shed, *[0] * other)]


def missed(replaced=(), health=GREEN):
    """The demands that are missed when these seconds were not as they should be."""
    told = [one for second in range(SECONDS) for one in dict(replaced).get(second, answers(second))]
    return [one.demand for one in verdicts(by_second(told, 1000.0), health) if not one.met]


def test_a_start_that_sheds_at_once_and_serves_what_it_can_meets_all():
    # While it starts there may be requests that nobody hears, and less is served.
    assert missed({0: answers(0, served=10, other=30), 5: answers(5, served=10)}) == []


def test_each_goal_is_missed_by_its_own_trouble():
    (nobody,) = missed({0: answers(0, shed=0)})
    assert nobody.startswith("fewest refused by 503")
    (goodput,) = missed({SETTLED_S: answers(SETTLED_S, served=int(CAPACITY * 0.8))})
    assert goodput.startswith("lowest goodput")
    (lost,) = missed({SETTLED_S: answers(SETTLED_S, other=1)})
    assert lost.startswith("neither served nor refused")
    (red,) = missed(health=GREEN + Counter({"503 no worker serves": 1}))
    assert red.startswith("/health/ready not 200")


def test_an_answer_counts_when_it_came():
    seconds = by_second([Told(999.5, 0.4, 0), Told(999.5, 0.6, 200), Told(1000.5, 1.5, 503)], 1000.0)
    assert [(len(one.served_s), one.shed, one.other) for one in seconds[:3]] == [(1, 0, 0), (0, 0, 0), (0, 1, 0)]
    assert sum(one.other for one in seconds) == 0
