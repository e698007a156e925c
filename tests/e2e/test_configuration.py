"""Looking at the configuration of a gateway as people start it, and trying to change it: over TCP and the socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket

import pytest
from benchmarks.ports import free_port
from tests.cli.command import tidegate
from tests.e2e.test_processes import ask, running
from tests.process.gateway import eventually

from tidegate.config.source import user

pytestmark = pytest.mark.e2e

TEXT = """
[server]
workers = {workers}
admin = "127.0.0.1:{admin}"
{server}
[[listeners]]
bind = "127.0.0.1:{port}"
[access_log]
path = "off"
{more}
[[routes]]
name = "hello"
path = "/hello"
respond = {{ body = "{hello}" }}
"""
NAMES = {"admin", "port", "server", "more", "workers"}


class Running:
    """A gateway of a file that can be written anew."""

    def __init__(self, directory, server="", more="", workers=1):
        self.workers = workers
        self.directory = directory
        self.path = directory / "gateway.toml"
        self.admin, self.port = free_port(), free_port()
        self.server, self.more = server, more
        self.write()

    def text(self, hello="one"):
        return TEXT.format(**{name: value for name, value in vars(self).items() if name in NAMES}, hello=hello)

    def write(self, hello="one", extra=""):
        beside = self.path.with_suffix(".new")
        beside.write_text(self.text(hello) + extra)
        beside.replace(self.path)

    def command(self, *arguments):
        return tidegate(*arguments, environment={"TIDEGATE_RUNTIME_DIR": str(self.directory / "run")}, timeout=60)

    def api(self, method, target, body=None, **headers):
        """Status, headers and document, through the unix socket."""
        connection = http.client.HTTPConnection("localhost", timeout=50)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(50)
        connection.sock.connect(str(self.directory / "run" / f"{self.pid}.sock"))
        return self._exchange(connection, method, target, body, headers)

    def tcp(self, method, target, body=None, **headers):
        """The same over TCP."""
        return self._exchange(
            http.client.HTTPConnection("127.0.0.1", self.admin, timeout=50), method, target, body, headers
        )

    @staticmethod
    def _exchange(connection, method, target, body, headers):
        with contextlib.closing(connection):
            connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())

    def hello(self):
        return ask(f"127.0.0.1:{self.port}", "/hello")[2].decode()

    def status(self):
        return json.loads(ask(f"127.0.0.1:{self.admin}", "/status")[2])


@contextlib.contextmanager
def gateway(tmp_path, server="", more="", workers=1, **environment):
    one = Running(tmp_path, server, more, workers)
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with running(tmp_path, "run", one.path) as supervisor:
            one.pid, one.supervisor = supervisor.pid, supervisor
            yield one
    finally:
        os.environ.clear()
        os.environ.update(before)


SECRET = "scrypt:14:8:1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
STAFF = f'[filters.staff]\nclass = "tidegate.filters.basic_auth:BasicAuth"\nusers = {{ ann = "{SECRET}" }}\n'


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A gateway that nothing changes: it is looked at, and what it is asked to become is refused or the same."""
    server = 'admin_token = "env:TIDEGATE_TEST_TOKEN"\nstate_dir = "kept"'
    with gateway(tmp_path_factory.mktemp("one"), server, STAFF, TIDEGATE_TEST_TOKEN="s3cret") as same:
        yield same
        assert same.status()["snapshot"]["number"] == 1
        assert same.hello() == "one"


def test_active_configuration_is_shown_with_its_name(one):
    status, headers, document = one.api("GET", "/config")
    assert (status, headers["Tidegate-Configuration"]) == (200, "1")
    assert document["routes"][0]["respond"] == {"body": "one"}
    told = one.status()["snapshot"]
    assert headers["ETag"] == f'"{told["etag"]}"'
    assert (told["kind"], told["source"], told["by"]) == ("file", str(one.path), user(os.geteuid()))


def test_secrets_are_never_shown(one):
    for target in ("/config", "/config/history", "/status"):
        document = json.dumps(one.api("GET", target)[2])
        assert "AAAAAAAA" not in document
        assert "s3cret" not in document
    assert one.api("GET", "/config")[2]["filters"]["staff"]["users"]["ann"].startswith("digest:")


def test_configuration_is_tried_and_nothing_changes(one):
    status, _, document = one.api("POST", "/config/validate", one.text("two"))
    assert (status, document["result"], document["number"]) == (200, "valid", 1)
    status, _, document = one.api("POST", "/config/validate", one.text("two") + "x = 1\n")
    assert (status, document["result"]) == (422, "invalid")
    assert document["findings"][0]["path"] == "routes[0].x"
    assert document["findings"][0]["line"] > 1
    assert one.hello() == "one"


