"""Answers that the gateway makes itself."""

import json
import re

import pytest

from tidegate.errors import STATUS, Kind
from tidegate.exchange.problem import problem, problem_for


def test_refusal_names_itself() -> None:
    response = problem(404, "no_route", "abc")
    assert json.loads(response.body) == {
        "type": "urn:tidegate:no_route",
        "title": "No route matches this request",
        "status": 404,
        "request_id": "abc",
    }
    assert response.status == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Proxy-Status"] == 'tidegate; error=http_request_error; details="no_route"'


def test_refusal_without_a_title_of_its_own_has_its_name_for_one() -> None:
    assert json.loads(problem(400, "bare_lf", "abc").body)["title"] == "Bare lf"


def test_further_fields_go_along() -> None:
    assert problem(405, "method_not_allowed", "abc", {"Allow": "GET, HEAD"}).headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("kind", list(Kind))
def test_failure_has_the_status_of_its_kind_and_says_it_in_proxy_status(kind: Kind) -> None:
    response = problem_for(kind, "why", "abc", "10.0.0.1:80")
    members = json.loads(response.body)
    assert response.status == members["status"] == STATUS[kind]
    assert members["type"] == f"urn:tidegate:{kind.value}"
    assert members["detail"] == "why"
    assert members["title"]
    expected = f'tidegate; error={kind.value}; details="why"; next-hop="10.0.0.1:80"'
    assert response.headers["Proxy-Status"] == expected


def test_status_can_be_another_and_parts_may_be_missing() -> None:
    response = problem_for(Kind.DNS_ERROR, None, "abc", "", 503)
    assert response.status == 503
    assert response.headers["Proxy-Status"] == "tidegate; error=dns_error"
    assert "detail" not in json.loads(response.body)


@pytest.mark.parametrize("detail", ['a "quoted" \\ one', "line\r\nbreak", "grün €", "x" * 1000])
def test_details_are_a_structured_field_string(detail: str) -> None:
    response = problem_for(Kind.DNS_ERROR, detail, "abc", detail)
    quoted = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
    value = str(response.headers["Proxy-Status"])
    assert re.fullmatch(rf"tidegate; error=dns_error; details={quoted}; next-hop={quoted}", value)
    assert json.loads(response.body)["detail"] == detail
