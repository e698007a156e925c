"""Pages of HTML, read: every element that is opened is closed, and what a person sees of them."""

from html.parser import HTMLParser

EMPTY = {"meta", "line", "rect", "polyline", "br"}


class Checked(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        self.text.append(data)


def read(made):
    """The page, and its text with blanks made one."""
    parser = Checked()
    parser.feed(made)
    assert parser.open == []
    return made, " ".join(" ".join(parser.text).split())
