import json

import pytest
from tests.cli.command import configuration, tidegate


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(configuration(8080, 9900))
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(
        configuration(8080, 9900).replace("workers", "wrokers") + '\n[[routes]]\nname = "b"\nupstream = "no"\n'
    )
    return path


def test_valid_is_0_and_says_what_is_there(good):
    done = tidegate("check", good)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{good}: valid (1 listener, 0 upstreams, 1 route; etag ")
    assert done.stderr == ""


def test_invalid_is_3_with_every_finding_at_once(bad):
    done = tidegate("check", bad)
    assert done.returncode == 3
    assert f"{bad}:3: " in done.stdout
    assert 'did you mean "workers"?' in done.stdout
    assert "2 errors" in done.stdout


def test_findings_as_json(bad):
    done = tidegate("check", bad, "--json")
    assert done.returncode == 3
    assert {finding["line"] for finding in json.loads(done.stdout)} >= {3}
    bad.write_text(configuration(8080, 9900))
    done = tidegate("check", bad, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_missing_file_is_3_in_one_line(tmp_path):
    done = tidegate("check", tmp_path / "absent.toml")
    assert done.returncode == 3
    assert "absent.toml: cannot be read: No such file or directory" in done.stdout
    assert "Traceback" not in done.stderr


def test_schema_is_json_schema():
    done = tidegate("check", "--schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "listeners" in schema["properties"]
