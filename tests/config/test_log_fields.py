"""Fields and formats of the access log, as configuration names them."""

import pytest

from tidegate.config.log_fields import COMBINED, DEFAULT_FIELDS, FIELDS, check_fields, split_format


def test_default_fields_are_known_and_in_the_order_of_the_manual():
    names = [field.name for field in FIELDS]
    check_fields(DEFAULT_FIELDS)
    assert list(DEFAULT_FIELDS) == [name for name in names if name in DEFAULT_FIELDS]
    assert len(set(names)) == len(names)


def test_format_is_literals_and_names():
    assert split_format("{{a}} {client}-{status}.") == [("{a} ", "client"), ("-", "status"), (".", "")]
    assert split_format("") == [("", "")]
    assert [name for _, name in split_format(COMBINED)] == [
        "client", "time_combined", "request", "status", "bytes_out", "referer", "user_agent", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "piece"), [("{nope}", "{nope}"), ("{", "{"), ("{client", "{"), ("}", "}"), ("{}", "{}")]
)
def test_unknown_piece_is_named(text, piece):
    with pytest.raises(ValueError, match="no field") as raised:
        split_format(text)
    assert repr(piece) in str(raised.value)


@pytest.mark.parametrize("text", ["a\nb", "{client}\r", "\x00", "\x7f"])
def test_control_character_is_refused(text):
    with pytest.raises(ValueError, match="control character"):
        split_format(text)