def test_change_names_what_it_changes(one):
    assert one.api("PUT", "/config", one.text("two"))[0] == 428
    assert one.api("PUT", "/config", one.text("two"), If_Match='"other"')[0] == 412
    assert one.api("PUT", "/config", "x = 1", If_Match="*")[0] == 422
    assert one.api("PUT", "/config", b"\xff", If_Match="*")[0] == 422
    assert one.api("PUT", "/config", one.text(), If_Match="*", Content_Type="image/png")[0] == 415
    assert one.api("POST", "/config/rollback", '{"number": 9}', Content_Type="application/json")[0] == 404
    assert one.hello() == "one"
    assert one.status()["snapshot"]["number"] == 1


def test_api_has_no_say_in_whose_code_runs(one):
    changed = one.text().replace("[server]\n", '[server]\nfilter_packages = ["os"]\n')
    status, _, document = one.api("PUT", "/config", changed, If_Match="*")
    assert status == 422
    assert [finding["path"] for finding in document["findings"]] == ["server.filter_packages"]


def test_token_opens_the_commands_over_tcp(one):
    assert one.tcp("GET", "/config")[0] == 401
    assert one.tcp("POST", "/stop", "{}", Authorization="Bearer wrong")[0] == 401
    assert one.tcp("GET", "/config", Authorization="Bearer s3cret")[0] == 200
    assert one.tcp("GET", "/config", Authorization="Bearer s3cret", Host="evil.example")[0] == 421
    _, _, outcome = one.tcp("POST", "/reload", Authorization="Bearer s3cret")
    assert (outcome["result"], outcome["by"]) == ("unchanged", "token env:TIDEGATE_TEST_TOKEN")


def test_state_is_kept_where_it_is_said(one):
    last_good = one.directory / "kept" / "last-good.toml"
    eventually(last_good.exists, "the last good configuration is kept")
    assert last_good.read_text() == one.text()
    assert [entry["number"] for entry in one.api("GET", "/config/history")[2]] == [1]


def test_second_start_with_one_state_directory_hears_who_has_it(tmp_path):
    with gateway(tmp_path, 'state_dir = "kept"') as one:
        other = tmp_path / "other.toml"
        other.write_text(one.text().replace(str(one.admin), str(free_port())).replace(str(one.port), str(free_port())))
        done = one.command("run", other)
        assert done.returncode == 1
        assert done.stderr == (
            f"tidegate: another gateway (pid {one.pid}) keeps its state in {tmp_path / 'kept'} already "
            "(stop it, or give this one another server.state_dir)\n"
        )
        # The one that has it keeps it in an upgrade, and loses it with its life.
        assert one.command("upgrade").returncode == 0
        assert f"(pid {one.pid}) keeps its state" in one.command("run", other).stderr
        one.supervisor.signal(signal.SIGKILL)
        one.supervisor.wait()
        with running(tmp_path, "run", other) as second:
            assert second.pid != one.pid


def test_last_good_one_is_told_of_and_started_with_when_asked(tmp_path):
    with gateway(tmp_path) as one:
        eventually(lambda: one.api("GET", "/config/history")[2], "it is kept")
    one.write("two", "x = 1\n")
    done = one.command("run", one.path)
    assert done.returncode == 3
    assert f"to start with it: tidegate run --last-good {one.path}" in done.stderr
    with running(tmp_path, "run", "--last-good", one.path):
        assert one.hello() == "one"
        snapshot = one.status()["snapshot"]
        assert (snapshot["number"], snapshot["kind"]) == (1, "last-good")


def test_watched_file_that_becomes_invalid_is_said_once(tmp_path):
    with gateway(tmp_path, "watch = true") as one:
        one.write("two", "x = 1\n")
        one.supervisor.hear(r"kind=not_reloaded by=watch .*routes\[0\].x: unknown field")
        one.write("two", "y = 1\n")
        one.supervisor.hear(r"kind=not_reloaded by=watch .*routes\[0\].y: unknown field")
        assert one.status()["snapshot"]["last_reload"]["result"] == "invalid"
        assert one.hello() == "one"


def test_reload_of_what_is_invalid_or_takes_a_restart(tmp_path):
    with gateway(tmp_path) as one:
        done = one.command("reload")
        assert (done.returncode, "nothing has changed" in done.stdout) == (0, True)
        one.write("two", "x = 1\n")
        done = one.command("reload")
        assert (done.returncode, done.stdout) == (3, "")
        line = one.path.read_text().count("\n")
        assert f"{one.path}:{line}: routes[0].x: unknown field" in done.stderr
        one.path.write_text(one.text("two").replace("workers = 1", "workers = 2"))
        done = one.command("reload")
        assert done.returncode == 3
        assert f"{one.path}:3: server.workers: changing this takes a restart; it is 1 now" in done.stderr
        assert one.hello() == "one"
