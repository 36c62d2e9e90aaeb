"""How data is to be read, where it is of points, of objects or of films."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import DataError, nearest

__all__ = ["BY_CLIP", "BY_FRAME", "BY_INDIVIDUAL", "DETECT", "POSE", "SYNTHESISE", "How"]

BY_INDIVIDUAL, BY_FRAME, BY_CLIP = "individual", "frame", "clip"
DETECT, POSE, SYNTHESISE = "detect", "pose", "synthesise"


@dataclass(frozen=True)
class How:
    """What `load_data` is told beside the name of the data; nothing of it is of labels.

    `divide`: `individual`, `frame`, of films `clip`, a number (one of quad30's three divisions) or the path of a .csv that lists
    frames. `ruler`: two body parts, as in "nose,eye", whose distance is the scale of an individual. `category`: that of a COCO file
    which is wanted. `task`: `detect` where a file of key points is wanted as objects; `synthesise` wants labels, and reads them
    as ever.
    """

    divide: str | None = None
    ruler: str | None = None
    category: str | None = None
    task: str | None = None

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
        """Refuse what is no division at all, and no task that data is read for."""
        known = (DETECT, POSE, SYNTHESISE)
        if self.task is not None and self.task not in known:
            raise DataError(f"--task is '{self.task}'{nearest(self.task, known)}; data is read for {', '.join(known)}")
        words = (BY_INDIVIDUAL, BY_FRAME, BY_CLIP)
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
        """Refuse what was said, of data that has neither points nor objects."""
        said = [name for name in self.given if name != "--task"]
        if said:
            raise DataError(f"{' and '.join(said)}: {what} has labels, and these are of points in pictures")
        if self.task in (DETECT, POSE):
            raise DataError(
                f"--task {self.task}: {what} has labels, and nothing says where anything is in its pictures"
            )

    def refuse_of_films(self, what: str) -> None:
        """Refuse what was said of points and objects, of data that has films; but for how they are divided."""
        if self.task == SYNTHESISE:
            raise DataError(f"--task {SYNTHESISE}: {what} has films, and a generator learns to make images")
        if self.divide != BY_CLIP:
            self.refuse_of_labels(what)
        else:
            replace(self, divide=None).refuse_of_labels(what)

    def refuse_of_objects(self, what: str) -> None:
        """Refuse what was said of points, of data that has objects."""
        self._refuse_synthesis(what, "objects")
        wrong = [name for name in self.given if name not in ("--category", "--task")]
        if self.task == POSE:
            raise DataError(
                f"--task {POSE}: {what} has objects in its pictures, and nothing says where their points are"
            )
        if wrong:
            raise DataError(f"{' and '.join(wrong)}: {what} has objects in its pictures, and these are of points")

    def refuse_category(self, what: str) -> None:
        """Refuse a category of data that is no file of COCO's."""
        if self.category is not None:
            raise DataError(f"--category chooses one of COCO's categories, and {what} has none")

    def refuse_of_points(self, what: str) -> None:
        """Refuse data of points where objects are asked for, and where it is to be divided by clip."""
        self._refuse_synthesis(what, "points")
        if self.divide == BY_CLIP:
            raise DataError(f"--divide {BY_CLIP} is of films, and {what} has points in its pictures")
        if self.task == DETECT:
            raise DataError(f"--task {DETECT}: {what} has points in its pictures, and no boxes around them")

    def _refuse_synthesis(self, what: str, has: str) -> None:
        if self.task == SYNTHESISE:
            raise DataError(
                f"--task {SYNTHESISE}: {what} has {has} in its pictures, and a generator learns from classes"
            )
