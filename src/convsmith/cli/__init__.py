"""The command line. Verbs are functions in the files beside this one; nothing here or there imports torch at start."""

from .app import main

__all__ = ["main"]
