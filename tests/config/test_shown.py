from tidegate.config.shown import difference, digest, masked, restored, shown

TREE = {"filters": {"a": {"token": 'se"cret', "names": ["x", "y"]}}}
PATH = ("filters", "a", "token")


def test_secret_is_masked_and_the_tree_is_left_alone():
    result = masked(TREE, [PATH, ("filters", "gone"), ("filters", "a", "names", 7)], b"k")
    assert result["filters"]["a"] == {"token": digest('se"cret', b"k"), "names": ["x", "y"]}
    assert TREE["filters"]["a"]["token"] == 'se"cret'


def test_digest_depends_on_the_key():
    assert digest("a", b"k") != digest("a", b"l")
    assert digest("a", b"k") == digest("a", b"k")


def test_digest_stands_for_its_secret_only():
    known, unknown = digest('se"cret', b"k"), digest("other", b"k")
    text = f'token = "{known}"\nother = "{unknown}"\n'
    assert restored(text, TREE, [PATH], b"k") == f'token = "se\\"cret"\nother = "{unknown}"\n'
    assert restored("nothing to do", TREE, [PATH], b"k") == "nothing to do"


def test_line_numbers_are_those_of_the_whole():
    lines = [str(n) for n in range(1000)]
    other = [*lines[:500], "new", *lines[501:]]
    told = difference("\n".join(lines), "\n".join(other), ("a", "b"))
    assert "@@ -498,7 +498,7 @@" in told and "-500\n+new\n" in told


def test_equal_ones_have_no_difference():
    assert difference(shown(TREE), shown(TREE), ("a", "b")) == ""


def test_long_difference_is_cut():
    told = difference("", "\n".join(str(n) * 20 for n in range(9000)), ("a", "b"))
    assert len(told) < 70_000 and told.endswith("and more\n")


def test_two_large_strangers_are_not_compared_line_by_line():
    one, other = ("\n".join(f"{name} {n}" for n in range(15_000)) for name in "ab")
    assert difference(one, other, ("a", "b")).endswith("@@ from line 1: 15000 lines are now 15000 @@\n")
