"""The meter of detectors: boxes and masks in the pictures' own pixels, kinds of mistakes, outlines."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from convsmith.data import Move
from convsmith.errors import UserError
from convsmith.evals.coco import average_precision
from convsmith.evals.detections import Detected, in_pictures
from convsmith.evals.error_kinds import KINDS, kinds_of, sorted_out
from convsmith.evals.matching import Found, match
from convsmith.evals.outlines import outline, outline_of_runs
from convsmith.layers.detection import Detections
from convsmith.rle import of_part, of_runs
from convsmith.scores import Scenes, Scores, Table
from detections import ONE_SCENE, Truth, as_batch, filled, found, random_scene, shown, truth

NAMES = ("cat", "dog", "owl", "eel")


def nowhere(index: int) -> str | None:
    return f"pictures/{index}.png"


def test_parts_of_pictures_as_runs() -> None:
    """Of a rectangle alone, the same runs as of the whole picture: at every border, full columns and nothing at all."""
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.8, 1.0):
        for top, left, high, wide in ((0, 0, 9, 7), (0, 0, 9, 3), (4, 2, 5, 5), (2, 3, 3, 2), (3, 3, 0, 2)):
            whole = np.zeros((9, 7), bool)
            whole[top : top + high, left : left + wide] = rng.random((high, wide)) < share
            part = whole[top : top + high, left : left + wide]
            assert of_part(part, (top, left), (9, 7)).tolist() == of_runs(whole).tolist()


def test_an_outline_encloses_its_mask() -> None:
    """The area within closed lines, holes taken off, is the mask's; and a path is read as one by an SVG's grammar."""
    rng = np.random.default_rng(4)
    for share in (0.2, 0.5, 0.9, 1.0):
        mask = rng.random((8, 11)) < share
        assert enclosed(outline(mask)) == mask.sum()
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    assert outline(ring).count("z") == 2 and enclosed(outline(ring)) == 24
    assert outline(np.zeros((3, 3), bool)) == ""
    picture = np.zeros((40, 60), bool)
    picture[10:30, 20:50] = True
    assert outline_of_runs(of_runs(picture), (40, 60)) == "M20 10h30v20h-30z"
    assert enclosed(outline_of_runs(of_runs(picture), (40, 60), 5)) == 600


def enclosed(path: str) -> float:
    """By the shoelace formula: plus for lines that turn right, minus for holes."""
    total = 0.0
    for line in path.split("z")[:-1]:
        word, x, y, corners = "", 0, 0, []
        start, _, rest = line[1:].partition(" ")
        digits = ""
        for letter in rest + "e":
            if letter.isdigit() or letter == "-":
                digits += letter
                continue
            if word == "":
                x, y = int(start), int(digits)
            elif word == "h":
                x += int(digits)
            else:
                y += int(digits)
            corners.append((x, y))
            word, digits = letter, ""
        closed = np.array([*corners, corners[0]], float)
        total += float((closed[:-1, 0] * closed[1:, 1] - closed[1:, 0] * closed[:-1, 1]).sum() / 2)
    return total


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_what_is_shown_elsewhere_is_scored_at_home(kind: str) -> None:
    """Truths given back as detections of what was shown, shrunk, moved and mirrored: AP 1, in each picture's own pixels."""
    rng = np.random.default_rng(1)
    moves = [
        Move.identity(),
        Move.crop_resize((0, 0, 160, 220), (80, 110)),
        Move.crop_resize((-10, -20, 320, 440), (512, 704)),
        Move.flipped(220),
    ]
    meter = Detected(NAMES, pictures=4)
    for k, move in enumerate(moves):
        there = truth([[20, 30, 90, 120], [100, 10, 200, 60]], [1, 2], size=(160, 220), image_id=k)
        own = Found(there.boxes, np.array([0.9, 0.8]), there.labels)
        meter.add(shown([own], [move], masks=kind == "mask"), as_batch([there], [move], [k], rng))
    scores = meter.scores("val", nowhere)
    assert scores.headline.name == f"{kind}_ap" and scores[f"{kind}_ap"] == 1 and scores["box_ap"] == 1


