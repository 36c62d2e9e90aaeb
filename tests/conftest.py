"""What all tests share: threads that do not fight, and a strategy that draws any spec the parts can say."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

if TYPE_CHECKING:
    from convsmith import Run

# Timings of the machine say nothing about the code, so no deadline; the same examples on every run.
settings.register_profile(
    "convsmith", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("convsmith")


@pytest.fixture(autouse=True)
def _own_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _briefly_timed() -> Iterator[None]:
    """Whatever is timed on the way is timed truly, and not for long: a training ends with two seconds of warm-up and a third
    of one of rounds. What is done until milliseconds are steady is shown on a clock of its own, in tests/test_latency.py."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("convsmith.latency._WARM_UP_NS", 10**7)
        patched.setattr("convsmith.latency._SAMPLE_NS", 10**5)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_registry() -> Iterator[None]:
    """For every file torch's exporter reads the source of five hundred functions anew, a third of what a small network takes.
    Here it does so once a process, and once more when torchvision has come, whose operations it knows only then; where its insides
    are others, tests are only slower."""
    with pytest.MonkeyPatch.context() as patched:
        with suppress(ImportError, AttributeError):
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            made = ONNXRegistry.from_torchlib
            read = cache(lambda known, *given, **named: made(*given, **named))
            told = staticmethod(lambda *given, **named: read("torchvision" in sys.modules, *given, **named))
            patched.setattr(ONNXRegistry, "from_torchlib", told)
        yield


@pytest.fixture(scope="session", autouse=True)
def _modules_stay(_one_registry: None) -> None:
    """Garbage is collected before anything is timed, and so after most trainings: what all the imports have made is no garbage, and
    need not be looked through each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data for development checks, which is never part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}")
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network trained for some epochs on the digits, exported, and in eight bits beside. To be read and left as it is."""
    import convsmith as cs
    from predicting import SIDE, small

    spec = small().with_resolution(SIDE).with_classes(10)
    options = cs.Options(settings=("epochs=3",), name="digits", parent=tmp_path_factory.mktemp("runs"))
    made = cs.train(spec, "digits", options=options)
    cs.export(made, int8=True)
    return made


@pytest.fixture(scope="session")
def odd_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of every kind that the readers take."""
    from predicting import picture

    folder = tmp_path_factory.mktemp("odd")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    picture(0).save(folder / "colour.png")
    picture(1).convert("L").save(folder / "grey.png")
    picture(2).convert("CMYK").save(folder / "cmyk.jpg")
    picture(3).convert("RGBA").save(folder / "alpha.png")
    picture(4).quantize(16).save(folder / "palette.gif")
    picture(5).save(folder / "turned.jpg", exif=turned)
    picture(6, 1, 1).save(folder / "one.png")
    picture(7, 300, 420).save(folder / "large.jpg", quality=95)
    picture(8, 9, 70).save(folder / "long.bmp")
    Image.fromarray((np.arange(1600).reshape(40, 40) * 40).astype(np.uint16)).save(folder / "sixteen.png")
    return folder
