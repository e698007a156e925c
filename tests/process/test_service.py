import pytest
from tests.process.echo_service import EchoService

from tidegate.process.service import load_service


def test_a_service_is_found_by_its_name():
    assert load_service("tests.process.echo_service:EchoService") is EchoService


@pytest.mark.parametrize("name", ["no.such.module:Class", "tests.process.echo_service:Absent"])
def test_an_unknown_one_is_an_error(name):
    with pytest.raises((ImportError, AttributeError)):
        load_service(name)
