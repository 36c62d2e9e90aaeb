"""What users hand over, as it comes: channels, depths, names, encodings, and files that are not what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import convsmith as cs
from convsmith.data import eval_batches, train_batches
from convsmith.errors import DataError, UserError
from convsmith.jobs.options import Options
from convsmith.jobs.search.options import space_of
from convsmith.jobs.studies.climb import planned
from convsmith.jobs.train.begin import design_job, train_job
from convsmith.recipe import Augment
from convsmith.watcher import Watcher
from data_food import array_split

# ---- channels ----


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_a_network_of_other_channels_than_pictures_have_is_refused_before_data_is_read(tmp_path, channels):
    spec = cs.spec("mobilenetv2_035", classes=2, resolution=16).with_channels(channels)
    (tmp_path / "odd.json").write_text(spec.to_json())
    words = f"images of {channels} channels, and data is read as 1 .* or 3"
    for asked in (
        lambda: train_job(spec, tmp_path / "none", None, Options(), Watcher()),
        lambda: design_job(tmp_path / "none", "1M-macs", spec, "compound", Options(), Watcher()),
        lambda: planned(
            spec, tmp_path / "none", resolution=None, study_factors=False, grow=1.0, options=Options(), watcher=Watcher()
        ),
        lambda: space_of(str(tmp_path / "odd.json")),
        lambda: eval_batches(array_split(), sides=(8, 8), batch=4, channels=channels),
        lambda: train_batches(
            array_split(), sides=(8, 8), batch=4, augment=Augment(), seed=0, first_step=0, last_step=1, channels=channels
        ),
    ):
        with pytest.raises(UserError, match=words):
            asked()
    assert [path.name for path in tmp_path.iterdir()] == ["odd.json"]
