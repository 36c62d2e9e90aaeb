"""The rules that keep a value, under the guards too: the same layer written in two ways becomes one expression.

Bottom up, each node from simplified arguments. No rules, since a guard or an epsilon breaks them: sqrt(square a) = abs a, the
rms of a constant, (a b) / b = a. (-a) / b = -(a / b) fails at b = 0 alone.
"""

from __future__ import annotations

from collections.abc import Callable

from .expression import Expression, Op, Over

__all__ = ["ZERO", "simplified"]

ZERO = Expression.leaf("0")


def simplified(op: Op, args: tuple[Expression, ...], over: Over | None = None) -> Expression:
    """`op` of simplified arguments, simplified."""
    if over is not None:
        return _moment(op, args[0], over)
    return _RULES[op](*args) if op in _RULES else Expression.of(op, args)


def _neg(a: Expression) -> Expression:
    if a.op is Op.NEG:
        return a.args[0]
    return a if _zero(a) else Expression.of(Op.NEG, (a,))


def _add(a: Expression, b: Expression) -> Expression:
    if _zero(a):
        return b
    if _zero(b):
        return a
    one, two = _bare(a), _bare(b)
    if (one is a) != (two is b) and one == two:
        return ZERO
    if one is not a and two is not b:
        return _neg(_add(one, two))
    return Expression.of(Op.ADD, (a, b))


def _mul(a: Expression, b: Expression) -> Expression:
    if _zero(a) or _zero(b):
        return ZERO
    one, two = _bare(a), _bare(b)
    made = _square(one) if one == two else Expression.of(Op.MUL, (one, two))
    return made if (one is a) == (two is b) else _neg(made)


def _div(a: Expression, b: Expression) -> Expression:
    if _zero(a):
        return ZERO
    one, two = _bare(a), _bare(b)
    made = Expression.of(Op.DIV, (one, two))
    return made if (one is a) == (two is b) else _neg(made)


def _max(a: Expression, b: Expression) -> Expression:
    if a == b or (_zero(b) and a.positive):
        return a
    return b if _zero(a) and b.positive else Expression.of(Op.MAX, (a, b))


def _abs(a: Expression) -> Expression:
    a = _bare(a)
    return a if a.positive else Expression.of(Op.ABS, (a,))


def _square(a: Expression) -> Expression:
    a = _bare(a)
    if a.op is Op.ABS:
        a = a.args[0]
    return a if _zero(a) else Expression.of(Op.SQUARE, (a,))


def _odd(op: Op) -> Callable[[Expression], Expression]:
    def rule(a: Expression) -> Expression:
        if _zero(a):
            return a
        return _neg(Expression.of(op, a.args)) if a.op is Op.NEG else Expression.of(op, (a,))

    return rule


def _moment(op: Op, a: Expression, over: Over) -> Expression:
    if op is Op.MEAN:
        if not a.support & over.ignores:
            return a
        return _neg(_moment(op, a.args[0], over)) if a.op is Op.NEG else Expression.of(op, (a,), over)
    a = _bare(a)
    if op is Op.RMS and a.op is Op.ABS:
        a = a.args[0]
    return Expression.of(op, (a,), over)


def _zero(a: Expression) -> bool:
    return a.op is None and a.text == "0"


def _bare(a: Expression) -> Expression:
    return a.args[0] if a.op is Op.NEG else a


_RULES: dict[Op, Callable[..., Expression]] = {
    Op.NEG: _neg,
    Op.ADD: _add,
    Op.MUL: _mul,
    Op.DIV: _div,
    Op.MAX: _max,
    Op.ABS: _abs,
    Op.SQUARE: _square,
    Op.TANH: _odd(Op.TANH),
    Op.SQRT: _odd(Op.SQRT),
    Op.LOG: _odd(Op.LOG),
}
