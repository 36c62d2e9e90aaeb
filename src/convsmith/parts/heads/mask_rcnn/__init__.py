"""Mask R-CNN (He et al., 2017): boxes, classes and masks of what a network's maps show."""

from .detector import Detector
from .head import MaskRCNN
from .made import detector

__all__ = ["Detector", "MaskRCNN", "detector"]
