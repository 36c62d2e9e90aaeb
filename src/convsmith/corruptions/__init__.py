"""The fifteen common corruptions at five severities (ImageNet-C, Hendrycks & Dietterich 2019), for pictures of any size.

`corrupted(picture, "fog", 3)` is a pure function: the same picture, corruption, severity and seed give the same pixels in
any process and in any order. Pictures whose short side is below `SMALL` get CIFAR-C's weaker strengths.
"""

from .corrupted import SEVERITIES, SMALL, corrupted
from .table import CORRUPTIONS, GROUPS, Corruption

__all__ = ["CORRUPTIONS", "GROUPS", "SEVERITIES", "SMALL", "Corruption", "corrupted"]
