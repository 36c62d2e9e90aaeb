"""Run folders: what a run was given and earned."""

from .run import Run, now

__all__ = ["Run", "now"]
