"""COCO's twelve numbers: by hand, against both libraries, and what must not change them."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from convsmith.evals.coco import NUMBERS, AveragePrecision, average_precision
from convsmith.evals.matching import Found
from convsmith.rle import of_runs, runs_of, to_string
from detections import LIBRARIES, Truth, as_found, by_library, found, random_scene, truth

ONE, TWO, ELSEWHERE = [10.0, 10, 50, 50], [100.0, 100, 140, 140], [60.0, 10, 100, 50]
# A square of side 40 moved by 10 along x overlaps itself by 30/50; by 40/3, half.
SHIFTED = [20.0, 10, 60, 50]


def ap(there: Truth, own: Found, kind: str = "box") -> AveragePrecision:
    return average_precision([there], [own], 1, kind)  # type: ignore[arg-type]


def test_two_perfect_hits() -> None:
    """O9 H1."""
    scored = ap(truth([ONE, TWO]), found([ONE, TWO], [0.9, 0.8]))
    assert scored["ap"] == 1 and scored["ar1"] == 0.5 and scored["ar10"] == 1


def test_a_false_one_between_two_hits() -> None:
    """O9 H2: precision 1 to recall 0.5, then 2/3."""
    scored = ap(truth([ONE, TWO]), found([ONE, ELSEWHERE, TWO], [0.9, 0.8, 0.7]))
    assert scored["ap"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)


def test_a_hit_that_is_placed_badly() -> None:
    """O9 H3: an overlap of 0.6 counts at 3 of 10 thresholds."""
    scored = ap(truth([ONE, TWO]), found([SHIFTED], [0.9]))
    assert scored["ap"] == pytest.approx(0.3 * 51 / 101, abs=1e-12)
    assert scored["ap50"] == pytest.approx(51 / 101, abs=1e-12) and scored["ap75"] == 0


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_exactly_half_is_enough(kind: str) -> None:
    """O9 H4: 20 of 40 rows of the truth, and nothing else."""
    scored = ap(truth([ONE, TWO]), found([[10.0, 10, 50, 30]], [0.9]), kind)
    assert scored["ap50"] == pytest.approx(51 / 101, abs=1e-12)
    assert scored["ap"] == pytest.approx(0.1 * 51 / 101, abs=1e-12)


def test_a_double_behind_all_hits_costs_nothing() -> None:
    """O9 H5."""
    assert ap(truth([ONE, TWO]), found([ONE, TWO, ONE], [0.9, 0.8, 0.7]))["ap"] == 1


def test_a_crowd_takes_what_lies_in_it() -> None:
    """O9 H6 and H7: two false hits within a crowd are neither right nor wrong, and cost where it is no crowd."""
    crowd = [100.0, 100, 190, 190]
    own = found([[100.0, 100, 140, 140], [140.0, 140, 180, 180], ONE], [0.9, 0.8, 0.7])
    absorbed = ap(truth([ONE, crowd], crowd=[False, True]), own)
    assert absorbed["ap"] == 1 and absorbed["ar1"] == 0
    assert ap(truth([ONE, crowd]), own)["ap"] == pytest.approx(0.168317, abs=5e-7)


def test_ids_from_nothing_are_no_ids_here() -> None:
    """O9 H8: pycocotools takes a truth whose id is 0 for unmatched and gives two perfect hits 0.252475. Nothing here has ids."""
    there = truth([ONE, TWO], image_id=0)
    assert ap(there, as_found(there))["ap"] == 1


def test_the_field_area_decides_the_size() -> None:
    """O9 H9: a box of 40 x 40 with an area of 900 is small, and there is no medium one: no number, not 0 and not -1."""
    scored = ap(truth([ONE], areas=[900]), found([ONE], [0.9]))
    assert scored["ap_small"] == 1 and np.isnan(scored["ap_medium"])


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_the_truth_as_prediction_is_perfect(kind: str) -> None:
    """O8: and the recall of few detections follows from counts."""
    rng = np.random.default_rng(3)
    truths = [random_scene(rng, i)[0] for i in range(40)]
    truths = [truth(one.boxes, one.labels, size=one.size) for one in truths]
    scored = average_precision(truths, [as_found(one) for one in truths], 4, kind)  # type: ignore[arg-type]
    assert [scored[name] for name in ("ap", "ap50", "ap_small", "ap_large", "ar100")] == [1.0] * 5
    for limit in (1, 10):
        counts = [[int((one.labels == k).sum()) for one in truths] for k in range(1, 5)]
        expected = np.mean([sum(min(n, limit) for n in own) / sum(own) for own in counts])
        assert scored[f"ar{limit}"] == pytest.approx(expected, abs=1e-12)


def test_nothing_found_and_nothing_there() -> None:
    """No detection at all is 0; a class without truth has no number, and its wrong detections cost nothing."""
    assert ap(truth([ONE]), found([], []))["ap"] == 0
    assert np.isnan(ap(truth([]), found([ONE], [0.9]))["ap"])
    both = average_precision([truth([ONE])], [found([ONE, TWO], [0.8, 0.9], [1, 2])], 2)
    assert both["ap"] == 1 and np.isnan(both.each_class[1]).all()
    with pytest.raises(ValueError, match="boxes only"):
        average_precision([truth([ONE])], [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))], 1, "mask")


def test_what_changes_nothing() -> None:
    """O10: mirror images, another order of detections and of pictures where scores are distinct, and rising maps of scores."""
    rng = np.random.default_rng(5)
    scenes = [random_scene(rng, i) for i in range(25)]
    truths = [one for one, _ in scenes]
    own = [Found(one.boxes, rng.permutation(1000)[: len(one)] / 1000 + i * 1e-5, one.labels, one.masks)
           for i, (_, one) in enumerate(scenes)]  # fmt: skip
    usual = np.array(average_precision(truths, own, 4).numbers)

    def mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
        return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)

    flipped = [
        truth(mirrored(one.boxes, 220), one.labels, crowd=one.crowd, areas=one.areas, masks=[]) for one in truths
    ]
    theirs = [Found(mirrored(one.boxes, 220), one.scores, one.labels) for one in own]
    shuffled = [one.take(rng.permutation(len(one))) for one in own]
    raised = [Found(one.boxes, one.scores**3 - 4, one.labels) for one in own]
    order = rng.permutation(len(truths))
    others = {
        "mirror": average_precision(flipped, theirs, 4),
        "detections shuffled": average_precision(truths, shuffled, 4),
        "scores cubed": average_precision(truths, raised, 4),
        "pictures shuffled": average_precision([truths[i] for i in order], [own[i] for i in order], 4),
    }
    for name, one in others.items():
        np.testing.assert_allclose(np.array(one.numbers), usual, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["box", "mask"])
def test_both_libraries_say_the_same(library: str, kind: str) -> None:
    """Crowds, doubles, equal scores, all sizes, classes without truths: to rounding."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    rng = np.random.default_rng(11)
    truths, own = zip(*(random_scene(rng, i) for i in range(60)), strict=True)
    scored = average_precision(truths, own, 5, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(scored.numbers, by_library(library, truths, own, 5, kind), rtol=0, atol=1e-12)


BOXES = "0.504581 0.696973 0.572982 0.585626 0.519400 0.501398 0.386813 0.593680 0.595353 0.639811 0.566421 0.564291"
MASKS = "0.319545 0.562288 0.298927 0.387374 0.310183 0.326934 0.268230 0.415449 0.416839 0.469450 0.376759 0.381472"


@pytest.fixture
def hundred(shared_data: Path) -> tuple[list[Truth], dict[str, list[Found]]]:
    """The hundred pictures of `instances-mini/coco-eval`, and the detections that come with them."""
    pytest.importorskip("pycocotools.mask", reason="polygons are rasterised by pycocotools")
    return read_hundred(shared_data / "instances-mini" / "coco-eval")


@cache
def read_hundred(folder: Path) -> tuple[list[Truth], dict[str, list[Found]]]:
    pycocotools = import_module("pycocotools.mask")
    whole = json.loads((folder / "instances_val2014_100.json").read_text())
    label = {one["id"]: k for k, one in enumerate(sorted(whole["categories"], key=lambda one: one["id"]), start=1)}
    images = sorted(whole["images"], key=lambda one: one["id"])

    def corners(rows: list[list[float]]) -> np.ndarray:
        boxes = np.array(rows, dtype=np.float64).reshape(-1, 4)
        return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)

    def counts(shape: object, size: tuple[int, int]) -> bytes:
        if isinstance(shape, dict):
            return to_string(runs_of(shape["counts"], size))
        merged: bytes = pycocotools.merge(pycocotools.frPyObjects(shape, *size))["counts"]
        return merged

    truths, own = [], {"box": list[Found](), "mask": list[Found]()}
    results = {
        kind: json.loads((folder / f"instances_val2014_fake{file}100_results.json").read_text())
        for kind, file in (("box", "bbox"), ("mask", "segm"))
    }
    for image in images:
        size = image["height"], image["width"]
        there = [one for one in whole["annotations"] if one["image_id"] == image["id"]]
        truths.append(
            Truth(
                corners([one["bbox"] for one in there]),
                np.array([label[one["category_id"]] for one in there], np.int64),
                np.array([bool(one["iscrowd"]) for one in there], bool),
                np.array([one["area"] for one in there], np.float64),
                tuple(counts(one["segmentation"], size) for one in there),
                size,
                image["id"],
            )
        )
        for kind, rows in results.items():
            mine = [one for one in rows if one["image_id"] == image["id"]]
            shapes = tuple(runs_of(one["segmentation"]["counts"], size) for one in mine) if kind == "mask" else None
            boxes = corners([one.get("bbox", [0, 0, 0, 0]) for one in mine])
            scores = np.array([one["score"] for one in mine], np.float64)
            own[kind].append(
                Found(boxes, scores, np.array([label[one["category_id"]] for one in mine], np.int64), shapes)
            )
    return truths, own


