"""timm's names for pre-activation ResNets."""

from __future__ import annotations

from ...arch import ArchSpec
from ..rules import Rules

__all__ = ["timm"]


def timm(spec: ArchSpec) -> Rules:
    """stages.S.blocks.B.normN and convN: each norm is named after the convolution that it stands before."""
    ours, theirs = r"stages[.](\d+)[.](\d+)[.]", r"stages.\1.blocks.\2"
    norm = r"norm[.](?:[a-z]+[.])?(\w+)"
    return (
        (r"stem\.(conv\d?)\.conv\.(.*)", r"stem.\1.\2"),
        (rf"stem\.conv(\d)\.{norm}", r"stem.norm\1.\2"),
        (rf"{ours}pre[.](?:[a-z]+[.])?(\w+)", rf"{theirs}.norm1.\3"),
        (rf"{ours}branch[.]reduce[.]conv[.](.*)", rf"{theirs}.conv1.\3"),
        (rf"{ours}branch[.]reduce[.]{norm}", rf"{theirs}.norm2.\3"),
        (rf"{ours}branch[.]conv[.]conv[.](.*)", rf"{theirs}.conv2.\3"),
        (rf"{ours}branch[.]conv[.]{norm}", rf"{theirs}.norm3.\3"),
        (rf"{ours}branch[.]restore[.](.*)", rf"{theirs}.conv3.\3"),
        (rf"{ours}skip[.]project[.](.*)", rf"{theirs}.downsample.conv.\3"),
        (r"head[.]conv[.](?:[a-z]+[.])?(\w+)", r"norm.\1"),
        (r"head\.fc\.(.*)", r"head.fc.\1"),
    )
