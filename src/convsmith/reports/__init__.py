"""A run folder as one HTML page that can be mailed: what was asked, what came out, and what each number rests on."""

from .facts import RunFacts
from .index import render_index
from .page import render, write_report

__all__ = ["RunFacts", "render", "render_index", "write_report"]
