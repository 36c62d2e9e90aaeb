"""How large values show themselves at a prompt."""

from __future__ import annotations

from html import escape

__all__ = ["Shown"]


class Shown:
    """A value with more in it than one wants to read: its repr is its name and the first line of its text, in a notebook it is
    all of its text. Its class says `__str__`, and `repr=False` where it is a dataclass."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self).partition(chr(10))[0]}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
