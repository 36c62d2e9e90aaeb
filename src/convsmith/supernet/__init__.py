"""A supernet: one set of weights that holds every network of a space (BigNAS; Yu et al., 2020)."""

from .calibrate import calibrate
from .loop import RolledBack, SupernetRecord, Watched, train_supernet
from .sandwich import assert_distinct, drawn, sandwich
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
    "Genes",
    "RolledBack",
    "Space",
    "Supernet",
    "SupernetRecord",
    "Watched",
    "assert_distinct",
    "calibrate",
    "check",
    "drawn",
    "sandwich",
    "space_from",
    "train_supernet",
]
