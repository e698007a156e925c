import json

from tidegate.profile.speedscope import speedscope
from tidegate.profile.stacks import Stacks


def test_frames_are_told_once_and_samples_by_their_numbers():
    stacks = Stacks("seconds")
    stacks.add(["a", "b"], 1.5)
    stacks.add(["a", "c", "a"], 0.5)
    document = json.loads(json.dumps(speedscope(stacks, "t")))
    (profile,) = document["profiles"]
    names = [one["name"] for one in document["shared"]["frames"]]
    assert [[names[number] for number in sample] for sample in profile["samples"]] == [["a", "b"], ["a", "c", "a"]]
    assert sorted(names) == ["a", "b", "c"]
    assert profile["weights"] == [1.5, 0.5] and (profile["startValue"], profile["endValue"]) == (0, 2.0)
    assert (profile["type"], profile["unit"]) == ("sampled", "seconds")
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
