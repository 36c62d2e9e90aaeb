"""Quad-30: every frame a pure function of who and when, exact labels, one factor at a time, three divisions by individual."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convsmith.data import ImageData, Joints, load_data
from convsmith.data.how import How
from convsmith.data.quad.animal import Cone
from convsmith.data.quad.drawn import BODY, FRAMES, Quads, joints_of
from convsmith.data.quad.draws import Draw, Identity
from convsmith.data.quad.scene import SIZE
from convsmith.data.readers.points.quads import individuals_of, quad_split, read_quads
from convsmith.errors import DataError

SOME = ((0, 3), (7, 5), (29, 39))


def frame(who: Identity, number: int) -> np.ndarray:
    return Quads((who,), np.array([number])).decode(0).permute(1, 2, 0).numpy()


def digest(pairs: tuple[tuple[int, int], ...]) -> list[str]:
    return [hashlib.sha256(frame(Identity.of(k), n).tobytes()).hexdigest()[:12] for k, n in pairs]


@pytest.fixture(scope="module")
def quad30() -> ImageData:
    return load_data("quad30")


def test_a_frame_is_the_same_in_another_process_and_in_another_order() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_quad import SOME, digest\nprint(*digest(tuple(reversed(SOME))))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert digest(SOME) == other[::-1]


def test_frames_differ_by_individual_and_by_number() -> None:
    assert len(set(digest(((0, 0), (0, 1), (1, 0), (1, 1))))) == 4
    assert frame(Identity.of(0), 0).shape == (*SIZE, 3) == (112, 192, 3)


@pytest.mark.parametrize("factor", ["size", "build", "coat", "scene", "light", "walk"])
def test_one_factor_changes_alone(factor: str) -> None:
    """Control (a): the picture changes with each; the points only where the factor has to do with them."""
    one, other = Identity.of(3), replace(Identity.of(3), **{factor: 17})
    assert not np.array_equal(frame(one, 4), frame(other, 4))
    before, after = (joints_of(Quads((who,), np.array([4])), ["a"]).xy for who in (one, other))
    assert np.array_equal(before, after) == (factor in ("coat", "light"))


def test_a_draw_has_an_address_of_its_own() -> None:
    """What is asked for before it changes nothing, and each factor of an individual is another."""
    draw = Draw(0, "coat", 3)
    late = [draw.chance("blaze", 0.5), draw.between("hue", 0, 1)][1]
    assert late == Draw(0, "coat", 3).between("hue", 0, 1)
    assert len({Draw(0, factor, who).between("x", 0, 1) for factor in ("coat", "size") for who in range(9)}) == 18
    assert {Draw(0, "a", k).whole("n", 4, 6) for k in range(60)} == {4, 5, 6}


def test_labels_lie_on_the_animal() -> None:
    """Hooves on or above the ground and below the trunk, the eye dark, the nose right of the tail."""
    who = tuple(Identity.of(k) for k in range(30))
    xy = joints_of(Quads(who, np.arange(30)), ["a"] * 30).xy
    at = {name: xy[:, k] for k, name in enumerate(BODY.names)}
    assert np.isfinite(xy).mean() > 0.97
    for name in BODY.names:
        if name.endswith("hoof"):
            assert (at[name][:, 1] <= 103).all() and (at[name][:, 1] > at["elbow"][:, 1]).all()
    assert np.nanmin(at["nose"][:, 0] - at["tailbase"][:, 0]) > 40
    assert (at["withers"][:, 1] < at["elbow"][:, 1]).all()


def test_the_scale_is_a_usual_length_and_all_animals_have_one() -> None:
    split = quad_split([Identity.of(k) for k in range(30)], [str(k) for k in range(30)])
    assert isinstance(split.targets, Joints)
    scales = split.targets.scales.reshape(30, FRAMES)
    assert (scales == scales[:, :1]).all() and scales.min() > 8 and scales.max() < 23 and len(np.unique(scales)) == 30


def test_hidden_points_are_labelled_unless_it_is_said() -> None:
    quads = Quads(tuple(Identity.of(k % 30) for k in range(60)), np.arange(60) % FRAMES)
    every, seen = (joints_of(quads, ["a"] * 60, hidden=hidden).xy for hidden in (True, False))
    lost = np.isnan(seen[..., 0]) & ~np.isnan(every[..., 0])
    assert 0 < lost.mean() < 0.2
    assert {BODY.names[k] for k in np.flatnonzero(lost.any(0))} <= {n for n in BODY.names if n.startswith("off")}


def test_a_cone_covers_what_lies_in_it() -> None:
    cone = Cone((0, 0), (10, 0), 2, 4, (0, 0, 0))
    assert cone.covers((0, 1.9)) and not cone.covers((0, 2.1)) and cone.covers((10, 3.9)) and not cone.covers((-2.1, 0))


def test_the_three_divisions_are_by_individual() -> None:
    """Sheet 8.1: 200 to train on, 200 of the same ten within the domain, 800 of the twenty others out of it."""
    drawn = [set(individuals_of(k).tolist()) for k in (1, 2, 3)]
    assert all(len(one) == 10 for one in drawn) and len({frozenset(one) for one in drawn}) == 3
    for division in (None, "1", "2", "3"):
        parts = {name: read() for name, read in read_quads("quad30", How(divide=division)).items()}
        assert {name: len(part.split) for name, part in parts.items()} == {"train": 200, "val": 200, "test": 800}
        who = {name: set(part.split.groups) for name, part in parts.items()}
        assert who["train"] == who["val"] and len(who["train"]) == 10 and len(who["test"]) == 20
        assert not who["train"] & who["test"]
        train, val = (parts[name].split for name in ("train", "val"))
        for one in who["train"]:
            frames = [set(s.inputs.frames[np.array(s.groups) == one].tolist()) for s in (train, val)]  # type: ignore[attr-defined]
            assert len(frames[0]) == len(frames[1]) == 20 and not frames[0] & frames[1]


def test_without_a_shift_the_others_look_as_those_of_the_domain() -> None:
    """Control (b): every factor but the walk is one of the training individuals'."""
    within = set(individuals_of(1).tolist())
    parts = read_quads("quad30-noshift", How())
    shifted, same = read_quads("quad30", How())["test"]().split, parts["test"]().split
    assert isinstance(shifted.inputs, Quads) and isinstance(same.inputs, Quads)
    assert not within & {who.coat for who in shifted.inputs.who}
    for who in same.inputs.who:
        assert {who.size, who.build, who.coat, who.scene, who.light} <= within and who.walk not in within
    assert parts["train"]().split.inputs.who == read_quads("quad30", How())["train"]().split.inputs.who  # type: ignore[attr-defined]


