"""A device that is not here: calibrated from what a kit measured on it, a model for each number of threads and each batch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..errors import UserError
from .model import DeviceModel

__all__ = ["Calibrated"]


@dataclass(frozen=True)
class Calibrated:
    """A device by the name that its user gave it.

    `models` are of one runtime, one for each (threads, batch) that was measured there; `kit` says of which kit. `watts` is the
    median power of its processor while it ran the networks, idling included, for each of the models; None where the system has no
    counter.
    """

    name: str
    models: tuple[DeviceModel, ...]
    kit: str
    watts: tuple[float | None, ...]

    @property
    def runtime(self) -> str:
        return self.models[0].device.runtime

    def at(self, threads: int, batch: int = 1) -> DeviceModel:
        """The model for so many threads and images at once.

        Raises:
            UserError: these were not measured, with what was.
        """
        for model in self.models:
            if (model.device.threads, model.device.batch) == (threads, batch):
                return model
        known = ", ".join(f"{one.device.threads} x {one.device.batch}" for one in self.models)
        raise UserError(
            f"{self.name} was not measured with --threads {threads} and --batch {batch}; its kit measured threads x batch "
            f"{known}, and `convsmith kit` with other --threads and --batches measures others"
        )

    def millijoules(self, threads: int, batch: int, ms: float) -> float | None:
        """What an image of so many milliseconds takes of energy; None where the device has no counter."""
        watts = self.watts[self.models.index(self.at(threads, batch))]
        return None if watts is None else watts * ms

    def to_json(self) -> str:
        record = {"name": self.name, "kit": self.kit, "watts": self.watts}
        return json.dumps(record | {"models": [one.to_record() for one in self.models]}) + "\n"

    @staticmethod
    def from_json(text: str, source: str) -> Calibrated:
        try:
            data: dict[str, Any] = json.loads(text)
            models = tuple(DeviceModel.from_record(one) for one in data["models"])
            return Calibrated(data["name"], models, data["kit"], tuple(data["watts"]))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{source} is not a calibrated device ({error}); remove it and run `convsmith calibrate --from` again"
            ) from None
