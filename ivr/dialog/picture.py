"""A plan as a picture: text for Mermaid (flowchart) or Graphviz (DOT). Pure.

Steps are drawn by kind, arrows carry the keys of the plan that lead along them, called plans are boxes of their own.
Dashed arrows lead from every question: the operator, "never mind", links.
"""

from __future__ import annotations

from collections.abc import Iterator

from ivr.dialog.plan import END, Plan, ways

_ANYWHERE = "at any question"
_MERMAID = {
    "Say": ("[", "]"), "Answer": ("[", "]"), "Ask": ("([", "])"), "Form": ("([", "])"), "Confirm": ("([", "])"),
    "Prove": ("([", "])"), "Menu": ("([", "])"), "Record": ("([", "])"), "Branch": ("{", "}"), "Hours": ("{", "}"),
    "Lookup": ("[(", ")]"), "Notify": ("[(", ")]"), "Settle": ("[(", ")]"), "Transfer": ("[/", "/]"),
    "Hangup": ("((", "))"), "Call": ("[[", "]]"), "Return": ("[[", "]]"),
}  # fmt: skip
_DOT = {
    "Say": "box", "Answer": "box", "Ask": "oval", "Form": "oval", "Confirm": "oval", "Prove": "oval",
    "Menu": "oval", "Record": "oval",
    "Branch": "diamond", "Hours": "diamond", "Lookup": "cylinder", "Notify": "cylinder", "Settle": "cylinder",
    "Transfer": "house",
    "Hangup": "doublecircle", "Call": "component", "Return": "component",
}  # fmt: skip


def mermaid(plan: Plan) -> str:
    """The plan as a Mermaid flowchart."""
    names = _numbered(plan)
    lines = ["flowchart TD"]
    for prefix, steps in _rooms(plan):
        inner = "  " if prefix else ""
        if prefix:
            lines.append(f'  subgraph g{names[steps[0]]}["{_mermaid_text(prefix)}"]')
        for name in steps:
            kind = type(plan.steps[name]).__name__
            left, right = _MERMAID.get(kind, ("[", "]"))
            shown = _mermaid_text(name.rpartition("/")[2])
            lines.append(f'  {inner}{names[name]}{left}"{shown}<br/><small>{kind.lower()}</small>"{right}')
        if prefix:
            lines.append("  end")
    lines += [f'  begin((" ")) --> {names[plan.start]}', f'  any>"{_ANYWHERE}"]']
    lines += [f'  begin -->|"{who}"| {names[to]}' for who, to in _other_starts(plan)]
    for start, labels, to in _arrows(plan):
        lines.append(f'  {names[start]} -->|"{_mermaid_text(", ".join(labels))}"| {names[to]}')
    for to, labels in _links(plan).items():
        lines.append(f'  any -.->|"{_mermaid_text(", ".join(labels))}"| {names[to]}')
    return "\n".join(lines) + "\n"


def dot(plan: Plan) -> str:
    """The plan as a directed graph in Graphviz' language."""
    names = _numbered(plan)
    lines = [
        f"digraph {_dot_text(plan.name)} {{",
        '  node [fontname="sans-serif", fontsize=11]; edge [fontname="sans-serif", fontsize=9];',
    ]
    for prefix, steps in _rooms(plan):
        inner = "  " if prefix else ""
        if prefix:
            lines.append(f"  subgraph cluster_{names[steps[0]]} {{ label={_dot_text(prefix)};")
        for name in steps:
            kind = type(plan.steps[name]).__name__
            label = _dot_text(f"{name.rpartition('/')[2]}\n{kind.lower()}")
            lines.append(f"  {inner}{names[name]} [label={label}, shape={_DOT.get(kind, 'box')}];")
        if prefix:
            lines.append("  }")
    lines += ["  begin [shape=point];", f"  begin -> {names[plan.start]};",
              f"  any [label={_dot_text(_ANYWHERE)}, shape=note];"]  # fmt: skip
    lines += [f"  begin -> {names[to]} [label={_dot_text(who)}];" for who, to in _other_starts(plan)]
    for start, labels, to in _arrows(plan):
        lines.append(f"  {names[start]} -> {names[to]} [label={_dot_text(', '.join(labels))}];")
    for to, labels in _links(plan).items():
        lines.append(f"  any -> {names[to]} [label={_dot_text(', '.join(labels))}, style=dashed];")
    return "\n".join([*lines, "}"]) + "\n"


def _numbered(plan: Plan) -> dict[str, str]:
    """Step -> a name that no drawing language reserves."""
    return {name: f"s{number}" for number, name in enumerate(plan.steps)}


def _rooms(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """The plan's own steps, then those of each called plan. `end` is there when something leads to it."""
    reached = {*plan.starts.values(), *_links(plan), *(to for step in plan.steps.values() for _, to in ways(step))}
    rooms: dict[str, list[str]] = {"": []}
    for name in plan.steps:
        if name != END or END in reached:
            rooms.setdefault(name.rpartition("/")[0], []).append(name)
    yield from rooms.items()


def _other_starts(plan: Plan) -> list[tuple[str, str]]:
    """Who may answer a call of ours besides a person, and the step that begins it then."""
    return [(who, to) for who, to in plan.starts.items() if to not in ("", plan.start)]


def _arrows(plan: Plan) -> Iterator[tuple[str, list[str], str]]:
    """From, labels, to: one arrow for all the ways between two steps."""
    for name, step in plan.steps.items():
        together: dict[str, list[str]] = {}
        for way, to in ways(step):
            if to in plan.steps:
                together.setdefault(to, []).append(way)
        yield from ((name, labels, to) for to, labels in together.items())


def _links(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label, to in (("operator", plan.operator), ("cancel", plan.cancel), *plan.anywhere.items()):
        if to in plan.steps and to != END:
            found.setdefault(to, []).append(label)
    return found


def _mermaid_text(text: str) -> str:
    """Mermaid writes characters of its own as `#NUMBER;`."""
    return "".join(c if c.isalnum() or c in " ._-,/" else f"#{ord(c)};" for c in text)


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
