"""What a network's points are worth: the metrics of Horse-10 by hand, and what becomes of what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from convsmith import UserError
from convsmith.data import Split, eval_batches
from convsmith.data.inputs import Arrays
from convsmith.data.moves import Move
from convsmith.data.targets import Body, Joints
from convsmith.evals import PointErrors, bootstrapped
from convsmith.evals.points import frame_first
from convsmith.evals.poses import Kept, worst_of
from convsmith.layers.score_maps import encoded, map_side
from convsmith.runs import write_tables
from convsmith.scores import Poses, Scores, Table

NAN = np.nan
TWO = Body(("nose", "eye"), bones=((0, 1),), ruler=(0, 1))


@dataclass(frozen=True, eq=False)
class Pictures:
    """A batch that nothing had to be read for."""

    images: Tensor
    answers: object
    indices: Tensor
    moves: tuple[Move, ...] = ()


def batch_of(
    truth: np.ndarray, individuals: Sequence[str], scales: Sequence[float], body: Body = TWO, first: int = 0,
    moves: tuple[Move, ...] = (),
) -> Pictures:  # fmt: skip
    n = len(truth)
    joints = Joints(truth, body, np.array(scales, float), tuple(individuals))
    answers = joints.answers(np.arange(n), moves or (Move.identity(),) * n)
    return Pictures(torch.full((n, 3, 40, 60), 90, dtype=torch.uint8), answers, torch.arange(first, first + n), moves)


def told(points: np.ndarray, likelihood: float = 0.9) -> tuple[Tensor, Tensor]:
    """What an exported file says."""
    return torch.from_numpy(points).float(), torch.full(points.shape[:2], likelihood)


def counted(*pairs: tuple[object, Pictures], body: Body = TWO, **how: object) -> PointErrors:
    meter = PointErrors(body, **how)  # type: ignore[arg-type]
    for outputs, batch in pairs:
        meter.add(outputs, batch)  # type: ignore[arg-type]
    return meter


def scored(*pairs: tuple[object, Pictures], body: Body = TWO, **how: object) -> Scores:
    return counted(*pairs, body=body, **how).scores("val", lambda i: f"{i}.png")


BY_HAND = np.array([[[10.0, 10], [30, 10]], [[NAN, NAN], [30, 20]]])
OFF = np.array([[[1.0, 0], [0, 4]], [[3, 3], [0, -2]]])


def by_hand() -> tuple[object, Pictures]:
    """Oracle 4's two frames: errors of 1, 4, none and 2 pixels at a scale of 10."""
    return told(np.nan_to_num(BY_HAND) + OFF), batch_of(BY_HAND, ["a", "a"], [10, 10])


def test_the_metrics_are_those_by_hand() -> None:
    """Oracle 4: (0.1 + 0.4 + 0.2) / 3, not the mean over frames of their means, which is 0.225."""
    found = scored(by_hand())
    assert found.headline.name == "pck" and found.headline.label == "PCK@0.3"
    assert found["error"] == pytest.approx(0.7 / 3, abs=1e-7) and found["pck"] == pytest.approx(2 / 3)
    assert found["pixels"] == pytest.approx(7 / 3, abs=1e-6)
    errors = counted(by_hand()).found.errors
    assert frame_first(errors) == pytest.approx(0.225, abs=1e-7) and np.isnan(frame_first(errors * NAN))


def test_a_second_individual_is_measured_by_its_own_scale() -> None:
    """Oracle 4: an error of 4 pixels at a scale of 20 adds 0.2."""
    other = np.array([[[10.0, 10], [NAN, NAN]]])
    found = scored(by_hand(), (told(np.nan_to_num(other) + 4 / np.sqrt(2)), batch_of(other, ["b"], [20], first=2)))
    assert found["error"] == pytest.approx((0.7 + 0.2) / 4, abs=1e-7) and found["pck"] == pytest.approx(3 / 4)


def test_what_is_not_labelled_changes_nothing() -> None:
    """Oracle 4: neither a picture without labels nor a missing one; nothing labelled at all is no number."""
    none = np.full((1, 2, 2), NAN)
    empty = (told(np.zeros((1, 2, 2))), batch_of(none, ["a"], [10], first=2))
    before, after = scored(by_hand()), scored(by_hand(), empty)
    assert after.n == 3
    for name in ("pck", "error", "pixels"):
        assert after[name] == before[name]
    with pytest.raises(UserError, match="no body part is labelled in any picture of split 'val'"):
        scored(empty)
    with pytest.raises(UserError, match="no pictures to score"):
        scored()


