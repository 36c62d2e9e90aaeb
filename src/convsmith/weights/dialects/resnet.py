"""Names of ResNets: timm kept torchvision's, and grew them for deep stems, pooled shortcuts and squeeze-excitation."""

from __future__ import annotations

from ...arch import ArchSpec
from ..rules import Rules

__all__ = ["rules"]


def rules(spec: ArchSpec) -> Rules:
    """conv1, bn1, layerN.B.convM, downsample, fc."""
    found = [
        (r"stem\.conv\.conv\.(.*)", r"conv1.\1"),
        (r"stem\.conv\.norm\.bn\.(.*)", r"bn1.\1"),
        # A deep stem: three convolutions in one sequence, whose last norm keeps the plain stem's name, and in the place
        # of the max-pool perhaps a fourth.
        (r"stem\.conv1\.conv\.(.*)", r"conv1.0.\1"),
        (r"stem\.conv1\.norm\.bn\.(.*)", r"conv1.1.\1"),
        (r"stem\.conv2\.conv\.(.*)", r"conv1.3.\1"),
        (r"stem\.conv2\.norm\.bn\.(.*)", r"conv1.4.\1"),
        (r"stem\.conv3\.conv\.(.*)", r"conv1.6.\1"),
        (r"stem\.conv3\.norm\.bn\.(.*)", r"bn1.\1"),
        (r"stem\.conv4\.conv\.(.*)", r"maxpool.0.\1"),
        (r"stem\.conv4\.norm\.bn\.(.*)", r"maxpool.1.\1"),
        (r"head\.fc\.(.*)", r"fc.\1"),
    ]
    for stage in range(len(spec.stages)):
        ours, theirs = rf"stages[.]{stage}[.](\d+)[.]", rf"layer{stage + 1}.\1"
        for number, unit in enumerate(("reduce", "conv", "restore"), start=1):
            found.append((rf"{ours}branch[.]{unit}[.]conv[.](.*)", rf"{theirs}.conv{number}.\2"))
            found.append((rf"{ours}branch[.]{unit}[.]norm[.]bn[.](.*)", rf"{theirs}.bn{number}.\2"))
        found += [
            (rf"{ours}branch[.](conv[12])[.]conv[.](.*)", rf"{theirs}.\2.\3"),
            (rf"{ours}branch[.]conv([12])[.]norm[.]bn[.](.*)", rf"{theirs}.bn\2.\3"),
            (rf"{ours}branch[.]se[.]reduce[.](.*)", rf"{theirs}.se.fc1.\2"),
            (rf"{ours}branch[.]se[.]expand[.](.*)", rf"{theirs}.se.fc2.\2"),
            (rf"{ours}skip[.]conv[.](.*)", rf"{theirs}.downsample.0.\2"),
            (rf"{ours}skip[.]norm[.]bn[.](.*)", rf"{theirs}.downsample.1.\2"),
            (rf"{ours}skip[.]project[.]conv[.](.*)", rf"{theirs}.downsample.1.\2"),
            (rf"{ours}skip[.]project[.]norm[.]bn[.](.*)", rf"{theirs}.downsample.2.\2"),
        ]
    return tuple(found)
