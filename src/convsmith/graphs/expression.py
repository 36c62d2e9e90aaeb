"""What a graph computes, as an expression: a node's name and arguments, what it varies over, and its text.

Equal texts are equal expressions: arguments that may be swapped stand in the order of their texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property

__all__ = ["BATCH", "CHANNELS", "LEAVES", "SPACE", "Expression", "Op", "Over"]

# What a node may vary over, as bits: the images of a batch, channels, positions.
BATCH, CHANNELS, SPACE = 1, 2, 4


class Op(StrEnum):
    """A primitive. Division, logarithm and root are guarded, see `layers.graph`."""

    ADD = "add"
    MUL = "mul"
    DIV = "div"
    MAX = "max"
    NEG = "neg"
    ABS = "abs"
    SQUARE = "square"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    EXP = "exp"
    LOG = "log"
    SQRT = "sqrt"
    MEAN = "mean"
    RMS = "rms"
    STD = "std"

    @property
    def binary(self) -> bool:
        """Whether it takes two arguments."""
        return self in _BINARY

    @property
    def moment(self) -> bool:
        """Whether it is a moment, taken over an index set."""
        return self in _MOMENTS


class Over(StrEnum):
    """What a moment is taken over: batch (N, H, W), instance (H, W), layer (C, H, W), or group (H, W and the channels of a
    group)."""

    BATCH = "batch"
    INSTANCE = "instance"
    LAYER = "layer"
    GROUP = "group"

    @property
    def ignores(self) -> int:
        """What an argument must vary over for its moment to be another value than it."""
        return _IGNORES[self]

    @property
    def removes(self) -> int:
        """What the moment no longer varies over."""
        return _REMOVES[self]


_BINARY = frozenset({Op.ADD, Op.MUL, Op.DIV, Op.MAX})
_SWAPS = frozenset({Op.ADD, Op.MUL, Op.MAX})
_MOMENTS = frozenset({Op.MEAN, Op.RMS, Op.STD})
_REMOVES = {Over.BATCH: BATCH | SPACE, Over.INSTANCE: SPACE, Over.LAYER: CHANNELS | SPACE, Over.GROUP: SPACE}
_IGNORES = _REMOVES | {Over.GROUP: CHANNELS | SPACE}
LEAVES = {"x": BATCH | CHANNELS | SPACE, "0": 0, "v0": CHANNELS, "v1": CHANNELS}
_POSITIVE = frozenset({Op.EXP, Op.SIGMOID, Op.ABS, Op.SQUARE, Op.RMS, Op.STD})
_KEEPS_SIGN = frozenset({Op.MEAN, Op.SQRT, Op.TANH, Op.ADD, Op.MUL, Op.DIV})


class Expression:
    """A leaf (`op` None, `text` its name) or a primitive of arguments; equal where the texts are.

    `support` is what the value varies over; `contains` whether the input x is anywhere in it; `positive` whether it is known
    to be 0 or more.
    """

    def __init__(self, op: Op | None, args: tuple[Expression, ...], over: Over | None, text: str, support: int) -> None:
        self.op, self.args, self.over, self.text, self.support = op, args, over, text, support

    @classmethod
    def leaf(cls, name: str) -> Expression:
        """x, 0, v0 or v1."""
        return cls(None, (), None, name, LEAVES[name])

    @classmethod
    def of(cls, op: Op, args: tuple[Expression, ...], over: Over | None = None) -> Expression:
        """The primitive of these arguments as it stands, simplified by nothing."""
        if over is not None:
            (arg,) = args
            return cls(op, args, over, f"{op}_{over}({arg.text})", arg.support & ~_REMOVES[over])
        if len(args) == 1:
            return cls(op, args, None, f"{op}({args[0].text})", args[0].support)
        one, two = args
        if op in _SWAPS and two.text < one.text:
            one, two = args = two, one
        return cls(op, args, None, f"{op}({one.text},{two.text})", one.support | two.support)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"<{self.text}>"

    @cached_property
    def contains(self) -> bool:
        return self.text == "x" or any(arg.contains for arg in self.args)

    @cached_property
    def positive(self) -> bool:
        if self.op is None:
            return self.text == "0"
        if self.op is Op.MAX:
            return any(arg.positive for arg in self.args)
        return self.op in _POSITIVE or (self.op in _KEEPS_SIGN and all(arg.positive for arg in self.args))

    @property
    def running(self) -> bool:
        """Whether it is a moment of the batch that evaluation takes from training: its argument varies from image to image
        or from place to place."""
        return self.over is Over.BATCH and bool(self.args[0].support & (BATCH | SPACE))

    def nodes(self) -> Iterator[Expression]:
        """Each distinct node once, leaves too, after its arguments."""
        yield from self._nodes(set())

    def _nodes(self, met: set[str]) -> Iterator[Expression]:
        if self.text in met:
            return
        met.add(self.text)
        for arg in self.args:
            yield from arg._nodes(met)
        yield self
