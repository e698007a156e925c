"""Every kind of finding, as data: ``cases/NAME.toml``, and in ``cases/NAME.txt`` what ``tidegate check`` prints for it.

``{dir}`` in either is the directory of the case. ``python -m tests.config.test_check`` writes the .txt files anew, to
be read before they are committed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
import yaml

from tidegate.config.check import check, check_text
from tidegate.config.findings import render
from tidegate.config.load import load_text

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.toml"))
NO_YAML = {"duplicates", "syntax", "values"}  # said in YAML, these are other mistakes: test_load_yaml


def furnish(directory: Path) -> None:
    """The files that the cases name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server = authority.issue_cert("api.example.com")
    server.private_key_pem.write_to_path(directory / "server.key")
    for blob in server.cert_chain_pems:
        blob.write_to_path(directory / "server.pem", append=True)
    authority.issue_cert("other.example.com").private_key_pem.write_to_path(directory / "other.key")
    command = ["openssl", "pkey", "-aes128", "-passout", "pass:secret", "-in", "server.key", "-out", "encrypted.key"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    (directory / "garbage.pem").write_text("-----BEGIN NOTHING-----\n")
    (directory / "secret.txt").write_text("hunter2\n")


def printed(name: str, directory: Path) -> str:
    shutil.copy(CASES / f"{name}.toml", directory)
    file = directory / f"{name}.toml"
    file.write_text(file.read_text().replace("{dir}", str(directory)))
    snapshot, findings = check(file)
    assert (snapshot is None) == any(finding.severity == "error" for finding in findings)
    return render(findings).replace(str(directory), "{dir}").replace(str(CASES), "{cases}") + "\n"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cases")
    furnish(directory)
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_case_has_these_findings_and_no_others(name: str, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CASES)
    assert printed(name, furnished) == (CASES / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_YAML])
def test_yaml_has_the_same_findings(name: str, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CASES)
    text = (CASES / f"{name}.toml").read_text().replace("{dir}", str(furnished))
    tree = load_text(text, file=f"{name}.toml").tree
    as_yaml = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    _, toml = check_text(text, directory=furnished)
    _, twin = check_text(as_yaml, directory=furnished, is_yaml=True)

    def without_lines(findings: list) -> list[tuple[str, str]]:
        return sorted(
            (f.path, " ".join(w for w in f.message.split() if not w.strip(",:)").isdigit())) for f in findings
        )

    assert without_lines(twin) == without_lines(toml)
    assert all(finding.line > 0 for finding in twin)


EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("**/*.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_have_no_findings(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(example.parent)
    snapshot, findings = check(example)
    assert findings == []
    assert snapshot is not None


if __name__ == "__main__":
    import tempfile

    sys.path.insert(0, str(CASES))
    with tempfile.TemporaryDirectory() as place:
        furnish(Path(place))
        for case in NAMES:
            (CASES / f"{case}.txt").write_text(printed(case, Path(place)))
