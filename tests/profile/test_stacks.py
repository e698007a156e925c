from tidegate.profile.stacks import Stacks, parse_folded

TEXT = """thread (0x1);main (a.py:1);f (a.py:2) 3
thread (0x1);main (a.py:1) 2
thread (0x1);main (a.py:1);f (a.py:2) 4

no weight here
3
"""


def test_what_py_spy_writes_is_read_and_the_rest_passed_over():
    stacks = parse_folded(TEXT)
    assert stacks.weights == {
        ("thread (0x1)", "main (a.py:1)", "f (a.py:2)"): 7,
        ("thread (0x1)", "main (a.py:1)"): 2,
    }
    assert stacks.total == 9 and stacks.unit == "samples"
    assert parse_folded("").weights == {}


def test_measurements_are_put_together_under_their_roots():
    stacks = Stacks("samples")
    stacks.add_all({("a",): 1}, "worker 0")
    stacks.add_all({("a",): 2}, "worker 1")
    stacks.add_all({("a",): 3})
    assert stacks.weights == {("worker 0", "a"): 1, ("worker 1", "a"): 2, ("a",): 3}


def test_folded_text_is_read_back():
    stacks = parse_folded(TEXT)
    assert parse_folded(stacks.folded()) == stacks
    odd = Stacks("bytes")
    odd.add(["a;b\nc", "d"], 1.5)
    assert odd.folded() == "a,b c;d 1.5\n"
