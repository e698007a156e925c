"""The header of the region, packed and parsed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.layout import HEADER_SIZE, pack_header, parse_header, plan

PARTS = st.lists(
    st.tuples(
        st.text("abcdefgh", min_size=1, max_size=15),
        st.integers(1, 100).map(lambda n: n * 64),
        st.just(0),
    )
    | st.tuples(st.text("stuvwxyz", min_size=1, max_size=15), st.just(0), st.integers(1, 10_000)),
    max_size=10,
    unique_by=lambda part: part[0],
)


@given(st.integers(1, 1024), PARTS)
def test_header_reads_back_as_planned(slots, parts):
    layout = plan(slots, parts)
    assert parse_header(pack_header(layout), layout.size) == layout


@given(st.integers(1, 64), PARTS)
def test_sections_do_not_overlap_and_start_on_pages(slots, parts):
    layout = plan(slots, parts)
    end = HEADER_SIZE
    for section in layout.sections.values():
        assert section.offset >= end
        assert section.offset % 4096 == 0
        end = section.offset + section.size
    assert layout.size >= end


@given(st.binary(max_size=200), st.integers(0, 1 << 20))
def test_any_bytes_are_refused_with_words(start, size):
    with pytest.raises(ValueError, match=r"region"):
        parse_header((b"TIDEGATE" + start).ljust(HEADER_SIZE, b"\0"), size)


@pytest.mark.parametrize("parts", [[("a" * 16, 64, 0)], [("", 64, 0)], [("a", 63, 0)], [("a", 64, 0), ("a", 64, 0)]])
def test_parts_that_cannot_be_laid_out_are_refused(parts):
    with pytest.raises(ValueError, match="section"):
        plan(2, parts)


def test_generations_share_sockets_and_have_slots_of_their_own():
    layout = plan(6, [("marks", 64, 0)], workers=3)
    assert parse_header(pack_header(layout), layout.size).workers == 3
    assert plan(6, [("marks", 64, 0)]).workers == 6
