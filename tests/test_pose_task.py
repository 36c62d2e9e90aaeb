"""What the loss of a pose means, joint by joint and cell by cell; and which data asks for it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convsmith.codec import from_json, to_json
from convsmith.data import Arrays, Body, ImageData, Joints, Points, Split
from convsmith.errors import UserError
from convsmith.layers.score_maps import STDEV, decoded, encoded, map_side
from convsmith.recipe import Augment
from convsmith.recipes import QUICK
from convsmith.settings import OF_TASKS
from convsmith.tasks import TASKS, Pose, refuse_unread, targets_for, task_for

BODY = Body(("nose", "eye", "tail"), ruler=(0, 1))
SIZE = (48, 64)
CELLS = (map_side(48), map_side(64))
RECIPE = replace(QUICK, smoothing=0.0, augment=Augment())
IMAGES = torch.zeros(2, 3, *SIZE)


def points(shown: list[list[tuple[float, float]]], zoom: float = 1.0, scale: float = 20.0) -> Points:
    xy = torch.tensor(shown)
    n = len(xy)
    return Points(xy, xy / zoom, torch.full((n,), zoom), torch.full((n,), scale), ("horse",) * n)


NAN = (math.nan, math.nan)
TWO = points([[(20.0, 20.0), (40.0, 10.0), NAN], [(30.0, 31.0), NAN, (5.5, 7.25)]])


def perfect(answers: Points, radius: float = 17.0, sure: float = 30.0, *, gaussian: bool = False) -> Tensor:
    wanted = encoded(answers.shown, radius * answers.zoom, CELLS, gaussian=gaussian)
    scores = wanted.scores.clamp(1e-6, 1 - 1e-6).logit() if gaussian else sure * (2 * wanted.scores - 1)
    return torch.cat((scores, wanted.offsets), dim=1)


def of(task: Pose, maps: Tensor, answers: Points = TWO) -> float:
    return task.loss(lambda images: maps, IMAGES[: len(answers)], answers, RECIPE).loss.item()


def test_the_loss_is_the_two_terms_with_their_means() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 9, *CELLS)
    wanted = encoded(TWO.shown, torch.full((2,), 17.0), CELLS)
    near = wanted.near.repeat_interleave(2, 1)
    scores = F.binary_cross_entropy_with_logits(maps[:, :3], wanted.scores)
    offsets = F.huber_loss(maps[:, 3:][near], wanted.offsets[near])  # delta 1
    assert of(Pose(body=BODY), maps) == pytest.approx((scores + 0.05 * offsets).item(), rel=1e-6)
    assert of(Pose(offset_weight=0.0), maps) == pytest.approx(scores.item(), rel=1e-6)


@pytest.mark.parametrize("gaussian", [False, True])
def test_perfect_maps_cost_nothing_and_a_guess_costs_chance(gaussian: bool) -> None:
    task = Pose(gaussian=gaussian, body=BODY)
    assert of(task, perfect(TWO, gaussian=gaussian)) < 1e-5
    empty = points([[NAN] * 3])
    assert of(task, torch.zeros(1, 9, *CELLS), empty) == pytest.approx(task.chance(BODY.names))


def test_an_absent_joint_teaches_nowhere_unless_it_is_masked() -> None:
    maps = perfect(TWO)
    loud = maps.clone()
    loud[0, 2] = 5.0  # the tail of the first picture is not labelled
    assert of(Pose(), loud) > 0.5 and of(Pose(mask_absent=True), loud) == pytest.approx(
        of(Pose(mask_absent=True), maps)
    )
    empty = points([[NAN] * 3])
    assert of(Pose(mask_absent=True), torch.randn(1, 9, *CELLS), empty) == 0.0
    wild = torch.zeros(1, 9, *CELLS)
    wild[:, 3:] = 100.0  # offsets of nothing count nowhere
    assert of(Pose(), wild, empty) == pytest.approx(math.log(2))


@pytest.mark.parametrize("at", [(0.0, 20.0), (64.0, 20.0), (20.0, 0.0), (20.0, 48.0), (-3.0, 20.0), (70.0, 50.0)])
def test_a_joint_on_or_outside_the_border_is_absent(at: tuple[float, float]) -> None:
    maps, inside = torch.randn(1, 9, *CELLS), (20.0, 20.0)
    assert of(Pose(), maps, points([[at, inside, NAN]])) == of(Pose(), maps, points([[NAN, inside, NAN]]))
    just = points([[(min(max(at[0], 0.5), 63.5), min(max(at[1], 0.5), 47.5)), inside, NAN]])
    assert of(Pose(), maps, just) != of(Pose(), maps, points([[NAN, inside, NAN]]))


def test_the_radius_is_of_the_picture() -> None:
    half = replace(TWO, zoom=torch.full((2,), 0.5))
    assert of(Pose(radius=24.0), perfect(half, radius=24.0), half) < 1e-5
    assert of(Pose(radius=12.0), perfect(half, radius=24.0), half) > 0.1


def test_scores_of_an_earlier_map_are_learnt_as_well() -> None:
    maps = perfect(TWO)
    both = torch.cat((maps, torch.zeros(2, 3, *CELLS)), dim=1)
    assert of(Pose(), both) - of(Pose(), maps) == pytest.approx(math.log(2))
    with pytest.raises(UserError, match=r"3 joints on images of 48x64 px take \(9, 6, 8\)"):
        of(Pose(), maps[:, :8])
    with pytest.raises(UserError, match="puts out maps of shape"):
        of(Pose(), maps[:, :, 1:])


def test_the_running_score_is_the_share_of_labelled_joints_that_are_found() -> None:
    """Within 0.3 of the scale, in the picture's pixels: 6 of its own are 3 of the network's at half the size."""
    maps = perfect(TWO)
    score = Pose().loss(lambda images: maps, IMAGES, TWO, RECIPE).score
    assert score == 2.0  # all found, times two images
    moved = maps.clone()
    moved[0, 3] += 5.9 / STDEV  # the nose of the first, by less than 0.3 x 20 px
    assert Pose().loss(lambda images: moved, IMAGES, TWO, RECIPE).score == 2.0
    moved[0, 3] += 0.2 / STDEV
    assert Pose().loss(lambda images: moved, IMAGES, TWO, RECIPE).score == pytest.approx(2 * 3 / 4)
    half = replace(TWO, zoom=torch.full((2,), 0.5))
    assert Pose().loss(lambda images: moved, IMAGES, half, RECIPE).score == pytest.approx(2 * 3 / 4)
    lost = replace(TWO, scales=torch.full((2,), math.nan))  # no scale: within the disc
    assert Pose().loss(lambda images: moved, IMAGES, lost, RECIPE).score == 2.0


def test_a_student_learns_the_teachers_joints() -> None:
    task = Pose(body=BODY)
    teacher = perfect(TWO, sure=4.0)
    student = teacher.clone().requires_grad_()
    (slope,) = torch.autograd.grad(task.distilled(student, teacher), student)
    assert slope.abs().max() < 1e-7
    student = torch.zeros_like(teacher, requires_grad=True)
    optim = torch.optim.Adam([student], lr=0.2)
    for _ in range(80):
        optim.zero_grad()
        task.distilled(student, teacher).backward()
        optim.step()
    there = ~TWO.shown.isnan()
    found, _ = decoded(student.detach(), 3)
    assert (found - TWO.shown)[there].abs().max() < 1.0


def images(body: Body = BODY) -> ImageData:
    pixels = np.zeros((6, 8, 8, 3), np.uint8)
    split = Split(Arrays(pixels), Joints.of(np.full((6, len(body.names), 2), 3.0), body, ["a"] * 6))
    return ImageData("dots", body.names, split, split, "as it is")


def test_data_with_joints_asks_for_a_pose_of_its_body() -> None:
    task = task_for(images())
    assert task == Pose(body=BODY) and targets_for(task) is Joints
    assert from_json(type(task).__mro__[1], to_json(task), TASKS) == task
    with pytest.raises(UserError, match="--class-weights weighs classes, and dots has none"):
        task_for(images(), "balanced")


def test_what_a_pose_cannot_learn_by_is_refused() -> None:
    refuse_unread(Pose(body=BODY), RECIPE)
    for name, value in (("smoothing", 0.1), ("mixup", 0.2), ("cutmix", 1.0), ("first_side", 0.5)):
        with pytest.raises(UserError, match=f"task 'pose' does not read the recipe's {name}"):
            refuse_unread(Pose(body=BODY), replace(RECIPE, **{name: value}))
    flipped = replace(RECIPE, augment=Augment(mirror=0.5))
    with pytest.raises(UserError, match=r"--set augment.mirror=0, or pairs"):
        refuse_unread(Pose(body=BODY), flipped)
    refuse_unread(Pose(body=replace(BODY, pairs=((0, 1),))), flipped)


def test_recipes_of_tasks_with_settings_are_known_without_torch() -> None:
    found = {name for kind in TASKS if kind.settable() for name in kind.recipes}
    assert found == OF_TASKS
