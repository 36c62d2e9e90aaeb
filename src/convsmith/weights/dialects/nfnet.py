"""timm's names for normaliser-free networks."""

from __future__ import annotations

from ...arch import ArchSpec
from ...parts import NFBottleneck
from ..rules import Rules

__all__ = ["timm"]


def timm(spec: ArchSpec) -> Rules:
    """stages.S.B.convN with weight, bias and gain. Our stages that stride by 1 at an equal width continue the one before."""
    found = [
        (r"stem\.conv\.conv\.(.*)", r"stem.conv.\1"),
        (r"head\.conv\.conv\.(.*)", r"final_conv.\1"),
        (r"head\.fc\.(.*)", r"head.fc.\1"),
    ]
    gate = "attn_last" if isinstance(spec.stages[0].block, NFBottleneck) else "attn"
    stage, block, width = -1, 0, 0
    for index, own in enumerate(spec.stages):
        if own.width != width:
            stage, block, width = stage + 1, 0, own.width
        for repeat in range(own.depth):
            ours, theirs = rf"stages[.]{index}[.]{repeat}[.]", f"stages.{stage}.{block}"
            found += [
                (rf"{ours}branch[.]reduce[.]conv[.](.*)", rf"{theirs}.conv1.\1"),
                (rf"{ours}branch[.]conv[.](?:conv[.])?(.*)", rf"{theirs}.conv2.\1"),
                (rf"{ours}branch[.]restore[.](.*)", rf"{theirs}.conv3.\1"),
                (rf"{ours}branch[.]se[.]reduce[.](.*)", rf"{theirs}.{gate}.fc1.\1"),
                (rf"{ours}branch[.]se[.]expand[.](.*)", rf"{theirs}.{gate}.fc2.\1"),
                (rf"{ours}skip[.]project[.](.*)", rf"{theirs}.downsample.conv.\1"),
                (rf"{ours}gain", rf"{theirs}.skipinit_gain"),
            ]
            block += 1
    return tuple(found)