def test_individuals_without_a_scale_count_in_pixels_alone_and_are_told() -> None:
    other = np.array([[[10.0, 10], [20, 10]]])
    found = scored(by_hand(), (told(other + [[[8, 6], [0, 0]]]), batch_of(other, ["b"], [NAN], first=2)))
    assert found["error"] == pytest.approx(0.7 / 3, abs=1e-7) and found["pck"] == pytest.approx(2 / 3)
    assert found["pixels"] == pytest.approx((1 + 4 + 2 + 10 + 0) / 5, abs=1e-6)
    assert any("1 picture of 1 individual without a scale, b first: in pixels alone" in one for one in found.notes)


def test_without_any_scale_the_headline_is_in_pixels() -> None:
    outputs, batch = by_hand()
    found = scored((outputs, replace(batch, answers=batch_of(BY_HAND, ["a", "a"], [NAN, NAN]).answers)))
    assert [one.name for one in found.metrics] == ["pixels"] and not found.headline.more_is_better
    assert any("--ruler" in note for note in found.notes)
    assert next(block for block in found.blocks if isinstance(block, Poses)).unit == "px"


def test_intervals_are_of_individuals_or_of_the_pictures_of_one() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(5, 35, (40, 2, 2))
    off = rng.normal(0, 2, truth.shape) + np.repeat(rng.normal(0, 3, (4, 1, 1)), 10, axis=0)
    names = [f"horse {k}" for k in range(4) for _ in range(10)]
    several = scored((told(truth + off), batch_of(truth, names, [10] * 40)))
    one = scored((told(truth + off), batch_of(truth, ["a"] * 40, [10] * 40)))
    assert several["pixels"] == one["pixels"]
    wide, narrow = (found.metric("pixels").interval or (0, 0) for found in (several, one))
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])  # pictures of one individual err alike
    assert "over 4 individuals" in several.notes[0] and "over the pictures" in one.notes[0]


def test_what_each_picture_adds_has_the_headline_as_its_mean_and_its_interval() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(5, 35, (300, 2, 2))
    truth[rng.random((300, 2)) < 0.4] = NAN
    meter = counted(
        (told(np.nan_to_num(truth) + rng.normal(0, 3, truth.shape)), batch_of(truth, ["a"] * 300, [10] * 300))
    )
    headline, each = meter.scores("val", str).headline, meter.each()
    assert each.mean() == pytest.approx(headline.value, abs=1e-12)
    assert bootstrapped(each) == pytest.approx(headline.interval, abs=0.01)  # of a ratio, to first order


def test_maps_are_decoded_and_led_back_to_the_pictures_own_pixels() -> None:
    """A network that puts out the encoded maps of a shrunken picture is right to within single precision."""
    rng = np.random.default_rng(2)
    truth = rng.uniform(30, 200, (6, 2, 2))
    move = Move.crop_resize((0, 0, 240, 320), (120, 160))
    batch = batch_of(truth, ["a"] * 6, [40] * 6, moves=(move,) * 6)
    shown = torch.from_numpy(move.points(truth)).float()
    targets = encoded(shown, torch.full((6,), 17.0), (map_side(120), map_side(160)))
    maps = torch.cat((20 * targets.scores - 10, targets.offsets, torch.randn_like(targets.scores)), dim=1)
    found = scored((maps, batch), loss=lambda maps, answers: maps.new_tensor(0.25) + 0 * answers.zoom.sum())
    assert found["pixels"] < 1e-3 and found["pck"] == 1 and found["loss"] == 0.25
    assert np.isfinite(scored((maps, batch))["loss"])
    # An exported file's points are those of what it is shown, and are led back alike.
    assert scored(((shown, torch.ones(6, 2)), batch))["pixels"] < 1e-4


