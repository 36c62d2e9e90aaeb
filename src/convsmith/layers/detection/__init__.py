"""The mathematics of Mask R-CNN (He et al., 2017), apart from its convolutions."""

from .anchors import Anchors
from .detections import Detections, detected
from .fixed import find_fixed
from .passes import Head, Learnt, find, learn
from .proposals import proposals
from .settings import Geometry, Settings

__all__ = [
    "Anchors",
    "Detections",
    "Geometry",
    "Head",
    "Learnt",
    "Settings",
    "detected",
    "find",
    "find_fixed",
    "learn",
    "proposals",
]
