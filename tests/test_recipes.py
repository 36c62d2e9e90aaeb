"""Recipes as documents: what each says, what a size makes of it, what differs from the paper, old runs read still."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import convsmith as cs
from convsmith.arch import Ramp
from convsmith.codec import from_data, from_json, to_data, to_json
from convsmith.errors import UserError
from convsmith.jobs.train.begin import regularised
from convsmith.recipe import (
    KINDS,
    SGD,
    AutoAugment,
    BySize,
    ColourJitter,
    Cosine,
    Exponential,
    Linear,
    RandAugment,
    Recipe,
    RMSPropTF,
    Size,
    Untouched,
)
from convsmith.recipes import PAPERS, QUICK, RECIPES, changed, differences, finetune_grid, recipe, settle
from convsmith.recipes.nf import REGNET_TABLE
from convsmith.recipes.resnet_rs import EFFICIENTNET_RS_MAGNITUDE
from convsmith.recipes.resnet_rs import TABLE as RESNET_RS_TABLE

NAMES = ["quick", "efficientnet", "resnet-rs", "nf", "nf-regnet", "evonorm", "tinynet", "lambda", "bignas", "finetune"]
NAMES += ["r3d-rs", "pose", "pose-scratch", "detect", "detect-scratch", "clips", "biggan", "biggan-small"]


# ---- the documents ---------------------------------------------------------------------------------------------------


def test_there_is_a_recipe_for_each_paper() -> None:
    assert [known.name for known in RECIPES] == NAMES
    assert [paper.recipe for paper in PAPERS] == list(RECIPES[1:-7])


@pytest.mark.parametrize("known", RECIPES, ids=lambda known: known.name)
def test_a_recipe_is_a_fixed_point_of_json(known: Recipe) -> None:
    assert from_json(Recipe, to_json(known), KINDS) == known


def test_every_document_says_which_numbers_are_ours() -> None:
    package = Path(cs.__file__).parent / "recipes"
    machinery = {"__init__", "paper", "settling", "differences", "quick", "papers"}
    pages = [path for path in package.glob("*.py") if path.stem not in machinery]
    assert len(pages) == 12
    for page in pages:
        assert "not evidenced: ours" in " ".join(page.read_text().split('"""')[1].split()), page


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("efficientnet", {"epochs": 350, "decay": 1e-5, "average": 0.9999, "smoothing": 0.1, "drop_path": 0.2}),
        ("resnet-rs", {"epochs": 350, "decay": 4e-5, "average": 0.9999, "smoothing": 0.1, "warmup": 5}),
        ("nf", {"epochs": 90, "decay": 1e-4, "smoothing": 0.1, "clip": 0, "adaptive_clip": 0}),
        ("nf-regnet", {"epochs": 360, "average": 0.99999, "mixup": 0.2, "drop_path": 0.1}),
        ("evonorm", {"epochs": 90, "decay": 1e-4, "smoothing": 0}),
        ("tinynet", {"epochs": 450, "decay": 1e-5, "average": 0.9999, "dropout": 0.2, "warmup": 3}),
        ("lambda", {"epochs": 90, "decay": 1e-4, "smoothing": 0.1}),
        ("bignas", {"decay": 1e-5, "dropout": 0.2, "smoothing": 0.1}),
        ("finetune", {"batch": 256, "optimiser": SGD(0.9, True)}),
    ],
)
def test_the_papers_numbers(name: str, expected: dict[str, object]) -> None:
    found = recipe(name)
    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "batch", "peak"),
    [
        ("efficientnet", 4096, 0.256), ("resnet-rs", 4096, 1.6), ("nf", 1024, 0.4), ("nf-regnet", 1024, 0.4),
        ("evonorm", 1024, 0.4), ("tinynet", 1024, 0.048), ("lambda", 4096, 1.6), ("bignas", 4096, 0.256),
        ("r3d-rs", 1024, 0.8),
    ],
)  # fmt: skip
def test_rates_are_the_papers_at_the_papers_batches(name: str, batch: int, peak: float) -> None:
    paper = next(paper for paper in PAPERS if paper.recipe.name == name)
    assert paper.batch == batch
    assert paper.recipe.rate * paper.batch / 256 == pytest.approx(peak, rel=1e-12)


