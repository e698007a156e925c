"""What the fuzzers start from: the inputs of the vectors."""

from tests.wire.vectors import load

KINDS = ("request", "response", "chunked", "path", "scan")
FAVOUR = 6  # what is accepted comes so many times as often: one change then still leaves something to compare


def corpus(kind: str) -> list[bytes]:
    if kind == "path":
        return [case.all["path"].encode("latin-1") for case in load("paths.json")]
    file = {"response": "responses.json", "chunked": "chunked.json"}.get(kind, "requests.json")
    # Long inputs cost time and find nothing that a short one with a small limit would not.
    cases = [case for case in load(file) if len(case.input) < 400]
    return [case.input for case in cases for _ in range(1 if case.refused else FAVOUR)][:1024]