def test_scores_are_those_of_the_numbers() -> None:
    """Batch by batch as at once; an interval around the headline; without pictures to show, metrics alone."""
    rng = np.random.default_rng(6)
    scenes = [random_scene(rng, i) for i in range(14)]
    truths = [one for one, _ in scenes]
    own = [Found(one.boxes, one.scores, one.labels) for _, one in scenes]
    meter, quick = Detected(NAMES, pictures=3), Detected(NAMES, pictures=0)
    meter.keep()
    for part in (slice(0, 5), slice(5, 6), slice(6, 14)):
        moves = [Move.identity()] * len(truths[part])
        batch = as_batch(truths[part], moves, list(range(14))[part], rng)
        for one in (meter, quick):
            one.add(shown(own[part], moves, masks=False), batch)
    expected = average_precision(truths, own, 4)
    scores = meter.scores("val", nowhere)
    assert scores["box_ap"] == expected["ap"] and scores["box_ar10"] == expected["ar10"]
    low, high = scores.headline.interval or (1, 0)
    assert low < scores["box_ap"] < high
    assert quick.scores("val", nowhere).headline.interval is None and quick.scores("val", nowhere).blocks == ()
    assert [index for index, _, _ in meter.everything] == list(range(14)) and meter.each() is None
    assert Scores.from_record(json.loads(json.dumps(scores.to_record()))) == scores


def test_no_such_object_is_none() -> None:
    """Never -1, and never 0: the number is left out, and tables say none."""
    there = truth([[0, 0, 10, 10]], size=(40, 40))
    meter = Detected(NAMES, pictures=2)
    own = Found(there.boxes, np.array([0.9]), there.labels)
    meter.add(
        shown([own], [Move.identity()], masks=True), as_batch([there], [Move.identity()], [0], np.random.default_rng(0))
    )
    scores = meter.scores("val", nowhere)
    names = [one.name for one in scores.metrics]
    assert "mask_ap_small" in names and "mask_ap_large" not in names
    assert all(value != -1 for value in (one.value for one in scores.metrics))
    numbers, classes = (one for one in scores.blocks if isinstance(one, Table))
    assert numbers.rows[5][1] == "none" and list(classes.rows[1]) == ["dog", 0, 0, "none", "none", "none", "none"]
    assert any("dog first" in note for note in scores.notes)


def test_what_cannot_be_scored_is_refused() -> None:
    rng, move = np.random.default_rng(0), Move.identity()
    empty, some = truth([]), truth([[0, 0, 10, 10]])

    def add(own: Any, there: Truth = some) -> Detected:
        meter = Detected(NAMES)
        meter.add(own, as_batch([there], [move], [0], rng))
        return meter

    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    with pytest.raises(UserError, match="no pictures"):
        Detected(NAMES).scores("val", nowhere)
    with pytest.raises(UserError, match="no object in any picture"):
        add(shown([nothing], [move], masks=True), empty).scores("val", nowhere)
    with pytest.raises(UserError, match="class 9, but the data has 4 classes"):
        add(shown([Found(np.ones((1, 4)), np.ones(1), np.array([9]))], [move], masks=False))
    with pytest.raises(UserError, match="not finite"):
        add(shown([Found(np.full((1, 4), np.nan), np.ones(1), np.array([1]))], [move], masks=False))
    with pytest.raises(UserError, match="no detections"):
        add((torch.zeros(1, 5), torch.zeros(1), torch.zeros(1)))
    assert add(shown([nothing], [move], masks=True)).scores("val", nowhere)["mask_ap"] == 0


