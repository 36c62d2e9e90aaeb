"""timm's names for GhostNet."""

from __future__ import annotations

from ...arch import ArchSpec, plan
from ..rules import Rules

__all__ = ["timm"]


def timm(spec: ArchSpec) -> Rules:
    """conv_stem, blocks.S.B.*, conv_head. A block that strides is a stage alone, and those after it are one together."""
    rules = [
        (r"stem\.conv\.conv\.(.*)", r"conv_stem.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"bn1.\1"),
        (r"head\.hidden\.(.*)", r"conv_head.\1"),
        (r"head\.fc\.(.*)", r"classifier.\1"),
    ]
    stage, block, strode = -1, 0, True
    for node in plan(spec)[1:-1]:
        strides = node.stride > 1
        stage, block = (stage + 1, 0) if strides or strode else (stage, block + 1)
        strode = strides
        ours, theirs = rf"{node.path.replace('.', '[.]')}[.]", f"blocks.{stage}.{block}"
        for part, name in (("primary", "primary_conv"), ("cheap", "cheap_operation")):
            rules.append((rf"{ours}branch[.](ghost[12])[.]{part}[.]conv[.](.*)", rf"{theirs}.\1.{name}.0.\2"))
            rules.append((rf"{ours}branch[.](ghost[12])[.]{part}[.]norm[.]bn[.](.*)", rf"{theirs}.\1.{name}.1.\2"))
        rules += [
            (rf"{ours}branch[.]depthwise[.]conv[.](.*)", rf"{theirs}.conv_dw.\1"),
            (rf"{ours}branch[.]depthwise[.]norm[.]bn[.](.*)", rf"{theirs}.bn_dw.\1"),
            (rf"{ours}branch[.]se[.](reduce|expand)[.](.*)", rf"{theirs}.se.conv_\1.\2"),
            (rf"{ours}skip[.]depthwise[.]conv[.](.*)", rf"{theirs}.shortcut.0.\1"),
            (rf"{ours}skip[.]depthwise[.]norm[.]bn[.](.*)", rf"{theirs}.shortcut.1.\1"),
            (rf"{ours}skip[.]project[.]conv[.](.*)", rf"{theirs}.shortcut.2.\1"),
            (rf"{ours}skip[.]project[.]norm[.]bn[.](.*)", rf"{theirs}.shortcut.3.\1"),
        ]
    rules.append((r"head\.conv\.conv\.(.*)", rf"blocks.{stage + 1}.0.conv.\1"))
    rules.append((r"head\.conv\.norm\.bn\.(.*)", rf"blocks.{stage + 1}.0.bn1.\1"))
    return tuple(rules)
