"""What we draw for people, in a real browser: nothing is cut off, nothing is asked of the network, scripts run."""

import pytest
from tests.bench.outcomes import ASKED, failing
from tests.browser import browser, needs_browser
from tests.lab.playing import Leak, played

from tidegate.bench.document import document_of
from tidegate.bench.page import page as load_page
from tidegate.lab.page import page as incidents_page
from tidegate.profile.flame_graph import page as flame_page
from tidegate.profile.flame_graph import picture
from tidegate.profile.stacks import Stacks

pytestmark = [pytest.mark.e2e, needs_browser]


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def stacks():
    made = Stacks("samples")
    made.add(["main", "serve", "parse"], 30)
    made.add(["main", "serve", "send"], 60)
    made.add(["main", "idle"], 10)
    return made


PAGES = {
    "load": lambda: load_page(document_of(failing(), ASKED, began_unix_s=0)),
    "incidents": lambda: incidents_page(played(Leak(), Leak(through=1)), 0),
    "flames": lambda: flame_page(stacks(), "CPU", ["a note"]),
}


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_at_any_width_and_the_browser_has_no_complaint(name, width, tab, tmp_path):
    path = tmp_path / f"{name}.html"
    path.write_text(PAGES[name]())
    tab.complaints.clear()
    tab.open(path, width)
    assert tab.complaints == []
    assert tab.script("document.compatMode") == "CSS1Compat"
    assert tab.script("document.documentElement.scrollWidth <= innerWidth"), "it has to be scrolled sideways"
    assert tab.script("performance.getEntriesByType('resource').length") == 0
    # Of every picture and table each piece lies within the window.
    outside = """[...document.querySelectorAll('svg, svg text, table')].filter(one => {
        const box = one.getBoundingClientRect();
        return box.width && (box.left < -1 || box.right > innerWidth + 1);
    }).map(one => one.textContent.slice(0, 40))"""
    assert tab.script(outside) == []


WIDTHS = """Object.fromEntries([...document.querySelectorAll('g.box')].map(one =>
    [one.dataset.name, Math.round(one.getBoundingClientRect().width)]))"""


@pytest.mark.parametrize("kind", ["html", "svg"])
def test_box_that_is_clicked_becomes_as_wide_as_the_picture(kind, tab, tmp_path):
    path = tmp_path / f"flames.{kind}"
    path.write_text(flame_page(stacks(), "CPU", []) if kind == "html" else picture(stacks(), "CPU"))
    tab.open(path)
    before = tab.script(WIDTHS)
    assert before["serve"] == pytest.approx(0.9 * before["all"], abs=3)
    place = """(box => [box.left + 5, box.top + box.height / 2])(
        document.querySelector("g.box[data-name='send'] rect").getBoundingClientRect())"""
    tab.click(*tab.script(place))
    after = tab.script(WIDTHS)
    assert after["send"] == pytest.approx(after["all"], abs=3)
    assert after["parse"] == after["idle"] == 0
    tab.click(*tab.script(place.replace("send", "all")))
    assert tab.script(WIDTHS) == before
