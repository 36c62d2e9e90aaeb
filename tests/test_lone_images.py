"""A part of a batch with one image by itself, of which batch norm can make no statistics, is refused before any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import convsmith as cs
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.jobs.feed import refuse_lone_images
from convsmith.recipes import QUICK
from convsmith.training import Ranks
from data_food import write_classes

SPEC = cs.spec("mobilenetv2_035")
CPU = torch.device("cpu")


@pytest.mark.parametrize("batch, accumulate, images, world, refused", [
    (1, 1, 20, 1, True), (2, 1, 20, 1, False), (64, 1, 1, 1, True), (64, 1, 2, 1, False),
    (8, 8, 20, 1, True), (8, 4, 20, 1, False), (7, 4, 20, 1, True), (64, 20, 18, 1, True), (3, 2, 9, 1, True),
    (64, 1, 2, 2, True), (4, 1, 9, 2, False), (3, 1, 9, 2, True), (8, 2, 9, 2, False), (8, 4, 9, 2, True),
])  # fmt: skip
def test_a_part_of_one_image_is_refused(batch: int, accumulate: int, images: int, world: int, refused: bool) -> None:
    spec, recipe = SPEC.with_resolution(32), replace(QUICK, batch=batch, accumulate=accumulate)
    ranks = Ranks(0, world, CPU)
    if not refused:
        refuse_lone_images(spec, recipe, images, ranks)
        return
    with pytest.raises(
        UserError, match=r"leaves an image by itself, and the batch norm of .* needs two: give a --batch of"
    ):
        refuse_lone_images(spec, recipe, images, ranks)
    refuse_lone_images(spec.with_resolution(64), recipe, images, ranks)  # of larger maps there are several numbers
    refuse_lone_images(spec, replace(recipe, frozen=True), images, ranks)


def test_networks_without_batch_norm_take_one_image() -> None:
    refuse_lone_images(cs.spec("nf_regnet_b0").with_resolution(32), replace(QUICK, batch=1), 9)


def test_no_folder_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_classes(tmp_path / "data", {"a": 5, "b": 5})
    asked = [
        "train",
        "mobilenetv2_035",
        str(data),
        "--resolution",
        "32",
        "--batch",
        "1",
        "--out",
        str(tmp_path / "runs/r"),
    ]
    assert main(asked) == 2 and main([*asked, "--dry-run"]) == 2
    assert capsys.readouterr().err.count("leaves an image by itself") == 2 and not (tmp_path / "runs").exists()