def test_a_file_puts_out_the_same_as_a_network() -> None:
    """Four arrays one after another, or Detections."""
    own = Found(np.array([[3.0, 4, 20, 30]]), np.array([0.7]), np.array([2]))
    made = shown([own], [Move.identity()], masks=True)
    assert isinstance(made, Detections) and made.masks is not None
    arrays = [one.numpy() for one in (made.boxes, made.scores, made.labels, made.masks)]
    (one,), (other,) = (in_pictures(outputs, [Move.identity()], [(60, 60)], 4) for outputs in (made, arrays))
    assert one.boxes.tolist() == other.boxes.tolist() == [[3, 4, 20, 30]]
    assert one.masks is not None and other.masks is not None
    assert one.masks[0].tolist() == other.masks[0].tolist() == of_runs(filled(own.boxes[0], (60, 60))).tolist()


def test_each_kind_of_mistake() -> None:
    """One of each, told apart; mending each alone gives what it costs."""
    there, own = ONE_SCENE
    one = match(there, own, "box")
    mistakes = sorted_out(one)
    assert [KINDS[k] if k else "right" for k in mistakes.kind] == [
        "right", "double", "wrong class", "badly placed", "background",
    ]  # fmt: skip
    assert mistakes.missed.tolist() == [False, False, False, True]
    kinds = kinds_of([one], 2)
    assert kinds.counts == (1, 1, 1, 1, 1) and kinds.right == 1
    # Class 1 has three truths, hit 0.9 and double 0.8, badly placed 0.6, background 0.5; class 2 has one, 0 of it found.
    # AP50 now: (34 recalls at 1)/101 and 0.
    assert kinds.ap50 == pytest.approx(34 / 101 / 2, abs=1e-12)
    cost = dict(zip(KINDS, kinds.costs, strict=True))
    assert cost["wrong class"] == pytest.approx(0.5, abs=1e-12)
    assert cost["missed"] == pytest.approx((51 - 34) / 101 / 2, abs=1e-12)
    assert cost["double"] == cost["background"] == 0
    # Placed well, it is the second of three: at 0.6 behind two and the double, the detection of the wrong class is of class 1.
    assert cost["badly placed"] == pytest.approx((67 - 34) * 2 / 4 / 101 / 2, abs=1e-12)


def test_all_mistakes_mended_is_perfect() -> None:
    """Truths given back have none; and nothing found at all is missed."""
    there, _ = ONE_SCENE
    perfect = found(there.boxes, np.ones(4), there.labels)
    kinds = kinds_of([match(there, perfect, "mask")], 2)
    assert kinds.counts == (0, 0, 0, 0, 0) and kinds.ap50 == 1 and list(kinds.costs) == [0] * 5
    nothing = kinds_of([match(there, found([], []), "mask")], 2)
    assert nothing.counts == (4, 0, 0, 0, 0) and nothing.ap50 == 0


def test_the_worst_pictures_first() -> None:
    """By the share of mistakes among what scores half or more; pictures without a mistake are not kept."""
    rng, move = np.random.default_rng(0), Move.crop_resize((0, 0, 200, 200), (100, 100))
    two = [[10.0, 10, 50, 50], [100.0, 100, 140, 140]]
    pictures = [
        (truth(two), found(two, [0.9, 0.9])),
        (truth(two), found(two, [0.9, 0.4])),
        (truth(two), found([two[0], [60.0, 60, 90, 90]], [0.4, 0.9])),
    ]
    meter = Detected(("thing",), pictures=2)
    for k, (there, own) in enumerate(pictures):
        meter.add(shown([own], [move], masks=True), as_batch([there], [move], [k], rng))
    (scenes,) = (one for one in meter.scores("val", nowhere).blocks if isinstance(one, Scenes))
    assert [(one.index, one.missed, one.wrong, one.error) for one in scenes.worst] == [(2, 2, 1, 1), (1, 1, 0, 0.5)]
    second = scenes.worst[1]
    assert list(second.place) == [0, 0, 200, 200] and second.path == "pictures/1.png"
    assert [one.right for one in second.true] == [True, False] and len(second.found) == 1
    assert second.true[0].outline == "M10 10h40v40h-40z" and second.image.startswith("data:image/jpeg;base64,")