def test_policies_are_the_papers() -> None:
    assert recipe("efficientnet").augment.policy == recipe("bignas").augment.policy == AutoAugment()
    assert isinstance(recipe("resnet-rs").augment.policy, RandAugment)
    assert recipe("resnet-rs").augment.policy.layers == 2
    assert recipe("tinynet").augment.policy == ColourJitter(0.4, 0.4, 0.4)
    assert recipe("nf").augment.policy == Untouched()


def test_the_grid_of_fine_tuning_is_seven_rates_by_eight_decays() -> None:
    grid = finetune_grid()
    assert len(set(grid)) == 56
    assert sorted({one.rate for one in grid})[::6] == [1e-4, 1e-1]
    # Each decay is divided by the rate: their product is the grid's own number.
    assert sorted({round(one.rate * one.decay, 12) for one in grid})[:2] == pytest.approx([0, 1e-6], rel=1e-3)


# ---- by size ---------------------------------------------------------------------------------------------------------

MEMBERS = ((50, 160), (101, 160), (101, 192), (152, 192), (152, 224), (152, 256), (200, 256), (270, 256), (350, 256),
           (350, 320), (420, 320))  # fmt: skip
# The eleven released configurations: dropout, stochastic depth, magnitude.
CONFIGS = (*((0.25, 0, 10),) * 2, *((0.25, 0, 15),) * 4, *((0.25, 0.1, 15),) * 3, *((0.4, 0.1, 15),) * 2)


@pytest.mark.parametrize(("member", "expected", "row"), list(zip(MEMBERS, CONFIGS, RESNET_RS_TABLE, strict=True)))
def test_resnet_rs_s_regularisation_is_that_of_its_eleven_files(member, expected, row) -> None:
    depth, side = member
    spec = cs.spec(f"resnetrs{depth}").with_resolution(side)
    assert cs.cost(spec).macs == row[0]
    found = settle(recipe("resnet-rs"), spec)
    assert (found.dropout, found.drop_path, found.augment.policy.magnitude) == expected


@pytest.mark.parametrize(("phi", "dropout"), list(enumerate([0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5, 0.5, 0.5])))
def test_efficientnet_s_dropout_is_the_released_staircase(phi: int, dropout: float) -> None:
    spec = cs.spec(f"efficientnet_b{phi}")
    assert settle(recipe("efficientnet"), spec).dropout == dropout


@pytest.mark.parametrize("row", range(6))
def test_nf_regnets_decay_and_dropout_are_the_released_table(row: int) -> None:
    spec = cs.spec(f"nf_regnet_b{row}").with_resolution((192, 224, 240, 288, 320, 384)[row])
    assert cs.cost(spec).macs == REGNET_TABLE[row][0]
    found = settle(recipe("nf-regnet"), spec)
    assert found.decay == pytest.approx((5 + row) * 1e-5)
    assert found.dropout == (0.2, 0.2, 0.3, 0.3, 0.4, 0.4)[row]


def test_efficientnet_rs_s_magnitude_is_its_rule_at_every_side() -> None:
    for side in range(32, 700):
        assert EFFICIENTNET_RS_MAGNITUDE.at(side) == (10 if side <= 224 else 20 if side > 320 else 15)


def test_between_rows_a_value_is_linear_in_the_logarithm() -> None:
    table = BySize(Size.MACS, ((100, 0.0), (10_000, 1.0)))
    assert [table.at(size) for size in (1, 100, 1000, 10_000, 1e9)] == [0, 0, 0.5, 1, 1]