def test_it_counts_what_the_evaluation_shows() -> None:
    """Over batches of real pictures, in any cut."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(10, 50, (10, 2, 2))
    images = rng.integers(1, 255, (10, 64, 96, 3), dtype=np.uint8)
    split = Split(Arrays(images), Joints.of(truth, TWO, ["a"] * 5 + ["b"] * 5))
    meter = PointErrors(TWO)
    for batch in eval_batches(split, sides=(64, 96), batch=3):
        meter.add(told(batch.answers.shown.double().numpy() + [3.0, 4.0]), batch)
    found = meter.scores("val", lambda i: f"{i}.png")
    assert found["pixels"] == pytest.approx(5, abs=1e-4) and found.n == 10


def test_outputs_that_do_not_fit_are_refused() -> None:
    _, batch = by_hand()
    with pytest.raises(UserError, match="2 body parts need maps of 6 channels"):
        scored((torch.zeros(2, 5, 6, 8), batch))
    with pytest.raises(UserError, match="finds 3 points, but the data has 2"):
        scored((told(np.zeros((2, 3, 2))), batch))
    with pytest.raises(UserError, match="picture 1 is not finite"):
        scored((torch.tensor([0.0, NAN])[:, None, None, None].expand(2, 6, 6, 8), batch))


def test_tables_of_body_parts_and_individuals_and_the_worst_pictures_come_back_from_a_file(tmp_path: Path) -> None:
    other = np.array([[[10.0, 10], [NAN, NAN]]])
    moves = (Move.crop_resize((0, 0, 80, 120), (40, 60)),)
    shown = told(moves[0].points(np.nan_to_num(other)) + 4, 0.2)
    found = scored(by_hand(), (shown, batch_of(other, ["b"], [20], first=2, moves=moves)), pictures=2)
    parts, individuals, poses = found.blocks
    assert isinstance(parts, Table) and parts.columns == (
        "body part",
        "points",
        "pixel error, px",
        "normalised error",
        "PCK@0.3",
    )
    assert [row[:2] for row in parts.rows] == [("nose", 2), ("eye", 2)] and parts.rows[1][2] == pytest.approx(
        3, abs=1e-3
    )
    assert isinstance(individuals, Table) and [row[:2] for row in individuals.rows] == [("a", 3), ("b", 1)]
    assert isinstance(poses, Poses) and [one.index for one in poses.worst] == [2, 0] and poses.cutoff == 0.6
    worst = poses.worst[0]
    assert (worst.individual, worst.path, worst.true) == ("b", "2.png", ((10.0, 10.0), None))
    # Four pixels of what is shown are eight of the picture.
    assert worst.predicted[0] == pytest.approx((18, 18), abs=0.01) and worst.place == pytest.approx(
        (-0.5, -0.5, 119.5, 79.5)
    )
    assert worst.image.startswith("data:image/jpeg;base64,") and worst.likelihood == (0.2, 0.2)
    record = found.to_record()
    assert Scores.from_record(record) == found and "poses" not in found.short_record()
    assert [path.name for path in write_tables(found, tmp_path)] == ["body-parts.csv", "individuals.csv"]
    # A file with one table is as it was.
    one = replace(found, blocks=(parts,))
    assert "more_tables" not in one.to_record() and Scores.from_record(one.to_record()) == one


def test_the_worst_pictures_are_in_one_unit() -> None:
    """Pictures without a scale, however far off, do not stand among normalised errors."""
    other = np.array([[[10.0, 10], [20, 10]]])
    far = (told(other + 500), batch_of(other, ["b"], [NAN], first=7))
    for order in ((far, by_hand()), (by_hand(), far)):
        poses = scored(*order).blocks[2]
        assert isinstance(poses, Poses) and [one.index for one in poses.worst] == [0, 1] and poses.unit == ""


def test_unlikely_points_count_and_are_told() -> None:
    outputs, batch = by_hand()
    unsure = (outputs[0], torch.full((2, 2), 0.1))  # type: ignore[index]
    found = scored((unsure, batch))
    assert found["pck"] == scored(by_hand())["pck"]
    assert any(note.startswith("0% of the predictions have a likelihood of 0.6") for note in found.notes)


def test_the_worst_pictures_are_not_all_of_one_individual() -> None:
    """Of each the two worst come first, in whatever batches they are counted, and are shown by their error."""

    def picture(i: int) -> Kept:
        none = np.zeros((0, 2))
        who = "a" if i < 6 else "bc"[i % 2]
        return Kept(i, float(20 - i), none, none, np.zeros(0), who, torch.zeros(3, 1, 1), None)

    every = [picture(i) for i in range(10)]
    assert [one.index for one in worst_of(every, 7)] == [0, 1, 2, 6, 7, 8, 9]
    kept: list[Kept] = []
    for one in reversed(every):
        kept = worst_of([*kept, one], 7)
    assert [one.index for one in kept] == [0, 1, 2, 6, 7, 8, 9]
