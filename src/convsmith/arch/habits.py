"""What a whole network does alike: how it activates, pads, and drops paths."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Act", "Edges", "Padding", "Ramp"]


class Act(StrEnum):
    """An activation function."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    SILU = "silu"
    HARD_SWISH = "hard_swish"
    GELU = "gelu"
    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"


class Padding(StrEnum):
    """What stands around a map.

    symmetric: zeros, k // 2 on every side, as torch's networks have it. same: TensorFlow's rule, zeros so that the side
    becomes ceil(s / stride), the odd one of them at the far end; it differs from symmetric where a stride meets an even
    side, so weights of one do not fit the other. circular: the map's other end, for signal theory without borders.
    """

    SYMMETRIC = "symmetric"
    SAME = "same"
    CIRCULAR = "circular"


class Edges(StrEnum):
    """What stands before the first frame of a clip and behind its last, for convolutions over time. zeros: as published 3-D
    networks have it. repeated: that frame itself, so that a still clip is at all times what one frame is."""

    ZEROS = "zeros"
    REPEATED = "repeated"


class Ramp(StrEnum):
    """How stochastic depth grows with depth. blocks: block b of N drops at rate * b / N, from 0 (EfficientNet). stages:
    every block of stage s of S, counted from 0, at rate * (s + 2) / (S + 1), the stem being the first group (ResNet-RS:
    0.4, 0.6, 0.8 and 1 of the rate)."""

    BLOCKS = "blocks"
    STAGES = "stages"
