"""Published series made again by the rules: what each gives, what was printed, why the two differ. Writes docs/reconstructions.md.

Nothing is trained: networks are scaled and counted. `tests/test_reconstructions.py` holds the page to what this makes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convsmith.arch import ArchSpec, grown
from convsmith.costs import cost
from convsmith.families import spec
from convsmith.scaling import Compound, Depth, InverseCompound, ResNetRS, Resolution, Tiny, Width, solve
from convsmith.scaling.rule import Rule
from convsmith.scaling.tiny import PUBLISHED, ROUNDING, width_formula
from convsmith.units import Budget, Rounding

PAGE = Path(__file__).parents[1] / "docs" / "reconstructions.md"
B0 = spec("efficientnet_b0")
NETS = {"MobileNetV1": "mobilenetv1_100", "MobileNetV2": "mobilenetv2_100", "ResNet-50": "resnet50"}


@dataclass(frozen=True)
class Line:
    """A published network: how it is made here, our count, the printed one (multiply-adds), and why they differ."""

    name: str
    how: str
    spec: ArchSpec
    printed: float
    why: str = ""

    @property
    def macs(self) -> int:
        return cost(self.spec).macs

    @property
    def difference(self) -> float:
        return self.macs / self.printed - 1

    def __str__(self) -> str:
        found = cost(self.spec)
        cells = (
            self.name,
            self.how,
            f"{self.spec.input.resolution}",
            f"{found.params / 1e6:.2f} M",
            _human(found.macs),
            _human(self.printed),
            f"{self.difference:+.1%}",
            self.why,
        )
        return f"| {' | '.join(cells)} |"


def tinynet() -> Iterator[Line]:
    """TinyNet-A to -E: the rule at their share of B0's cost."""
    for point, size, printed in zip(PUBLISHED, "abcde", (339e6, 202e6, 100e6, 52e6, 24e6), strict=True):
        why = "the published count seems to include norms" if size != "e" else "1.5 % below our count, unexplained"
        made = Tiny()(B0, point.share)
        yield Line(f"TinyNet-{size.upper()}", Tiny().describe(point.share), made, printed, why)


def square_root() -> Iterator[Line]:
    """The same r and d with the paper's w = sqrt(c / (d r^2)), c the published cost over 387 M."""
    for point, size, printed in zip(PUBLISHED, "abcde", (339e6, 202e6, 100e6, 52e6, 24e6), strict=True):
        width = width_formula(printed / 387e6, depth=point.depth, resolution=point.resolution)
        made = grown(B0, depth=point.depth, width=width, resolution=point.resolution, rounding=ROUNDING)
        why = "" if size in "ab" else "stem, head and classifier do not shrink; depthwise costs fall with w, not w^2"
        yield Line(f"TinyNet-{size.upper()}", f"w = {width:.3f} by the formula", made, printed, why)


def inverse() -> Iterator[Line]:
    """EfficientNet-B^-1 to -B^-4: the inverse compound rule fitted to their costs."""
    for rank, printed in enumerate((201e6, 98e6, 51e6, 24e6), start=1):
        found = solve(InverseCompound(), B0, Budget(macs=printed), cost)
        why = "phi is a reconstruction; only the cost of B^-4 is in what we could read"
        yield Line(f"B^-{rank}", found.rule.describe(found.x), found.spec, printed, why)


def resnet_rs() -> Iterator[Line]:
    """The family from its ResNet-RS-50 at 160 px, by the rule, each member at most as dear as the published one."""
    base, pairs = spec("resnetrs50"), [(50, 160), (101, 160), (101, 192), (152, 192), (152, 224), (152, 256)]
    for depth, side in [*pairs, (200, 256), (270, 256), (350, 256), (350, 320), (420, 320)]:
        twin = spec(f"resnetrs{depth}").with_resolution(side)
        made = solve(ResNetRS(), base, Budget(macs=cost(twin).macs * (1 + 1e-9)), cost).spec
        theirs, ours = (" ".join(str(stage.depth) for stage in one.stages) for one in (twin, made))
        why = "" if theirs == ours and side == made.input.resolution else _apart(twin, made)
        yield Line(f"RS-{depth} @ {side}: {theirs}", ours, made, cost(twin).macs, why)


def _apart(twin: ArchSpec, made: ArchSpec) -> str:
    deeper = made.depth - twin.depth
    if not deeper:
        return "side between two of theirs, which are multiples of 32"
    count = f"{abs(deeper)} block{'s' * (abs(deeper) > 1)} {'more' if deeper > 0 else 'fewer'}"
    return f"{count}; the paper takes known depths and then changes side"


