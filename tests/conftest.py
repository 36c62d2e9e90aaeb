"""What all tests share: threads that do not fight, and a strategy that draws any spec the parts can say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Timings of the machine say nothing about the code, so no deadline; the same examples on every run.
settings.register_profile(
    "convsmith", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("convsmith")


@pytest.fixture(autouse=True)
def _own_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data for development checks, which is never part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder}")
    return folder
