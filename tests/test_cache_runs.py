"""Runs with a cache: killed, resumed, of every seed, on two processes, the same as without a kill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from convsmith.api.verbs import train
from convsmith.cli import main
from convsmith.codec import to_json
from convsmith.data import Arrays, Files, Inputs
from convsmith.errors import UserError
from convsmith.jobs.feed import Feed
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.jobs.source import Source, contents
from convsmith.recipe import Augment
from convsmith.recipes import QUICK
from convsmith.watcher import Watcher
from data_food import noise, write_classes
from listening import Listening
from test_survival import SMALL
from unexported import UNEXPORTED


def options(folder: Path, **changes: object) -> Options:
    return replace(
        Options(parent=folder / "runs", settings=("epochs=3", "batch=4"), cache=folder / "cache", name="run"), **changes
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def trained(folder: Path, data: Path, **changes: object) -> dict[str, torch.Tensor]:
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, data, options=options(folder, **changes), watcher=Listening(until_stage="evaluate"))
    return weights(folder / "runs" / "run")


def test_a_run_that_was_killed_resumes_with_its_cache_to_the_same_weights(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 8, "b": 8}, side=30, suffix=".jpg")
    whole = trained(tmp_path / "whole", data, cache_side=10)
    assert not equal(whole, trained(tmp_path / "plain", data, cache=None)), "shrunk images are not the images"
    for lost in (False, True):
        own = tmp_path / str(lost)
        with pytest.raises(KeyboardInterrupt):
            train(SMALL, data, options=options(own, cache_side=10), watcher=Listening(until_step=5))
        if lost:
            shutil.rmtree(own / "cache")
        listener = Listening(until_stage="evaluate")
        with pytest.raises(KeyboardInterrupt):
            resume(own / "runs" / "run", watcher=listener)
        assert any("resuming after step" in note for note in listener.notes)
        assert listener.built is lost
        assert equal(weights(own / "runs" / "run"), whole)


def test_the_side_is_what_the_smallest_crops_need_unless_it_is_said(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 4, "b": 4}, side=30)
    images = Source(str(data), cache=str(tmp_path / "cache")).load(Watcher())
    recipe = replace(QUICK, augment=Augment(crop=(0.25, 1.0)))
    split = _cached(Feed(SMALL, images, recipe, 0, 0))
    assert min(split.decode(0).shape[1:]) == 16  # a crop of a quarter of 16 x 16 pixels has the network's 8 x 8
    assert [path.name[:10] for path in (tmp_path / "cache").glob("*.u8")] == ["data-16px-"]

    listener = Listening()
    images = Source(str(data), cache=str(tmp_path / "cache"), cache_side=10).load(listener)
    split = _cached(Feed(SMALL, images, recipe, 0, 0))
    assert min(split.decode(0).shape[1:]) == 10
    assert listener.notes[-1].startswith("crops of less than 64% of an image that was shrunk to 10 px are enlarged")
    with pytest.raises(UserError, match="--cache-side is -1"):
        Source(str(data), cache=str(tmp_path / "cache"), cache_side=-1).load(listener)


def _cached(feed: Feed) -> Inputs:
    cache = feed._cache()
    assert cache is not None
    return cache.over(feed.images.train.inputs)


def test_every_seed_shares_one_cache_and_the_validation_images_stay_whole(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 6, "b": 6}, side=30)
    plain = Source(str(data)).load(Watcher())
    built = []
    for seed in (0, 1):
        listener = Listening()
        images = Source(str(data), seed=seed, cache=str(tmp_path / "cache")).load(listener)
        feed = Feed(SMALL, images, QUICK, seed, 0)
        assert (_cached(feed).at >= 0).all()
        built.append(listener.built)
        assert isinstance(images.train.inputs, Files) and isinstance(images.val.inputs, Files)
        if seed == 0:
            assert contents(images) == contents(plain)
    assert built == [True, False]


def test_data_with_its_own_validation_part_has_only_training_images_cached(tmp_path: Path) -> None:
    write_classes(tmp_path / "data" / "train", {"a": 4, "b": 4}, side=30)
    write_classes(tmp_path / "data" / "val", {"a": 3, "b": 3}, side=30)
    listener = Listening()
    Feed(SMALL, Source(str(tmp_path / "data"), cache=str(tmp_path / "cache")).load(listener), QUICK, 0, 0)
    assert listener.counts[-1] == (8, 8)


def test_looking_at_data_does_not_build_a_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_classes(tmp_path / "data", {"a": 4, "b": 4}, side=30)
    spec = tmp_path / "small.json"
    spec.write_text(to_json(SMALL))
    Source(str(data), cache=str(tmp_path / "cache")).load(Watcher())
    command = ["train", str(spec), str(data), "--cache", str(tmp_path / "cache"), "--dry-run", "--json"]
    assert main([*command, "--set", "batch=2"]) == 0
    assert json.loads(capsys.readouterr().out)["dry_run"]
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_two_processes_of_torchrun_share_one_cache(tmp_path: Path) -> None:
    data = write_classes(tmp_path / "data", {"a": 8, "b": 8}, side=30)
    spec = tmp_path / "small.json"
    spec.write_text(to_json(SMALL))
    verb = ["train", str(spec), str(data), "--epochs", "2", "--set", "batch=4", "--cache", str(tmp_path / "cache")]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [*torchrun, UNEXPORTED[-1], *verb, "--runs", str(tmp_path / "runs"), "--name", "run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "run" / "latency.json").is_file(), "which is the last that it writes here"
    assert len(list((tmp_path / "cache").glob("*.u8"))) == 1
    assert len(json.loads(next((tmp_path / "cache").glob("*.json")).read_text())["shapes"]) == 16


def test_images_that_are_held_in_memory_unasked_are_not_cached(tmp_path: Path) -> None:
    write_classes(tmp_path / "data", {"a": 1, "b": 1})
    for name in "ab":
        for i in range(3):
            Image.fromarray(noise(9, 9, 3, seed=i)).save(tmp_path / "data" / name / f"{i:03}.png")
    images = Source(str(tmp_path / "data"), cache=str(tmp_path / "cache")).load(Watcher())
    assert isinstance(images.train.inputs, Arrays)
    Feed(SMALL, images, QUICK, 0, 0)
    assert not (tmp_path / "cache").exists()
