"""YAML with places: what scalars mean, what is refused and where; never a traceback, never without bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.dialog.plan_yaml import MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES, MapNode, Scalar, read
from ivr.errors import InvalidInput


def write(tmp_path, text):
    file = tmp_path / "plan.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("No", "No"),
        ("true", True), ("FALSE", False), ("~", None), ("null", None), ("", None), ("none", "none"),
        ("0123", 123), ("'0123'", "0123"), ("-7", -7), ("+49", 49), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), (".inf", ".inf"), (".nan", ".nan"), ("9" * 40, "9" * 40),
        ("12:30", "12:30"), ("09:00-17:30", "09:00-17:30"), ("2026-10-01", "2026-10-01"), ('"true"', "true"),
        ("鸟巢", "鸟巢"), ("|\n  two\n  lines\n", "two\nlines\n"), ("😀", "😀"),
    ],
)  # fmt: skip
def test_scalars_mean_what_yaml_1_2_says(tmp_path, written, value):
    found = read(write(tmp_path, f"a: {written}\n")).root.items["a"].value
    assert (found, type(found)) == (value, type(value))


def test_places_are_those_of_keys_and_items(tmp_path):
    tree = read(write(tmp_path, "a:\n  - x\n  - b: 鸟巢\n    c: y\n"))
    assert tree.place(("a",)) == (1, 1)
    assert tree.place(("a", 0)) == (2, 5)
    assert tree.place(("a", 1, "c")) == (4, 5)
    assert tree.place(("a", 1, "nothing", "deeper")) == (3, 5)
    assert tree.place(("nothing",)) == (1, 1)
    assert str(tree.problem(("a", 1, "c"), "wrong", "mend it")).endswith("plan.yaml:4:5: a.1.c: wrong (mend it)")
    assert isinstance(tree.find(("a", 1)), MapNode)
    assert isinstance(tree.find(("a", 0)), Scalar)
    assert tree.find(("a", 7)) is None


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\n", "a: 1\r\n", "---\na: 1\n", "%YAML 1.2\n---\na: 1\n", "a: 1", "# x\na: 1"]
)
def test_ordinary_varieties_are_read(tmp_path, text):
    tree = read(write(tmp_path, text))
    assert (tree.root.items["a"].value, tree.problems) == (1, ())


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "nothing in it"),
        ("# only words\n", 1, 1, "nothing in it"),
        ("---\n...\n", 1, 1, "nothing in it"),
        ("[]", 1, 1, "must hold keys and values"),
        ("words", 1, 1, "must hold keys and values"),
        ("a: [1", 2, 1, "a list that does not end"),
        ("a: {b: c", 2, 1, "a mapping that does not end"),
        ("a: 'x", 1, 6, "the file ends inside a quoted text"),
        ("a: b: c", 1, 5, "a `:` that cannot stand here"),
        ("a: [", 2, 1, "no value where one must stand"),
        ("{a: 1}\nb: 2", 2, 1, "words where keys must stand"),
        ("a: - b", 1, 4, "a list that cannot stand here"),
        ('a: "\\d"', 1, 5, "a `\\` that means nothing"),
        ("a: @b", 1, 4, "a character that cannot stand here"),
        ("a:\n\tb: 1", 2, 1, "a tab in the indentation"),
        ("a:\n  b: 1\n\tc: 1", 3, 1, "a tab in the indentation"),
        ("a: 1\nb: \x07", 2, 4, "a control character"),
        (b"\xff\xfea\x00:\x00", 1, 1, "UTF-16 text"),
        ("a: 1\nb: 鸟巢".encode("gbk"), 2, 4, "not UTF-8 text"),
        (b"a: \xe4\xb8", 1, 4, "not UTF-8 text"),
        (b"a: \x00", 1, 4, "a control character"),
        ("- " * 5_000, 1, 2 * MAX_DEPTH + 3, "nested more than"),
        ("a: " + "[" * 1_000_000, 1, MAX_DEPTH + 4, "nested more than"),
        ("a: " + "{b: " * 1_000, 1, 4 * MAX_DEPTH + 1, "nested more than"),
        ("a: [" + "0," * (MAX_NODES + 1) + "]", 1, 2 * MAX_NODES - 1, "more than 400000 values"),
        ("x" * (MAX_FILE_BYTES + 1), 0, 0, "larger than 4 MB"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_at_its_place(tmp_path, text, line, column, message):
    with pytest.raises(InvalidInput) as wrong:
        read(write(tmp_path, text))
    (found,) = wrong.value.problems
    assert found.message.startswith(message)
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    ("slip", "column", "message"),
    [
        ("b:x", 2, "no space after the `:`"),
        ("b：x", 2, "a Chinese `：` after a key"),
        ("b: {c: 1， d: 2}", 9, "Chinese punctuation between keys"),
        ("b: “c: d”", 4, "quotes that are no quotes"),
        ("b: {card} is yours", 4, "words behind a bracket"),
        ("\u3000b: x", 1, "a wide or special space in the indentation"),
    ],
)
def test_a_slip_is_told_on_its_own_line_although_the_parser_stumbles_later(tmp_path, slip, column, message):
    with pytest.raises(InvalidInput) as wrong:
        read(write(tmp_path, f'a: "b:x ，" # c：d\n{slip}\nd: {{\n'))
    (found,) = wrong.value.problems
    assert (found.message, found.line, found.column) == (message, 2, column)


def test_quoted_words_and_remarks_are_no_slips(tmp_path):
    with pytest.raises(InvalidInput) as wrong:
        read(write(tmp_path, "a: \"b:x {c} d\"\nb: '“c：d”' # e:f\nc: d: e\n"))
    assert [(q.line, q.message) for q in wrong.value.problems] == [(3, "a `:` that cannot stand here")]


@pytest.mark.parametrize(
    ("text", "places", "message"),
    [
        ("a: 1\nb: 2\na: 3", [(3, 1)], "`a` is given twice, first on line 1"),
        ("a: {b: 1, b: 2}", [(1, 11)], "`b` is given twice, first on line 1"),
        ("a: &x [1]\nb: *x", [(1, 4), (2, 4)], "anchors and aliases are not allowed"),
        ("a: !!python/name:os.system x", [(1, 4)], "tags are not allowed"),
        ("a: !x\n  b: 1", [(1, 4)], "tags are not allowed"),
        ("a: 1\n---\nb: 2", [(2, 1)], "a second document"),
        ("? [a]\n: 1\nb: 2", [(1, 3)], "a key must be a text"),
        ("? {a: b}\n: 1\nb: 2", [(1, 3)], "a key must be a text"),
        ("b: {'': 1}", [(1, 5)], "a key must be a text"),
    ],
)
def test_what_yaml_allows_and_we_do_not_is_told_beside_everything_else(tmp_path, text, places, message):
    tree = read(write(tmp_path, text))
    assert [(q.line, q.column) for q in tree.problems] == places
    assert {q.message for q in tree.problems} == {message}


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    for path, message in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(InvalidInput, match=message):
            read(path)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"\t\n #%@,?鸟\r", max_size=60))
def test_any_text_is_read_or_refused_in_words(tmp_path_factory, text):
    file = write(tmp_path_factory.getbasetemp(), text)
    problems = ()
    try:
        problems = read(file).problems
    except InvalidInput as wrong:
        problems = wrong.problems
    assert all(q.message and q.file == str(file) for q in problems)


def test_a_file_that_is_too_large_says_which_how_large_and_what_to_do(tmp_path):
    """By file, limit and mend, in one line."""
    file = tmp_path / "bank.yaml"
    for text, limit in (("x" * (MAX_FILE_BYTES + 1), "4 MB (4,194,304 bytes)"), ("- a\n" * MAX_NODES, "400000 values")):
        file.write_text(text, "utf-8")
        with pytest.raises(InvalidInput) as wrong:
            read(file)
        (told,) = (str(problem) for problem in wrong.value.problems)
        assert told.startswith(f"{file}:")
        assert limit in told
        assert "split it: a plan into plans that it calls" in told