@pytest.mark.parametrize(("kind", "numbers"), [("box", BOXES), ("mask", MASKS)])
def test_the_hundred_pictures(kind: str, numbers: str, hundred: tuple[list[Truth], dict[str, list[Found]]]) -> None:
    """O11: what pycocotools 2.0.11 says of them, to the six digits that are written down. Equal scores go by the order given."""
    truths, own = hundred
    scored = average_precision(truths, own[kind], 80, kind)  # type: ignore[arg-type]
    np.testing.assert_allclose(scored.numbers, [float(one) for one in numbers.split()], rtol=0, atol=5.1e-7)


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_the_truth_of_the_hundred(kind: str, hundred: tuple[list[Truth], dict[str, list[Found]]]) -> None:
    """O8 and O11: all 1 but the recall of one and of ten detections."""
    truths, _ = hundred
    scored = average_precision(truths, [as_found(one) for one in truths], 80, kind)  # type: ignore[arg-type]
    expected = dict.fromkeys(NUMBERS, 1.0) | {"ar1": 0.604696, "ar10": 0.984139}
    np.testing.assert_allclose(scored.numbers, list(expected.values()), rtol=0, atol=5.1e-7)


def test_a_redrawn_picture_counts_as_often_as_it_is_drawn() -> None:
    """The bootstrap's own sum against AP of pictures that really are there several times, or not at all."""
    rng = np.random.default_rng(7)
    truths, own = zip(*(random_scene(rng, i) for i in range(30)), strict=True)
    # Equal scores: a picture behind another would change what comes first among them.
    own = tuple(
        Found(one.boxes, one.scores + 1e-3 * i + 1e-6 * np.arange(len(one)), one.labels) for i, one in enumerate(own)
    )
    scored = average_precision(truths, own, 5)
    assert scored.redrawn(np.ones(30, int)) == pytest.approx(scored["ap"], abs=1e-12)
    for _ in range(5):
        times = np.bincount(rng.integers(0, 30, 30), minlength=30)
        drawn = np.repeat(np.arange(30), times)
        again = average_precision([truths[i] for i in drawn], [own[i] for i in drawn], 5)
        assert scored.redrawn(times) == pytest.approx(again["ap"], abs=1e-12)


