"""Redis servers as a whole."""

import pytest
from tests.config.gateways import PLAIN, accepted, told

MAIN = PLAIN + '[redis.main]\nurl = "redis://127.0.0.1:6379/0"\n'


def test_a_url_is_enough() -> None:
    accepted(MAIN)


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        ("batch = 3", "redis.main.batch: has no effect without `linger`"),
        ('linger = "1s"', "redis.main.linger: is not shorter than `timeout`"),
        ('linger = "5ms"\nbatch = 9\npool = { max = 8 }', "redis.main.batch: 9 commands never wait"),
        ("pool = { idle = 300 }", "redis.main.pool.idle: has no effect"),
        ('timeout = "40s"', "redis.main.bulk_timeout: is shorter than `timeout`"),
        ('user = "gate"', "redis.main: needs `password`"),
        ('tls = { ca = "nowhere.pem" }', "redis.main.tls.ca: "),
        ('tls = { cert = "nowhere.pem" }', "redis.main.tls.cert: "),
        ('cluster = true\nsentinels = ["a:1"]', "redis.main.sentinels: a cluster has none"),
        ('nodes = ["a:1"]', "redis.main.nodes: has no effect without `cluster`"),
        ('sentinel_password = "env:PATH"', "redis.main.sentinel_password: has no effect without `sentinels`"),
    ],
)
def test_what_has_no_effect_or_cannot_work_is_told(lines: str, finding: str) -> None:
    findings = told(MAIN + lines + "\n")
    assert any(one.startswith(finding) for one in findings), findings


@pytest.mark.parametrize(
    ("url", "option", "finding"),
    [
        ("redis://a/3", "cluster = true", "names database 3"),
        ("unix:///a", "cluster = true", "is a unix socket"),
        ("unix:///a", 'sentinels = ["a:1"]', "is a unix socket"),
    ],
)
def test_url_fits_what_stands_behind_it(url: str, option: str, finding: str) -> None:
    (message,) = told(PLAIN + f'[redis.main]\nurl = "{url}"\n{option}\n')
    assert message.startswith(f"redis.main.url: {finding}")


def test_users_of_url_and_option_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TEST_PASSWORD", "x")
    text = PLAIN + '[redis.main]\nurl = "redis://{}127.0.0.1"\npassword = "env:TIDEGATE_TEST_PASSWORD"\nuser = "a"\n'
    accepted(text.format(""))
    accepted(text.format("a@"))
    assert told(text.format("b@")) == ["redis.main.user: is another one than b in `url`"]


def test_a_unix_socket_needs_a_name_to_verify() -> None:
    text = PLAIN + '[redis.main]\nurl = "unix:///run/redis.sock"\n'
    accepted(text)
    assert "needs `name`" in told(text + "tls = {}\n")[0]
    accepted(text + 'tls = { name = "redis.internal" }\n')
