"""How data is to be read, where it is of points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, nearest

__all__ = ["BY_FRAME", "BY_INDIVIDUAL", "How"]

BY_INDIVIDUAL, BY_FRAME = "individual", "frame"


@dataclass(frozen=True)
class How:
    """What `load_data` is told beside the name of the data; nothing of it is of labels.

    `divide`: `individual`, `frame`, a number (one of quad30's three divisions) or the path of a .csv that lists frames.
    `ruler`: two body parts, as in "nose,eye", whose distance is the scale of an individual. `category`: that of a COCO file
    which is wanted.
    """

    divide: str | None = None
    ruler: str | None = None
    category: str | None = None

    @property
    def given(self) -> list[str]:
        """The options that something was said to, as they are called."""
        return [f"--{name}" for name, value in vars(self).items() if value is not None]

    @property
    def list_(self) -> Path | None:
        """The file that lists the frames of each part."""
        return Path(self.divide).expanduser() if self.divide and self.divide.lower().endswith(".csv") else None

    @property
    def number(self) -> int | None:
        return int(self.divide) if self.divide and self.divide.isdecimal() else None

    def check(self) -> None:
        """Refuse what is no division at all."""
        words = (BY_INDIVIDUAL, BY_FRAME)
        if self.divide is None or self.divide in words or self.number is not None:
            return
        if self.list_ is None:
            raise DataError(
                f"--divide is '{self.divide}'{nearest(self.divide, words)}; give individual, frame, the number of one of "
                "quad30's divisions, or a .csv that lists the frames of each part"
            )
        if not self.list_.is_file():
            raise DataError(f"--divide: there is no file {self.list_}")

    def refuse_of_labels(self, what: str) -> None:
        """Refuse what was said, of data that has no points."""
        if self.given:
            raise DataError(f"{' and '.join(self.given)}: {what} has labels, and these are of points in pictures")