def test_the_interval_holds_the_number_and_is_the_same_again() -> None:
    """Of many classes in few pictures, too, where the draws' AP lies higher than AP, by more than its spread."""
    rng = np.random.default_rng(9)
    truths, own = zip(*(random_scene(rng, i, classes=12) for i in range(40)), strict=True)
    scored = average_precision(truths, own, 12)
    draws = [scored.redrawn(np.bincount(rng.integers(0, 40, 40), minlength=40)) for _ in range(50)]
    assert np.mean(draws) > scored["ap"] + 0.01
    ends = scored.interval(draws=200)
    assert ends is not None and ends[0] < scored["ap"] < ends[1]
    assert average_precision(truths, own, 12).interval(draws=200) == ends
    assert average_precision(truths[:1], own[:1], 4).interval() is None


def test_masks_overlap_as_their_pixels_do() -> None:
    """Runs against pixels, with empty masks, full columns and pictures that are full."""
    from convsmith.evals.overlaps import mask_overlaps

    rng = np.random.default_rng(2)
    masks = [rng.random((9, 7)) < share for share in (0.1, 0.5, 0.9)]
    masks += [np.zeros((9, 7), bool), np.ones((9, 7), bool), np.eye(9, 7, dtype=bool)]
    masks.append(np.arange(7)[None].repeat(9, 0) % 3 == 0)
    crowd = rng.random(len(masks)) < 0.5
    runs = [of_runs(mask) for mask in masks]
    expected = np.zeros((len(masks), len(masks)))
    for i, one in enumerate(masks):
        for j, other in enumerate(masks):
            either = one.sum() if crowd[j] else (one | other).sum()
            expected[i, j] = (one & other).sum() / either if (one & other).any() else 0
    np.testing.assert_array_equal(mask_overlaps(runs, runs, crowd), expected)
