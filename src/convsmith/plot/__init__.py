"""All drawing: plain values in, pictures out. matplotlib is imported when the first is drawn.

| file      | what                                                  |
| --------- | ----------------------------------------------------- |
| `canvas`  | colours, style, and a picture's way into SVG or PNG   |
| `figures` | the figures of a run's report                         |
"""

from .canvas import BLUE, GREY, INK, ORANGE, SOFT, alone, axis_of, blank, png, round_numbers, save, short, svg
from .figures import MOST_PRINTED, confusion, latency_bars, loss_curves, score_against_macs, score_curves, stage_costs

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "MOST_PRINTED",
    "ORANGE",
    "SOFT",
    "alone",
    "axis_of",
    "blank",
    "confusion",
    "latency_bars",
    "loss_curves",
    "png",
    "round_numbers",
    "save",
    "score_against_macs",
    "score_curves",
    "short",
    "stage_costs",
    "svg",
]
