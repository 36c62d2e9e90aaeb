"""What may be asked of a file in eight bits."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UserError, nearest
from ...exporting.calibration import Calibration
from ...ranges import at_least, check_numbers, within

__all__ = ["USUAL", "EightBits"]


@dataclass(frozen=True)
class EightBits:
    """How a network is put in eight bits, and which of its blocks stay in float.

    `keep` is how many, those that eight bits cost most; `max_drop` instead the most points of the score that may be lost, for
    which the fewest are kept. With either each block is tried alone, on half of the validation images; what is lost in the end
    is told of the others. With neither nothing is tried and every block is in eight bits.

    Raises:
        UserError: a number that cannot be, or both of `keep` and `max_drop`.
    """

    calibration: Calibration = Calibration.MINMAX
    keep: int | None = None
    max_drop: float | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "int8")
        if self.calibration not in tuple(Calibration):
            raise UserError(
                f"int8.calibration is one of {', '.join(Calibration)}; got {self.calibration!r}"
                f"{nearest(str(self.calibration), Calibration)}"
            )
        if self.keep is not None:
            at_least("int8.keep", self.keep, 0)
        if self.max_drop is not None:
            within("int8.max_drop", self.max_drop, 0, 100)
        if self.keep is not None and self.max_drop is not None:
            raise UserError(
                "int8.keep says how many blocks stay in float, int8.max_drop finds how many: give one of them"
            )

    @property
    def tries(self) -> bool:
        """Whether each block is tried alone."""
        return self.keep is not None or self.max_drop is not None


USUAL = EightBits()
