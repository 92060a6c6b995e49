"""docs/configuration.md: every key of config.toml, from the types and docstrings of `ivr.config`.

`ivr check --config-reference` prints it; a test keeps the file in step.
"""

from __future__ import annotations

import ast
import inspect
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from ivr import config

HEAD = """# Configuration

Every key of `config.toml`, written by `ivr check --config-reference` from `ivr/config.py`. Each has the default shown,
so a file names only what it changes; keys without a default must be given. An unknown key, a wrong type or an
impossible value is refused at start with its line. Relative paths count from the folder of `config.toml`. Secrets
never stand in it: a key that ends in `_env` names the environment variable that holds one.
"""

_KEYS = {"speech": "LANGUAGE"}
"""What the free key of a table stands for, where it is no name."""


def reference() -> str:
    """The whole document as Markdown."""
    parts = [HEAD]
    for field in msgspec.structs.fields(config.Config):
        struct, many = _struct_of(field.type)
        if struct is not None:
            parts += _table(field.name, struct, many)
    return "\n".join(parts)


def every_key() -> list[str]:
    """Every key in dotted form, tables of lists and languages without an index: `trunk.limits.calls_per_hour`."""
    found: list[str] = []

    def walk(struct: type[msgspec.Struct], at: str) -> None:
        for field in msgspec.structs.fields(struct):
            inner, _ = _struct_of(field.type)
            if inner is not None:
                walk(inner, f"{at}{field.name}.")
            elif at:
                found.append(at + field.name)

    walk(config.Config, "")
    return found


def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the docstring below each field of a section says of it."""
    body = ast.parse(inspect.getsource(struct)).body[0].body
    said = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            said[statement.target.id] = " ".join(ast.literal_eval(following.value).split())
    return said


def _table(name: str, struct: type[msgspec.Struct], many: str) -> list[str]:
    """A section: heading, its docstring, one row a key. `many` is how it stands in a file when there may be several."""
    at = f"{name}.{_KEYS.get(name, 'NAME')}" if many == "dict" else name
    heading = f"[[{at}]]" if many == "list" else f"[{at}]"
    said = meanings(struct)
    lines = [f"## `{heading}`", "", inspect.cleandoc(struct.__doc__ or ""), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    after: list[str] = []
    for field in msgspec.structs.fields(struct):
        inner, inner_many = _struct_of(field.type)
        if inner is not None:
            after += _table(f"{at}.{field.name}", inner, inner_many)
            continue
        default = "" if field.required else f"`{_shown(field.default)}`"
        kind = _kind(field.type).replace("|", "\\|")
        lines.append(f"| `{field.name}` | {kind} | {default} | {said[field.name]} |")
    return [*lines, "", *after]


def _struct_of(annotation: Any) -> tuple[type[msgspec.Struct] | None, str]:
    """The section inside a type, and whether it is a `list` or `dict` of them."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation, ""
    origin = get_origin(annotation)
    if origin in (tuple, dict):
        for part in get_args(annotation):
            struct, _ = _struct_of(part)
            if struct is not None:
                return struct, "list" if origin is tuple else "dict"
    return None, ""


def _kind(annotation: Any) -> str:
    """A type in words, with its limits."""
    origin = get_origin(annotation)
    if origin is Annotated:
        plain, *metas = get_args(annotation)
        return _kind(plain) + "".join(_limits(meta) for meta in metas)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin is tuple:
        return "list of " + _kind(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation))
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[annotation]


def _limits(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f", {meta.ge} to {meta.le}"
    if meta.ge is not None:
        return f", at least {meta.ge}"
    return f", `{meta.pattern}`" if meta.pattern else ""


def _shown(value: Any) -> str:
    """A default as it would stand in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
