"""All drawing: plain values in, pictures out. matplotlib is imported when the first is drawn.

| file      | what                                                  |
| --------- | ----------------------------------------------------- |
| `canvas`  | colours, style, and a picture's way into SVG or PNG   |
| `figures` | the figures of a run's report                         |
| `detection` | those of detectors                                  |
| `lines`   | scores against what they cost, a line for each rule   |
| `adversaries` | those of a generator and its critic               |
| `eight_bits` | those of a file in eight bits, block by block      |
"""

from .adversaries import looks_at_two, losses_apart
from .canvas import BLUE, GREY, INK, ORANGE, SOFT, alone, axis_of, blank, png, round_numbers, save, short, svg
from .detection import error_costs, precision_recall
from .eight_bits import blocks_alone, score_by_time
from .figures import MOST_PRINTED, confusion, latency_bars, loss_curves, score_against_macs, score_curves, stage_costs
from .lines import ScoreLine, score_lines

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "MOST_PRINTED",
    "ORANGE",
    "SOFT",
    "ScoreLine",
    "alone",
    "axis_of",
    "blank",
    "blocks_alone",
    "confusion",
    "error_costs",
    "latency_bars",
    "looks_at_two",
    "loss_curves",
    "losses_apart",
    "png",
    "precision_recall",
    "round_numbers",
    "save",
    "score_against_macs",
    "score_by_time",
    "score_curves",
    "score_lines",
    "short",
    "stage_costs",
    "svg",
]
