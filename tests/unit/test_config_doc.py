"""docs/configuration.md is what `ivr check --config-reference` writes, and explains every key."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec

from ivr import check, config, config_doc, config_outbound

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_document_is_current():
    """Mend: .venv/bin/ivr check --config-reference > docs/configuration.md"""
    out = io.StringIO()
    assert check.main(["--config-reference"], out) == 0
    assert DOCUMENT.read_text("utf-8") == out.getvalue()


def test_every_key_is_explained_and_durations_name_their_unit():
    named = [*vars(config).values(), *vars(config_outbound).values()]
    sections = [s for s in named if isinstance(s, type) and issubclass(s, msgspec.Struct)]
    explained = {s: config_doc.meanings(s) for s in sections if s.__module__ in ("ivr.config", "ivr.config_outbound")}
    for section, said in explained.items():
        for name in section.__struct_fields__:
            if name.endswith("_ms"):
                assert "Milliseconds." in said[name], f"{section.__name__}.{name}"
            if name.endswith("_s"):
                assert "Seconds." in said[name], f"{section.__name__}.{name}"


def test_the_keys_are_those_of_the_tree():
    keys = config_doc.every_key()
    assert {"sip.port", "trunk.limits.calls_per_hour", "speech.rate_wpm", "number.pattern"} <= set(keys)
    assert len(keys) == len(set(keys))
    assert not any(key.startswith("root") for key in keys)


def test_every_key_has_an_effect():
    """Some other module reads it; a key that nothing reads must not be in the reference."""
    sources = [path for path in (DOCUMENT.parents[1] / "ivr").rglob("*.py") if not path.name.startswith("config")]
    read = {word for path in sources for word in re.findall(r"\.(\w+)\b", path.read_text("utf-8"))}
    assert [key for key in config_doc.every_key() if key.rpartition(".")[2] not in read] == []
