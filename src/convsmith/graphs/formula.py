"""Graphs as people write them: formulas in text and LaTeX, and both kinds of text read back."""

from __future__ import annotations

import re
from collections import Counter

from .expression import LEAVES, Expression, Op, Over
from .genome import NormGraph
from .simplify import simplified

__all__ = ["equation", "formula", "latex", "read"]

# How tightly an operation binds, of those that are written between or beside their arguments.
_TIGHT = {Op.ADD: 1, Op.MUL: 2, Op.DIV: 2, Op.NEG: 3, Op.SQUARE: 4}
_ATOM = 5
_LONGEST = 10**5  # characters of one name's expression: names of names double it each time


def formula(graph: NormGraph) -> str:
    """One expression, in which `read` finds the same layer, as `sigmoid(v1 * x) * x / std_group(x)`."""
    return _plain(graph.expression, {})


def equation(graph: NormGraph) -> str:
    """The formula with what is used more than once named and written once, as `a = x - mean_batch(x);  a * sigmoid(a)`."""
    named = _shared(graph.expression)
    lines = [f"{name} = {_plain(node, named, own=name)}" for node, name in named.items()]
    return ";  ".join([*lines, _plain(graph.expression, named)])


def latex(graph: NormGraph) -> str:
    """The equation in LaTeX, for mathematics mode: moments are mu, nu (root mean square) and sigma, with their index set."""
    named = _shared(graph.expression)
    lines = [f"{name} = {_latex(node, named, own=name)}" for node, name in named.items()]
    return r",\quad ".join([*lines, _latex(graph.expression, named)])


def read(text: str) -> NormGraph:
    """The layer that a text, a formula or an equation says; `formula` and `equation` of it and its `text` give it again.

    >>> read("x / max(v1 * x + std_instance(x), std_batch(x))").key
    '19dc9d505107de7b'

    Raises:
        ValueError: no such text, with the place.
    """
    *names, last = text.split(";")
    known: dict[str, Expression] = {}
    for line in names:
        name, equals, rest = line.partition("=")
        if not equals or not re.fullmatch(r"[a-z]", name.strip()) or name.strip() in LEAVES:
            raise ValueError(f"'{line.strip()}' names nothing; write a = ..., with a letter other than x")
        known[name.strip()] = _Reader(rest, known).whole()
        if len(known[name.strip()].text) > _LONGEST:
            raise ValueError(f"'{name.strip()}' stands for more than {_LONGEST} characters: this is no layer")
    try:
        return NormGraph.of(_Reader(last, known).whole())
    except RecursionError:
        raise ValueError("the brackets of the formula are too many: this is no layer") from None


# ---- writing ---------------------------------------------------------------------------------------------------------


def _shared(root: Expression) -> dict[Expression, str]:
    """Names for the nodes that are used more than once and are of more than one primitive, in order of dependence."""
    nodes = list(root.nodes())
    uses = Counter(arg for node in nodes for arg in node.args)
    letters = iter("abcdefghijklmnopqrstuw")
    return {node: next(letters) for node in nodes if uses[node] > 1 and any(arg.args for arg in node.args)}


def _plain(node: Expression, named: dict[Expression, str], *, own: str = "") -> str:
    def inner(arg: Expression, least: int) -> str:
        said = _plain(arg, named)
        return said if _tightness(arg, named) >= least else f"({said})"

    if node in named and named[node] != own:
        return named[node]
    if node.op is None:
        return node.text
    match node.op:
        case Op.ADD:
            one, two, less = _difference(node)
            # Sums and products are read from the left, so on the right the same operation needs its brackets.
            return f"{inner(one, 1)} {'-' if less else '+'} {inner(two, 2)}"
        case Op.MUL | Op.DIV:
            return f"{inner(node.args[0], 2)} {'*' if node.op is Op.MUL else '/'} {inner(node.args[1], 3)}"
        case Op.NEG:
            return f"-{inner(node.args[0], 4)}"
        case Op.SQUARE:
            return f"{inner(node.args[0], 4)}^2"
        case Op.MAX:
            return f"max({', '.join(_plain(arg, named) for arg in _zero_last(node))})"
        case _:
            over = "" if node.over is None else f"_{node.over}"
            return f"{node.op}{over}({_plain(node.args[0], named)})"