def test_quad30_is_data_like_any_other(quad30: ImageData) -> None:
    assert (len(quad30.train), len(quad30.val), quad30.test) == (200, 200, 800)
    assert quad30.classes == BODY.names and quad30.sides == (112, 192) and not quad30.mirror
    record = quad30.to_record()
    assert record["individuals"] == [10, 10] and len(record["per_class"]) == 16  # type: ignore[arg-type]
    assert "within the domain" in quad30.split_note and any("out of the domain" in note for note in quad30.notes)


def test_what_quad30_is_not_divided_by_is_refused() -> None:
    for divide, said in (("4", "divisions 1 to 3"), ("0", "divisions 1 to 3"), ("horse", "give individual, frame")):
        with pytest.raises(DataError, match=said):
            load_data("quad30", divide=divide)
    with pytest.raises(DataError, match="'ear' is no body part of quad30"):
        load_data("quad30", ruler="nose,ear")


def test_the_shift_of_one_factor_in_the_documentation_works() -> None:
    page = (Path(__file__).parents[1] / "docs" / "pose.md").read_text(encoding="utf-8")
    block = next(one for one in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "quad_split" in one)
    names: dict[str, Any] = {}
    exec(compile(block, "pose.md", "exec"), names)
    assert len(names["other_coats"]) == 400 and {one.coat for one in names["other_coats"].inputs.who} == {29}
