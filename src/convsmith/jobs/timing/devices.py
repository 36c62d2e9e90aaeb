"""Whose milliseconds are meant: this machine's, or those of a device that is elsewhere and was calibrated by a kit."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ...arch import ArchSpec
from ...errors import UserError, nearest
from ...files import write_text
from ...firstbytes import read_text
from ...latency import Runtime
from ...ranges import at_least
from ...resolve import spec as resolve_spec
from ...runs import told_of
from ...scaling import Took
from ...speed import Calibrated, DeviceModel, Prediction
from ...units import Budget
from ...watcher import Watcher
from .calibrate import CACHE, calibration
from .stopwatch import Stopwatch
from .subjects import refuse_missing

__all__ = ["HERE", "Aim", "clock", "estimate", "in_two", "keep", "model_of", "named", "names", "refuse_name"]

# What torch computes on here has these names, and so no device elsewhere does.
_HERE = re.compile(r"(cpu|cuda|mps|xpu|xla|hpu|mtia|meta)(:\d+)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def refuse_name(name: str) -> None:
    """Refuse what cannot be the name of a device that is elsewhere.

    Raises:
        UserError: it is what torch computes on, or no file could have the name.
    """
    if _HERE.fullmatch(name):
        raise UserError(f"'{name}' is what torch computes on here: call the device by another name, such as pi4")
    if not _NAME.fullmatch(name):
        raise UserError(f"'{name}' is no name of a device: letters, digits, '.', '_' and '-', 64 at most, such as pi4")


def names(folder: Path | None = None) -> list[str]:
    """The devices that are calibrated, by name."""
    return sorted(path.stem for path in _folder(folder).glob("*.json"))


def named(name: str, folder: Path | None = None) -> Calibrated:
    """The calibrated device of that name.

    Raises:
        UserError: there is none, with those that there are.
    """
    refuse_name(name)
    path = _folder(folder) / f"{name}.json"
    if not path.is_file():
        known = names(folder)
        have = f"; calibrated are {', '.join(known)}" if known else "; none is calibrated yet"
        raise UserError(
            f"there is no device '{name}'{have}: `convsmith kit FOLDER` measures one, and `convsmith calibrate --from "
            f"FOLDER/result.json --device {name}` gives it its name{nearest(name, known)}"
        )
    return Calibrated.from_json(read_text(path), str(path))


def keep(device: Calibrated, folder: Path | None = None) -> Path:
    """Write a calibrated device under its name; the file."""
    refuse_name(device.name)
    path = _folder(folder) / f"{device.name}.json"
    write_text(path, device.to_json())
    return path


def model_of(
    device: str | None,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    batch: int = 1,
    folder: Path | None = None,
) -> DeviceModel:
    """The calibration that estimates milliseconds of `device`; of this machine where it is None.

    Raises:
        UserError: there is none, for the device, the runtime, the threads or the batch; with what would do.
    """
    if device is None:
        if batch != 1:
            raise UserError(
                "this machine is calibrated for one image at a time: --batch is of a device that a kit measured, with --device"
            )
        return calibration(runtime, threads, folder)
    found = named(device, folder)
    if Runtime(runtime) not in (Runtime.ORT, Runtime(found.runtime)):
        raise UserError(f"{device} was measured in {found.runtime}, and --runtime {runtime} is another: leave it out")
    return found.at(threads, batch)


def estimate(
    model: str | Path | ArchSpec,
    *,
    runtime: str | Runtime = Runtime.ORT,
    threads: int = 1,
    batch: int = 1,
    device: str | None = None,
    folder: Path | None = None,
) -> Prediction:
    """Milliseconds of one image as a calibration expects them: this machine's, or that of a `device` that a kit measured. Nothing
    is built, exported or run."""
    spec = resolve_spec(model)
    return model_of(device, runtime, threads, batch, folder).predict(spec)


@dataclass(frozen=True)
class Aim:
    """Whose milliseconds a budget is of: a runtime's with so many threads, measured on this machine or estimated for a `device`
    that is elsewhere."""

    runtime: Runtime = Runtime.ORT
    threads: int = 1
    device: str | None = None

    @classmethod
    def of(
        cls,
        device: str | None,
        runtime: str | Runtime,
        threads: int,
        budgets: Iterable[Budget],
        folder: Path | None = None,
    ) -> Aim:
        """What was asked for, held against what there is. A device's runtime is the one that it was measured in.

        Raises:
            UserError: no budget limits milliseconds, the runtime is not installed here, or there is no calibration of the device
                that would do.
        """
        runtime, timed = Runtime(runtime), any(math.isfinite(one.ms) for one in budgets)
        at_least("--threads", threads, 1)
        none = "of budgets in milliseconds, and none of these is; 5ms would be one"
        if not timed and device is not None:
            raise UserError(f"{device} is {none}")
        if not timed and (runtime, threads) != (Runtime.ORT, 1):
            raise UserError(f"--runtime and --threads are {none}")
        if device is None:
            refuse_missing(runtime)
            return cls(runtime, threads)
        return cls(Runtime(model_of(device, runtime, threads, folder=folder).device.runtime), threads, device)

    @property
    def here(self) -> Runtime:
        """What a network that was made for it is measured in on this machine."""
        return self.runtime if self.device is None else Runtime.ORT

    @property
    def recorded(self) -> str | None:
        """What a run's `config.json` says of `here`: None of onnxruntime."""
        return None if self.here is Runtime.ORT else self.here.value

    @property
    def told(self) -> str:
        """Such as `, estimated for pi4, in litert`: empty of onnxruntime on this machine."""
        return told_of(self.device, self.runtime)


HERE = Aim()


def clock(aim: Aim, watcher: Watcher, folder: Path | None = None) -> AbstractContextManager[Callable[[ArchSpec], Took]]:
    """What is asked for milliseconds while a block lasts: a stopwatch here, or the calibration of a device elsewhere."""
    if aim.device is None:
        return Stopwatch(aim.runtime, aim.threads, watcher)
    return nullcontext(model_of(aim.device, aim.runtime, aim.threads, folder=folder).predict)


def in_two(device: str | None) -> tuple[str | None, str | None]:
    """What torch is to compute on, and the device elsewhere whose milliseconds are meant, of `cuda`, `pi4` or `cuda,pi4`.

    >>> in_two("cuda:1"), in_two("pi4"), in_two("cuda,pi4"), in_two(None)
    (('cuda:1', None), (None, 'pi4'), ('cuda', 'pi4'), (None, None))

    Raises:
        UserError: two of a kind.
    """
    given = [] if device is None else [one.strip() for one in device.split(",")]
    here = [one for one in given if _HERE.fullmatch(one)]
    elsewhere = [one for one in given if one not in here]
    if len(here) > 1 or len(elsewhere) > 1:
        raise UserError(
            f"--device {device}: one that torch computes on and one whose milliseconds are meant, such as cuda,pi4"
        )
    return next(iter(here), None), next(iter(elsewhere), None)


def _folder(folder: Path | None) -> Path:
    return (folder or CACHE) / "speed" / "devices"
