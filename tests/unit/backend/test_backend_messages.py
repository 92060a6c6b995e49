"""What may be asked of a back end, and what its bodies may hold."""

from __future__ import annotations

from urllib.parse import quote, unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from ivr.backend.messages import DEPTH_LIMIT, Request, decoded, path_fault


@pytest.mark.parametrize(
    "path",
    ["/", "/cards", "/cards/", "/v1/cards/8620", "/a.b", "/.well-known/x", "/a b", "/网点/西单", "/%E8%A5%BF", "/%"],
)
def test_paths_that_may_be_sent(path):
    assert path_fault(path) == ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "does not begin with /"),
        ("cards", "does not begin with /"),
        ("http://127.0.0.1/", "does not begin with /"),
        ("//other.example/", "has // in it"),
        ("/a//b", "has // in it"),
        ("/a%2f%2Fb", "has // in it"),
        ("/a/../b", "has .. in it"),
        ("/..", "has .. in it"),
        ("/%2e%2E/b", "has .. in it"),
        ("/.%2e/b", "has .. in it"),
        ("/%252e%252e/b", "has .. in it"),
        ("/%25252e%25252e/b", "has .. in it"),
        ("/..;/admin", "has .. in it"),
        ("/.;x/admin", "has /. in it"),
        ("/./b", "has /. in it"),
        ("/b/.", "has /. in it"),
        ("/a\\b", "has \\ in it"),
        ("/a%5Cb", "has \\ in it"),
        ("/a?b=c", "a query is given apart"),
        ("/a#b", "a query is given apart"),
        ("/a\r\nX: y", "not text"),
        ("/a%0d%0aX:%20y", "not text"),
        ("/a%00", "not text"),
        ("/a\x85", "not text"),
        ("/%c0%ae%c0%ae/b", "not text"),
        ("/\ud800", "not text"),
    ],
)
def test_paths_that_may_not(path, told):
    assert told in path_fault(path)


@given(st.text(min_size=1))
def test_a_path_that_passes_reaches_the_server_as_it_was_checked(text):
    path = "/base/" + text
    if path_fault(path):
        return
    url = URL("http://core.example:8080" + path)
    assert (url.host, url.port, url.query_string, url.fragment) == ("core.example", 8080, "", "")
    assert url.path.startswith("/base/")
    assert unquote(url.raw_path) == unquote(path)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_quoted_value_stays_one_segment(value):
    path = f"/cards/{quote(value, safe='')}/limit"
    if not path_fault(path):
        assert URL("http://core.example" + path).raw_path.count("/") == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "DELETE"},
        {"method": "get"},
        {"body": {"a": 1}},
        {"retries": 4},
        {"retries": -1},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
    ],
)
def test_a_request_that_makes_no_sense_cannot_be_made(wrong):
    with pytest.raises(ValueError, match=r"method|body|retries|timeout"):
        Request(**{"backend": "core", "method": "GET", "path": "/"} | wrong)


def test_json_is_read():
    assert decoded("application/json", '{"网点": ["西单", 1.5, null]}'.encode()) == ({"网点": ["西单", 1.5, None]}, "")
    assert decoded("application/problem+json", b"[]") == ([], "")
    assert decoded("application/json", b"\xef\xbb\xbf{}") == ({}, "")
    assert decoded("text/html", b"") == (None, "")


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("text/html", b"{}", "not declared as JSON"),
        ("application/octet-stream", b"{}", "not declared as JSON"),
        ("application/jsonp", b"{}", "not declared as JSON"),
        ("application/json", b"<html>", "not valid JSON"),
        ("application/json", b"{}{}", "not valid JSON"),
        ("application/json", b"NaN", "not valid JSON"),
        ("application/json", b"1e999", "not valid JSON"),
        ("application/json", b"1" * 10_000, "not valid JSON"),
        ("application/json", '"西单"'.encode("gbk"), "not valid JSON"),
        ("application/json", rb'"\ud800"', "not valid JSON"),
        ("application/json", b"[" * 65_536, "not valid JSON"),
        ("application/json", b" ", "not valid JSON"),
    ],
)
def test_anything_else_is_told(content_type, body, told):
    value, fault = decoded(content_type, body)
    assert value is None
    assert told in fault


def test_depth_has_a_limit():
    def nested(depth: int) -> bytes:
        return b'{"a":[' * (depth // 2) + b"1" + b"]}" * (depth // 2)

    assert decoded("application/json", nested(DEPTH_LIMIT))[1] == ""
    assert decoded("application/json", nested(DEPTH_LIMIT + 2)) == (
        None,
        f"the answer is nested deeper than {DEPTH_LIMIT}",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_was_written_is_read(value):
    assert decoded("application/json", msgspec.json.encode(value)) == (value, "")


@given(st.binary())
def test_no_bytes_make_it_fail(body):
    value, fault = decoded("application/json", body)
    assert value is None or not fault