@given(st.floats(1, 1e12), st.floats(1, 1e12))
def test_a_rising_table_rises(one: float, other: float) -> None:
    table = recipe("resnet-rs").drop_path
    assert table.at(min(one, other)) <= table.at(max(one, other))
    assert 0 <= table.at(one) <= 0.1


def test_a_table_made_for_a_length_shrinks_with_a_shorter_run() -> None:
    table = BySize(Size.MACS, ((100, 0.4),), epochs=350)
    assert [table.at(1, epochs=epochs) for epochs in (35, 350, 700)] == [0.04, 0.4, 0.4]


@pytest.mark.parametrize("rows", [(), ((0.0, 1.0),), ((2.0, 1.0), (2.0, 1.0)), ((3.0, 1.0), (2.0, 1.0))])
def test_tables_out_of_order_are_refused(rows) -> None:
    with pytest.raises(ValueError, match="that rise"):
        BySize(Size.MACS, rows)


def test_a_number_replaces_a_table_and_a_table_a_number() -> None:
    fixed = changed(recipe("resnet-rs"), ["dropout=0.1", "augment.policy.magnitude=7"])
    assert fixed.dropout == 0.1 and fixed.augment.policy.magnitude == 7
    table = '{"kind": "by-size", "of": "resolution", "rows": [[32, 0], [224, 0.5]]}'
    assert changed(QUICK, [f"dropout={table}"]).dropout == BySize(Size.RESOLUTION, ((32, 0), (224, 0.5)))
    assert changed(recipe("resnet-rs"), ["dropout.epochs=350"]).dropout.epochs == 350


def test_settling_leaves_numbers_and_settles_once() -> None:
    spec = cs.spec("resnetrs50")
    for known in RECIPES:
        found = settle(known, spec)
        assert "by-size" not in json.dumps(to_data(found))
        assert settle(found, spec) == found


def test_the_spec_that_is_trained_carries_the_size_s_regularisation() -> None:
    spec = regularised(cs.spec("resnetrs200"), recipe("resnet-rs"))
    assert (spec.style.drop_path, spec.style.ramp, spec.head.dropout) == (0.1, Ramp.STAGES, 0.25)
    spec = regularised(cs.spec("efficientnet_b7"), recipe("efficientnet"))
    assert (spec.style.drop_path, spec.style.ramp, spec.head.dropout) == (0.2, Ramp.BLOCKS, 0.5)


# ---- settings and old files ------------------------------------------------------------------------------------------


