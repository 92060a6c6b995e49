"""Expressions in dialplans: conditions and values of slots, read once, evaluated in bounded time without running code.

The syntax is a small part of Python's, read by Python's own parser and walked here: names of slots, numbers, texts in
quotes, `and or not`, comparisons, `in`, `+ - * /`, `a if c else b`, and the functions in FUNCTIONS. There are no
attributes, loops, assignments or powers; sizes of texts and numbers are bounded. A slot that is not filled is `none`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException

Value = str | Decimal | bool | None

MAX_CHARS = 500
"""Length of an expression and of every text it makes."""
MAX_NODES = 100
MAX_DEPTH = 20
MAX_NUMBER = Decimal(10) ** 15

CONSTANTS: Mapping[str, Value] = {"none": None, "true": True, "false": False}


class ExpressionFault(ValueError):
    """An expression that cannot be read or evaluated. `column` counts from 1, 0 when unknown; `mend`: what to do."""

    def __init__(self, message: str, column: int = 0, mend: str = "") -> None:
        super().__init__(message)
        self.column, self.mend = column, mend


# What people write who know other languages, or forget the keyboard: how it looks outside quotes, what to do.
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_SLIPS = (
    (re.compile("[“”‘’，＝＞＜（）！＋－＊／]"), "type quotes and signs without the Chinese keyboard"),
    (re.compile("[{}]"), "write the slot without braces"),
    (re.compile("=>|=<"), "write `>=` or `<=`"),
    (re.compile("<>"), "write `!=`"),
    (re.compile("(?<![=!<>])=(?!=)"), "`==` compares"),
    (re.compile("&"), "write `and`"),
    (re.compile(r"\|"), "write `or`"),
    (re.compile("!(?!=)"), "write `not`"),
    (re.compile(r"\b(?:AND|OR|NOT|IN|IF|ELSE|TRUE|FALSE)\b"), "write words like `and` in small letters"),
    (re.compile(r"\b(?:null|None|NONE|nil)\b"), "write `none`"),
    (re.compile(r"[\"']"), "close the quotes"),
)


@dataclass(frozen=True)
class Expression:
    """One expression that was read. `names`: the slots and facts it looks at."""

    text: str
    names: frozenset[str]
    tree: ast.expr

    def evaluate(self, values: Mapping[str, Value]) -> Value:
        """Its value; names that `values` lacks are none. Raises ExpressionFault (types that do not fit, by zero)."""
        try:
            return _evaluate(self.tree, values)
        except DecimalException as error:
            raise ExpressionFault(f"no result: {type(error).__name__}") from None

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it is true; none, zero and the empty text are not."""
        return bool(self.evaluate(values))

    @property
    def may_fail(self) -> bool:
        """Whether some values make it raise: it calculates, or compares by size."""
        return any(isinstance(node, _RISKS) for node in ast.walk(self.tree))

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text


def read(text: str, known: Collection[str]) -> Expression:
    """The expression `text`, which may look at the names in `known` only. Raises ExpressionFault."""
    try:
        return _read(text, known)
    except ExpressionFault as fault:
        bare = _QUOTED.sub("", text[:MAX_CHARS])
        fault.mend = next((mend for slip, mend in _SLIPS if slip.search(bare)), "")
        raise


def _read(text: str, known: Collection[str]) -> Expression:
    if len(text) > MAX_CHARS:
        raise ExpressionFault(f"longer than {MAX_CHARS} characters")
    if text.isascii() and "\0" in text:
        raise ExpressionFault("holds a character that is no text")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionFault("cannot be read as an expression", getattr(error, "offset", 0) or 0) from None
    names: set[str] = set()
    _check(tree, set(known), names, 0)
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES * 3:
        raise ExpressionFault("too long; split it over several steps")
    return Expression(text, frozenset(names), tree)


_FORMS = (ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.IfExp)
_RISKS = (ast.BinOp, ast.USub, ast.UAdd, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Call)
_OPERATORS = (ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Eq, ast.NotEq,
              ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Load)  # fmt: skip


def _check(node: ast.AST, known: set[str], names: set[str], depth: int, around: int = 0) -> None:
    """`around` is the column of what `node` stands in, for operators, which have none."""
    column = getattr(node, "col_offset", around - 1) + 1
    if depth > MAX_DEPTH:
        raise ExpressionFault("nested too deeply", column)
    match node:
        case ast.Constant(value=bool() | str() | int() | float()):
            return
        case ast.Name(id=name):
            if name not in known and name not in CONSTANTS:
                raise ExpressionFault(f"there is no slot `{name}`", column)
            if name in known:
                names.add(name)
            return
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name not in FUNCTIONS:
                raise ExpressionFault(f"there is no function `{name}`; known: {', '.join(sorted(FUNCTIONS))}", column)
            low, high, _ = FUNCTIONS[name]
            if not low <= len(arguments) <= high:
                raise ExpressionFault(f"`{name}` takes {low} to {high} values" if low < high else
                                      f"`{name}` takes {low} value{'s' if low > 1 else ''}", column)  # fmt: skip
            for argument in arguments:
                _check(argument, known, names, depth + 1, column)
            return
    if isinstance(node, (ast.Tuple, ast.List)):
        raise ExpressionFault("a list may only stand after `in`", column)
    if not isinstance(node, (*_FORMS, *_OPERATORS)):
        raise ExpressionFault("only slots, values, comparisons, + - * / and functions may stand here", column)
    for child in _parts(node):
        _check(child, known, names, depth + 1, column)


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """What `node` is made of; lists after `in` by their items."""
    if not isinstance(node, ast.Compare):
        yield from ast.iter_child_nodes(node)
        return
    yield node.left
    for op, other in zip(node.ops, node.comparators, strict=True):
        yield op
        if isinstance(op, (ast.In, ast.NotIn)) and isinstance(other, (ast.Tuple, ast.List)):
            yield from other.elts
        else:
            yield other


