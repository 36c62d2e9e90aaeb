"""A run folder as one HTML page that can be mailed: what was asked, what came out, and what each number rests on."""

from .facts import RunFacts
from .index import render_index
from .page import render, write_report
from .passport import Sheet, in_words, render_passport

__all__ = ["RunFacts", "Sheet", "in_words", "render", "render_index", "render_passport", "write_report"]
