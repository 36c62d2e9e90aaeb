"""A supernet: one set of weights that holds every network of a space (BigNAS; Yu et al., 2020)."""

from .calibrate import calibrate
from .counting import Counting
from .loop import RolledBack, SupernetRecord, Watched, refuse_recipe, train_supernet
from .sandwich import assert_distinct, drawn, sandwich
from .selection import Selected, best_within, coarse_to_fine, moved, nondominated, rewarded, skeletons
from .shared import Child, Supernet
from .slicing import check
from .space import Axes, Axis, Genes, Space
from .spaces import BIGNAS, SPACES, T32, space_from

__all__ = [
    "BIGNAS",
    "SPACES",
    "T32",
    "Axes",
    "Axis",
    "Child",
    "Counting",
    "Genes",
    "RolledBack",
    "Selected",
    "Space",
    "Supernet",
    "SupernetRecord",
    "Watched",
    "assert_distinct",
    "best_within",
    "calibrate",
    "check",
    "coarse_to_fine",
    "drawn",
    "moved",
    "nondominated",
    "refuse_recipe",
    "rewarded",
    "sandwich",
    "skeletons",
    "space_from",
    "train_supernet",
]