def _latex(node: Expression, named: dict[Expression, str], *, own: str = "") -> str:
    def inner(arg: Expression, least: int) -> str:
        said = _latex(arg, named)
        tight = _ATOM if arg.op is Op.DIV and arg not in named else _tightness(arg, named)
        return said if tight >= least else rf"\left({said}\right)"

    def whole(arg: Expression) -> str:
        return _latex(arg, named)

    if node in named and named[node] != own:
        return named[node]
    if node.op is None:
        return {"v0": "v_0", "v1": "v_1"}.get(node.text, node.text)
    first = node.args[0]
    match node.op:
        case Op.ADD:
            one, two, less = _difference(node)
            return f"{inner(one, 1)} {'-' if less else '+'} {inner(two, 2)}"
        case Op.MUL:
            return rf"{inner(first, 2)} \, {inner(node.args[1], 3)}"
        case Op.DIV:
            return rf"\frac{{{whole(first)}}}{{{whole(node.args[1])}}}"
        case Op.NEG:
            return f"-{inner(first, 2)}"
        case Op.SQUARE:
            said = inner(first, _ATOM)
            return (rf"\left({said}\right)" if first.op is Op.DIV and first not in named else said) + "^2"
        case Op.MAX:
            return rf"\max\left({', '.join(whole(arg) for arg in _zero_last(node))}\right)"
        case Op.ABS:
            return rf"\left|{whole(first)}\right|"
        case Op.EXP:
            return f"e^{{{whole(first)}}}"
        case Op.SIGMOID:
            return rf"s\left({whole(first)}\right)"
        case Op.TANH:
            return rf"\tanh\left({whole(first)}\right)"
        case Op.LOG | Op.SQRT:
            name = rf"\operatorname{{{'ln' if node.op is Op.LOG else 'sqrt'}}}_{{\pm}}"
            return rf"{name}\left({whole(first)}\right)"
        case _:
            sign = {Op.MEAN: r"\mu", Op.RMS: r"\nu", Op.STD: r"\sigma"}[node.op]
            return rf"{sign}_{{\mathrm{{{node.over}}}}}\left({whole(first)}\right)"


def _tightness(node: Expression, named: dict[Expression, str]) -> int:
    return _ATOM if node in named or node.op is None else _TIGHT.get(node.op, _ATOM)


def _difference(node: Expression) -> tuple[Expression, Expression, bool]:
    """The terms of a sum in the order they are written in, and whether the second is taken away."""
    one, two = node.args
    if one.op is Op.NEG:
        return two, one.args[0], True
    return (one, two.args[0], True) if two.op is Op.NEG else (one, two, False)


def _zero_last(node: Expression) -> tuple[Expression, ...]:
    return tuple(sorted(node.args, key=lambda arg: arg.text == "0"))


# ---- reading ---------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*|0|\^2|[-+*/(),])")
_FUNCTIONS: dict[str, tuple[Op, Over | None]] = {op.value: (op, None) for op in Op if not op.moment} | {
    f"{op}_{over}": (op, over) for op in Op if op.moment for over in Over
}


class _Reader:
    """Reads one expression from the left: a sum of products of signed, squared atoms."""

    def __init__(self, text: str, known: dict[str, Expression]) -> None:
        self._text, self._known, self._at = text.strip(), known, 0

    def whole(self) -> Expression:
        found = self._sum()
        if self._next():
            raise self._wrong("says too much")
        return found

    def _sum(self) -> Expression:
        found = self._product()
        while (sign := self._next()) in ("+", "-"):
            self._take()
            term = self._product()
            found = simplified(Op.ADD, (found, simplified(Op.NEG, (term,)) if sign == "-" else term))
        return found

    def _product(self) -> Expression:
        found = self._signed()
        while (sign := self._next()) in ("*", "/"):
            self._take()
            found = simplified(Op.MUL if sign == "*" else Op.DIV, (found, self._signed()))
        return found

    def _signed(self) -> Expression:
        if self._next() == "-":
            self._take()
            return simplified(Op.NEG, (self._signed(),))
        found = self._atom()
        while self._next() == "^2":
            self._take()
            found = simplified(Op.SQUARE, (found,))
        return found

    def _atom(self) -> Expression:
        word = self._next()
        if word in self._known or word in LEAVES:
            self._take()
            return self._known[word] if word in self._known else Expression.leaf(word)
        if word == "(":
            return self._bracketed(1)[0]
        if word not in _FUNCTIONS:
            raise self._wrong("has no number, vector or function")
        self._take()
        op, over = _FUNCTIONS[word]
        return simplified(op, self._bracketed(1 + op.binary), over)

    def _bracketed(self, count: int) -> tuple[Expression, ...]:
        self._expect("(")
        args = [self._sum()]
        for _ in range(count - 1):
            self._expect(",")
            args.append(self._sum())
        self._expect(")")
        return tuple(args)

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise self._wrong(f"has no '{sign}'")
        self._take()

    def _next(self) -> str:
        """The word at this place; "" at the end."""
        found = _WORD.match(self._text, self._at)
        if found is None and self._text[self._at :].strip():
            raise self._wrong("has no word")
        return "" if found is None else found[1]

    def _take(self) -> None:
        found = _WORD.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _wrong(self, what: str) -> ValueError:
        rest = self._text[self._at :].strip()[:20]
        where = f"'{rest}'" if rest else "its end"
        return ValueError(f"'{self._text}' {what} at {where}")
