"""The recipes that papers stand behind, in the order in which they are listed."""

from __future__ import annotations

from . import bignas, efficientnet, evonorm, finetune, lambda_, nf, resnet_rs, tinynet, video
from .paper import Paper

__all__ = ["PAPERS"]

PAPERS: tuple[Paper, ...] = (
    *(efficientnet.PAPER, resnet_rs.PAPER, *nf.PAPERS, evonorm.PAPER),
    *(tinynet.PAPER, lambda_.PAPER, bignas.PAPER, finetune.PAPER, video.PAPER),
)
