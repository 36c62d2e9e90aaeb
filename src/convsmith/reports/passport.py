"""The robustness passport: what corruptions leave of one network, or of several side by side, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import plot
from ..corruptions import CORRUPTIONS
from ..plot import BLUE, GREY, INK, ORANGE, axis_of, blank
from ..runs import Domains, Robustness, WorstPose
from ..scores import Metric, Unit
from .blocks import shown_image, shown_images
from .format import amount, ends, percent
from .posed import PosedPicture, posed
from .templates import template

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Sheet", "in_words", "render_passport"]

# Of a page that is mailed, what the pictures of one run may take.
ROOM = 400_000
_LINES = ((BLUE, "-"), (ORANGE, "-"), (INK, "-"), (GREY, "-"), (BLUE, "--"), (ORANGE, "--"), (INK, "--"), (GREY, "--"))


@dataclass(frozen=True)
class Sheet:
    """One run of a passport. `against` is its mean less that of the reference, picture by picture, `by_group` that of each group
    of corruptions; None and empty of the reference itself and where the pictures differ. `domains` are its scores out of its
    domain and within, where there are pictures of that."""

    name: str
    network: str
    robustness: Robustness
    params: int | None = None
    macs: int | None = None
    bytes: int | None = None
    ms: float | None = None
    against: Metric | None = None
    by_group: tuple[tuple[str, Metric], ...] = ()
    domains: Domains | None = None

    @property
    def words(self) -> str:
        return in_words(self.robustness, self.domains)

    @property
    def poses(self) -> tuple[tuple[WorstPose, PosedPicture], ...]:
        """The worst pictures with points, drawn."""
        found = self.robustness
        images = shown_images([one.pose.image for one in found.poses], ROOM)
        return tuple(zip(found.poses, posed(found.posed, images).pictures, strict=True))


def in_words(found: Robustness, domains: Domains | None = None) -> str:
    """A paragraph: what is left on average, what costs most and least, what the worst does, and beside it what is left out of the
    domain."""
    clean, mean = found.clean, found.mean()
    share = ""
    if clean.value and clean.unit is Unit.SHARE:
        share = f", {percent(mean.value / clean.value, 0)} of what it does on clean ones"
    elif clean.value and not clean.more_is_better:
        share = f", {mean.value / clean.value:.2f} times what it is on clean ones"
    between = f" [{ends(mean)}]" if mean.interval else ""
    said = [
        f"On {found.n:,} clean pictures of {found.data} its {clean.words} is {amount(clean)}; corrupted, it is "
        f"{amount(mean)}{between} on average{share}."
    ]
    if len(found.groups) > 1:
        hardest, easiest = (pick(found.groups, key=lambda group: found.mean(group).worth) for pick in (min, max))
        said.append(
            f"{hardest.capitalize()} costs most ({'it leaves ' if clean.more_is_better else ''}{amount(found.mean(hardest))}), "
            f"{easiest} least ({amount(found.mean(easiest))})."
        )
    worst = min(found.cells, key=lambda cell: found.cell(cell.corruption, cell.severity).worth)
    left = found.cell(worst.corruption, worst.severity)
    said.append(f"The worst single one is {_spaced(worst.corruption)} at severity {worst.severity}: {amount(left)}.")
    if domains is not None:
        said.append(f"Clean pictures from out of its domain: {domains.sentence}")
    if found.adapted:
        said.append("Its norms took their statistics from the corrupted pictures of each set.")
    if not found.whole:
        said.append(
            f"Only {len(found.names)} of fifteen corruptions at severities {', '.join(map(str, found.severities))} were tried: "
            "these means stand beside no others."
        )
    return " ".join(said)


def render_passport(sheets: Sequence[Sheet], *, reference: str = "", machine: str = "", command: str = "") -> str:
    """The page as HTML that needs nothing else. `reference` is the name of the run that others are held against."""
    groups = [group for group in sheets[0].robustness.groups if all(group in one.robustness.groups for one in sheets)]
    page = template("passport.html.j2")
    return page.render(
        sheets=sheets,
        groups=groups,
        group_of={known.name: known.group for known in CORRUPTIONS},
        same=len({sheet.robustness.pictures for sheet in sheets}) == 1,
        reference=reference,
        beyond=any(sheet.domains is not None for sheet in sheets),
        curves=Markup(plot.svg(severity_curves(sheets, groups), key="curves")),
        shown_image=shown_image,
        shade=shade,
        spaced=_spaced,
        machine=machine,
        command=command,
    )


def severity_curves(sheets: Sequence[Sheet], groups: Sequence[str]) -> Figure:
    """The mean score of each group of corruptions over severity, 0 being clean: a panel a group, a line a run."""
    label, scale = axis_of(sheets[0].robustness.clean)
    with blank(2.5, width=9.0) as figure:
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axes, group in zip(panels, groups, strict=True):
            for sheet, (colour, dash) in zip(sheets, _LINES, strict=False):
                found = sheet.robustness
                severities = (0, *found.severities)
                own = [found.clean.value, *(_mean_at(found, group, severity) for severity in found.severities)]
                axes.plot(
                    severities, [scale * value for value in own], dash, color=colour, marker="o", markersize=3,
                    linewidth=1.4, label=plot.short(sheet.name, 30),
                )  # fmt: skip
            axes.set_title(group, loc="left")
            axes.grid(axis="y")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_xlabel("severity")
        panels[0].set_ylabel(label)
        panels[0].set_ylim(bottom=0)
        if len(sheets) > 1:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        figure.set_label(f"{label} of {', '.join(sheet.name for sheet in sheets)} by severity of {', '.join(groups)}.")
    return figure


def _mean_at(found: Robustness, group: str, severity: int) -> float:
    own = [
        found.cell(known.name, severity).value
        for known in CORRUPTIONS
        if known.group == group and known.name in found.names
    ]
    return sum(own) / len(own)


def shade(metric: Metric, clean: Metric) -> float:
    """How strongly a cell is coloured, between 0 and 0.45: the share that is lost of what clean pictures have."""
    lost = 1 - metric.value / clean.value if metric.more_is_better else 1 - clean.value / metric.value
    return 0.45 * min(max(lost, 0.0), 1.0) if clean.value else 0.0


def _spaced(name: str) -> str:
    return name.replace("_", " ")