def test_schedules_and_policies_are_set_by_kind() -> None:
    found = changed(QUICK, ["schedule.kind=exponential", "schedule.every=1.5", "augment.policy.kind=rand-augment"])
    assert found.schedule == Exponential(every=1.5) and found.augment.policy == RandAugment()
    assert changed(QUICK, ["schedule.end=0.1"]).schedule == Cosine(end=0.1)
    assert changed(found, ["schedule.kind=linear"]).schedule == Linear()
    assert changed(QUICK, ["optimiser.kind=rmsprop-tf"]).optimiser == RMSPropTF()
    assert changed(QUICK, ["ramp=stages"]).ramp is Ramp.STAGES


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("schedule.kind=cosin", "'cosin' is none of cosine, .*did you mean 'cosine'"),
        ("schedule.ending=1", "schedule.ending: no such field"),
        ("augment.policy.kind=randaugment", "did you mean 'rand-augment'"),
        ("augment.policy.layers=2", "augment.policy.layers: no such field"),
        ("ramp=block", "'block' is none of blocks, stages"),
        ("first_side=0", "first_side must be above 0"),
        ("mixup=-1", "mixup must be at least 0"),
        ("dropout=1", "dropout must be in"),
        ("dropout=much", "dropout"),
        ("schedule.end=2", "schedule.end must be at most 1"),
    ],
)
def test_a_wrong_setting_of_the_new_fields_says_what_is_right(setting: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        changed(QUICK, [setting])


def test_a_recipe_saved_before_the_new_fields_reads_as_it_ran() -> None:
    """A run folder of 0.1.0: a cosine, no policy, decay on weights alone."""
    old = {
        "name": "quick", "epochs": 30, "batch": 64, "optimiser": {"kind": "sgd", "momentum": 0.9, "nesterov": True},
        "rate": 0.4, "decay": 0.0005, "warmup": 1, "smoothing": 0.1, "clip": 1, "average": 0.9999, "dropout": 0,
        "drop_path": 0, "batch_norm_momentum": 0.1,
        "augment": {"crop": [0.6, 1], "ratio": [0.75, 1.3333333333333333], "mirror": 0.5, "erase": 0},
        "precision": "auto",
    }  # fmt: skip
    assert from_data(Recipe, old, KINDS) == QUICK
    new = {field.name for field in fields(Recipe)} - set(old)
    later = {"schedule", "ramp", "decay_biases", "adaptive_clip", "mixup", "cutmix", "first_side", "accumulate"}
    later |= {"frozen", "trunk_rate", "keep", "patience", "norms"}
    assert new == later | {"average_start", "critic_steps", "critic_rate", "orthogonal", "sandwich"}


# ---- what differs ----------------------------------------------------------------------------------------------------


def said(run: Recipe, model: str = "resnetrs50", *, side: int = 224, images: int = 1_281_167) -> list[str]:
    return differences(run, cs.spec(model).with_resolution(side), images=images)


def test_a_recipe_without_a_paper_differs_from_none() -> None:
    assert said(QUICK) == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.recipe.name)
def test_the_paper_s_own_run_differs_by_its_notes_alone(paper) -> None:
    own = replace(paper.recipe, batch=paper.batch)
    assert said(own, images=paper.images) == list(paper.notes)


def test_what_the_user_changed_comes_first_and_names_both_numbers() -> None:
    lines = said(changed(recipe("resnet-rs"), ["epochs=30", "decay=1e-4", "schedule.kind=linear"]))
    assert lines[0] == "epochs: 30 instead of 350"
    assert "decay: 0.0001 instead of 4e-05" in lines[:4]
    assert "schedule.kind: linear instead of cosine" in lines[:4]
    best = said(changed(recipe("resnet-rs"), ["keep=best"]))
    assert best[0] == "keep: best instead of last" and not any("last epoch's weights" in line for line in best)


def test_settled_tables_are_no_difference_and_changed_ones_are() -> None:
    run = settle(recipe("resnet-rs"), cs.spec("resnetrs50").with_resolution(224))
    assert not [line for line in said(run) if line.startswith(("dropout", "augment"))]
    assert "dropout: 0 instead of 0.25" in said(replace(run, dropout=0.0))


def test_a_small_run_is_told_what_its_size_changes() -> None:
    lines = "\n".join(said(changed(recipe("resnet-rs"), ["epochs=4"]), side=32, images=20_000))
    assert "batches of 256 images instead of 4096; the rate is scaled with them, 0.1 instead of 1.6" in lines
    assert "20,000 training images instead of 1,281,167: 312 steps instead of 109.2k" in lines
    assert "a warm-up of 5 epochs takes all of the 4: --set warmup=0.2" in lines
    assert "the average is eased in: its decay gets to 0.972, in the paper's run to 0.9999" in lines
    assert "translations and cut-outs are 0.14 of the paper's pixels" in lines


def test_a_short_exponential_is_told_that_it_hardly_falls() -> None:
    lines = [
        line for line in said(changed(recipe("efficientnet"), ["epochs=35"])) if "hardly" in line or "ends at" in line
    ]
    assert lines == [
        "the rate ends at 65% of its peak, for it falls by the epoch and these are few: "
        "--set schedule.every=0.24 gives the curve of 350 epochs"
    ]
