"""[classes]."""

from tests.config.gateways import PLAIN, accepted

from tidegate.limits.classes import Classes


def test_without_classes_all_requests_are_alike() -> None:
    gateway = accepted(PLAIN)
    assert gateway.classes.names == ()
    assert [route.traffic_class for route in gateway.routes] == [None]
    assert Classes(gateway.classes).count == 1


def test_classes_are_in_the_order_of_the_file() -> None:
    text = '[classes]\nnames = ["gold", "silver"]\npriorities = { gold = 5 }\nheader = "X-Class"\n'
    classes = accepted(PLAIN + text).classes
    assert classes.names == ("gold", "silver")
    assert dict(classes.priorities) == {"gold": 5}
    assert (classes.default, classes.header, classes.header_raises) == (None, "X-Class", False)
