"""Run folders: what a run was given and earned."""

from .kinds import Kind, kind_of
from .run import Run, now

__all__ = ["Kind", "Run", "kind_of", "now"]
