"""One self-contained page for a search or a scaling study: what was found, drawn and in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import plot
from .tables import Table
from .templates import template
from .view import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ScalingPage", "render_scaling"]


@dataclass(frozen=True)
class ScalingPage:
    """All that the page says. `captions` names the drawings in their order."""

    title: str
    subtitle: tuple[str, ...]
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    captions: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    command: str = ""
    machine: str = ""


def render_scaling(page: ScalingPage, drawings: Mapping[str, Figure]) -> tuple[str, dict[str, str]]:
    """The page as HTML that needs nothing else, and its drawings as SVG by name."""
    drawn = {name: plot.svg(drawings[name], key=name) for name in page.captions}
    html = template("scaling.html.j2").render(page=page, drawn={name: Markup(text) for name, text in drawn.items()})
    return html, drawn
