"""A supernet: one set of weights that holds every network of a space (BigNAS; Yu et al., 2020)."""

from .calibrate import calibrate
from .counting import Counting
from .drawing import drawn, near, over_cost, within_band
from .finishing import Finishing
from .sandwich import Sandwich, assert_distinct, ends, refuse_recipe, sandwich
from .selection import Selected, best_within, coarse_to_fine, moved, nondominated, rewarded, skeletons
from .shared import Child, Supernet, recalibrate
from .slicing import check
from .space import Axes, Axis, Genes, Space
from .spaces import BIGNAS, P16, SPACES, T32, space_from

__all__ = [
    "BIGNAS",
    "P16",
    "SPACES",
    "T32",
    "Axes",
    "Axis",
    "Child",
    "Counting",
    "Finishing",
    "Genes",
    "Sandwich",
    "Selected",
    "Space",
    "Supernet",
    "assert_distinct",
    "best_within",
    "calibrate",
    "check",
    "coarse_to_fine",
    "drawn",
    "ends",
    "moved",
    "near",
    "nondominated",
    "over_cost",
    "recalibrate",
    "refuse_recipe",
    "rewarded",
    "sandwich",
    "skeletons",
    "space_from",
    "within_band",
]