def _evaluate(node: ast.expr, values: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=value):
            return value if isinstance(value, (bool, str)) else _bounded(Decimal(str(value)))
        case ast.Name(id=name):
            return CONSTANTS[name] if name in CONSTANTS and name not in values else values.get(name)
        case ast.BoolOp(op=op, values=parts):
            for part in parts[:-1]:
                value = _evaluate(part, values)
                if bool(value) == isinstance(op, ast.Or):
                    return value
            return _evaluate(parts[-1], values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _evaluate(operand, values)
        case ast.UnaryOp(op=op, operand=operand):
            value = _number(_evaluate(operand, values))
            return -value if isinstance(op, ast.USub) else value
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            return _evaluate(body if _evaluate(test, values) else otherwise, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _evaluate(left, values), _evaluate(right, values))
        case ast.Compare(left=left, ops=ops, comparators=others):
            before = left
            for op, other in zip(ops, others, strict=True):
                if not _compared(op, before, other, values):
                    return False
                before = other
            return True
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name][2](*(_evaluate(a, values) for a in arguments))
    raise TypeError(f"not checked: {type(node).__name__}")


def _binary(op: ast.operator, left: Value, right: Value) -> Value:
    if isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_CHARS:
            raise ExpressionFault(f"a text of more than {MAX_CHARS} characters")
        return left + right
    first, second = _number(left), _number(right)
    match op:
        case ast.Add():
            return _bounded(first + second)
        case ast.Sub():
            return _bounded(first - second)
        case ast.Mult():
            return _bounded(first * second)
    if second == 0:
        raise ExpressionFault("division by zero")
    return _bounded(first / second)


def _compared(op: ast.cmpop, left: ast.expr, right: ast.expr, values: Mapping[str, Value]) -> bool:
    value = _evaluate(left, values)
    if isinstance(op, (ast.In, ast.NotIn)):
        if isinstance(right, (ast.Tuple, ast.List)):
            found = any(_equal(value, _evaluate(item, values)) for item in right.elts)
        else:
            found = _text(value) in _text(_evaluate(right, values))
        return found == isinstance(op, ast.In)
    other = _evaluate(right, values)
    if isinstance(op, (ast.Eq, ast.Is)):
        return _equal(value, other)
    if isinstance(op, (ast.NotEq, ast.IsNot)):
        return not _equal(value, other)
    if value is None or other is None:
        return False
    if not (isinstance(value, str) and isinstance(other, str)):
        value, other = _number(value), _number(other)
    order = (value > other) - (value < other)  # type: ignore[operator]
    return {ast.Lt: order < 0, ast.LtE: order <= 0, ast.Gt: order > 0, ast.GtE: order >= 0}[type(op)]


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, Decimal) != isinstance(right, Decimal) and None not in (left, right):
        try:
            return _number(left) == _number(right)
        except ExpressionFault:
            return False
    return left == right


def _number(value: Value) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and (number := as_number(value)) is not None:
        return number
    raise ExpressionFault(f"{'nothing' if value is None else 'this'} is not a number")


def as_number(text: str) -> Decimal | None:
    """The number that `text` begins with (`12.50 CNY`), None when it is none, infinite or too large."""
    try:
        return _bounded(Decimal(text.split(" ")[0]))
    except (DecimalException, ExpressionFault):
        return None


def _bounded(value: Decimal) -> Decimal:
    if not value.is_finite() or abs(value) > MAX_NUMBER:
        raise ExpressionFault("a number that is too large")
    return round(value, 10).normalize() if value.as_tuple().exponent < -10 else value  # type: ignore[operator]


def _text(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:f}" if isinstance(value, Decimal) else str(value).lower()


def _last(value: Value, count: Value) -> str:
    wanted = int(_number(count))
    return _text(value)[-wanted:] if wanted > 0 else ""


def _round(value: Value, digits: Value = Decimal(0)) -> Decimal:
    return _bounded(round(_number(value), min(10, max(0, int(_number(digits))))))


FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Value]]] = {
    "length": (1, 1, lambda value: Decimal(len(_text(value)))),
    "number": (1, 1, _number),
    "text": (1, 1, _text),
    "last": (2, 2, _last),
    "starts_with": (2, 2, lambda value, start: _text(value).startswith(_text(start))),
    "round": (1, 2, _round),
    "min": (2, 2, lambda a, b: min(_number(a), _number(b))),
    "max": (2, 2, lambda a, b: max(_number(a), _number(b))),
}
"""Name -> (least and most values, what it does)."""
