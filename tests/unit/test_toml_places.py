"""Where keys stand in a TOML text."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.toml_places import nearest, places

TEXT = '''\
# a comment with [brackets]
title = "a # no comment"    # one
[sip]
allow = [
  "192.0.2.0/24",  # the [office]
  "198.51.100.0/24",
]
"quoted key" = 1
long = """
[not.a.table]
port = 1 """""
when = 2026-01-02 03:04:05
[[trunk]]
name = 'x]'
[trunk.limits]
calls_per_hour = 3
[[trunk]]
limits = { calls_per_hour = 4, deep.er = [ {a = 1}, {a = 2} ] }
[speech . en]
voice = "piper"
[a]
b.c = 1
'''


def test_every_kind_of_key_has_its_line():
    found = places(TEXT)
    assert found == {
        ("title",): 2,
        ("sip",): 3,
        ("sip", "allow"): 4,
        ("sip", "allow", 0): 5,
        ("sip", "allow", 1): 6,
        ("sip", "quoted key"): 8,
        ("sip", "long"): 9,
        ("sip", "when"): 12,
        ("trunk",): 13,
        ("trunk", 0): 13,
        ("trunk", 0, "name"): 14,
        ("trunk", 0, "limits"): 15,
        ("trunk", 0, "limits", "calls_per_hour"): 16,
        ("trunk", 1): 17,
        ("trunk", 1, "limits"): 18,
        ("trunk", 1, "limits", "calls_per_hour"): 18,
        ("trunk", 1, "limits", "deep"): 18,
        ("trunk", 1, "limits", "deep", "er"): 18,
        ("trunk", 1, "limits", "deep", "er", 0): 18,
        ("trunk", 1, "limits", "deep", "er", 0, "a"): 18,
        ("trunk", 1, "limits", "deep", "er", 1): 18,
        ("trunk", 1, "limits", "deep", "er", 1, "a"): 18,
        ("speech", "en"): 19,
        ("speech", "en", "voice"): 20,
        ("a",): 21,
        ("a", "b"): 22,
        ("a", "b", "c"): 22,
    }


def test_a_missing_key_is_said_to_be_where_its_table_is():
    found = places("[sip]\nport = 1\n\n[[number]]\n[[number]]\nplan = 'x'\n")
    assert nearest(found, ("number", 1, "pattern")) == 5
    assert nearest(found, ("http", "port")) == 0
    assert nearest(found, ("sip", "port", "deeper")) == 2


def test_lines_are_counted_with_either_line_end():
    assert places("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


_VALUES = st.one_of(
    st.integers(0, 9).map(str),
    st.sampled_from(
        ['"#"', "'[x]'", '"""\n\\""" """', "'''\n]'''", "true", "1.5e3", "2026-01-02", "[\n1,\n 2 ]", "{}"]
    ),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["t", "u.v", "l"]), _VALUES, st.sampled_from(["", " # [c]", "\n\n"]))))
def test_any_text_that_tomllib_accepts_is_read_to_its_end(rows):
    """The last key of the text is found on the line where it was written."""
    text = ""
    for index, (table, value, tail) in enumerate(rows):
        header = "[[l]]" if table == "l" else f"[{table}.x{index}]"
        text += f"{header}\nk{index} = {value}{tail}\n"
    text += "[last]\nend = 1"
    tomllib.loads(text)
    assert places(text)["last", "end"] == text.count("\n") + 1