# fmt: off
#  network        depth width resolution printed  why
TABLE3: tuple[tuple[str, float, float, float, float, str], ...] = (
    ("MobileNetV1", 1,   1,   1,   0.6e9,  "the published number is rounded"),
    ("MobileNetV1", 1,   2,   1,   2.2e9,  ""),
    ("MobileNetV1", 1,   1,   2,   2.2e9,  "four times the paper's own baseline of 0.57 G"),
    ("MobileNetV1", 1.4, 1.2, 1.3, 2.3e9,  "repeats rounded up over five stages; which blocks the paper repeats is not said"),
    ("MobileNetV2", 1,   1,   1,   0.3e9,  ""),
    ("MobileNetV2", 4,   1,   1,   1.2e9,  ""),
    ("MobileNetV2", 1,   2,   1,   1.1e9,  ""),
    ("MobileNetV2", 1,   1,   2,   1.2e9,  ""),
    ("ResNet-50",   1,   1,   1,   4.1e9,  ""),
    ("ResNet-50",   4,   1,   1,   16.2e9, "four times all blocks; no obvious rule gives the published number"),
    ("ResNet-50",   1,   2,   1,   14.7e9, "all widths doubled; no obvious rule gives the published number"),
    ("ResNet-50",   1,   1,   2,   16.4e9, ""),
)
# fmt: on


def table3() -> Iterator[Line]:
    """The EfficientNet paper's table 3: other networks scaled. Factors are the published ones; two rows give none."""
    for name, depth, width, resolution, printed, why in TABLE3:
        made = grown(spec(NETS[name]), depth=depth, width=width, resolution=resolution, rounding=Rounding())
        yield Line(name, f"d {depth:g}, w {width:g}, r {resolution:g}", made, printed, why)
    for name, printed in (("MobileNetV2", 1.3e9), ("ResNet-50", 16.7e9)):
        found = solve(Compound(), spec(NETS[name]), Budget(macs=printed), cost)
        yield Line(name, found.rule.describe(found.x), found.spec, printed, "no factors published: ours for that cost")


def table7() -> Iterator[Line]:
    """The paper's table 7: B0 by one axis and by the compound rule."""
    why = "the published factor gives less than the published cost"
    for how, depth, width, resolution, printed in (
        ("d 4", 4, 1, 1, 1.8e9),
        ("w 2", 1, 2, 1, 1.8e9),
        ("r 2", 1, 1, 2, 1.9e9),
        ("d 1.4, w 1.2, r 1.3", 1.4, 1.2, 1.3, 1.8e9),
    ):
        made = grown(B0, depth=depth, width=width, resolution=resolution, rounding=Rounding())
        yield Line("B0", how, made, printed, why if "," not in how else "")


def table7_matched() -> Iterator[Line]:
    """The fair comparison: every arm by its rule within the compound arm's counted cost, which stands as "published"."""
    target = cost(grown(B0, depth=1.4, width=1.2, resolution=1.3, rounding=Rounding())).macs
    rules: tuple[Rule, ...] = (Depth(), Width(), Resolution(), Compound())
    for rule in rules:
        found = solve(rule, B0, Budget(macs=target * (1 + 1e-9)), cost)
        yield Line("B0", f"{rule.kind}: {rule.describe(found.x)}", found.spec, target, "sizes are whole numbers")


SECTIONS = (
    ("TinyNet", tinynet),
    ("TinyNet's widths by the published formula", square_root),
    ("EfficientNet run backwards", inverse),
    ("ResNet-RS", resnet_rs),
    ("EfficientNet, table 3", table3),
    ("EfficientNet, table 7 as published", table7),
    ("EfficientNet, table 7 at equal counted cost", table7_matched),
)


def page() -> str:
    text = [
        "# Published series, made again by the rules\n",
        "Counts, not trainings: each network is scaled by a rule of this package and its multiply-adds are counted and compared",
        "with the published number. Written by `python bench/reconstructions.py`; a test holds this page to it.\n",
    ]
    for title, lines in SECTIONS:
        text += [f"## {title}\n", (lines.__doc__ or "").strip() + "\n"]
        text += ["| network | how | px | parameters | MACs | published | difference | why |"]
        text += ["| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |", *map(str, lines()), ""]
    return "\n".join(text)


def _human(macs: float) -> str:
    return f"{macs / 1e9:.3f} G" if macs >= 1e9 else f"{macs / 1e6:.1f} M"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
