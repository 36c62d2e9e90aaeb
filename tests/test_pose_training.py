"""A pose is trained by the same loop and the same verbs as anything else, on pictures as oblong as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import convsmith as cs
from convsmith.arch import ArchSpec, Image
from convsmith.data import Batch, eval_batches, load_data
from convsmith.data.readers.pseudo import PseudoLabels, with_pseudo
from convsmith.errors import DataError, UserError
from convsmith.evals import evaluate
from convsmith.jobs.feed import Feed, normaliser
from convsmith.jobs.fitting import fitted_to, in_aspect
from convsmith.jobs.options import Options
from convsmith.jobs.search.options import SearchOptions
from convsmith.jobs.search.request import Request, in_three
from convsmith.jobs.source import Source
from convsmith.jobs.studies.climb import planned as ladder_of
from convsmith.jobs.studies.scaling import planned as scaling_of
from convsmith.jobs.studies.trials import Trial
from convsmith.jobs.train.begin import Job, design_job, start, train_job
from convsmith.layers import EvoNormB, EvoNormKind
from convsmith.model import build
from convsmith.parts import EvoNorm
from convsmith.recipe import Norms
from convsmith.recipes import POSE, POSE_SCRATCH, recipe
from convsmith.runs import RunFolder
from convsmith.supernet import Sandwich, Supernet
from convsmith.tasks import Pose, task_for
from convsmith.training import Moment, Single, fit
from convsmith.watcher import Watcher
from poses import BODY, dots

CPU = torch.device("cpu")
SMALL = "mobilenetv2_035"
FEW = ("epochs=2",)


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, the dots come."""
    monkeypatch.setattr(Source, "load", lambda self, watcher, own=None: dots())


def job(tmp_path: Path, *, model: str | ArchSpec = SMALL, **options: object) -> Job:
    return train_job(model, "dots", None, Options(parent=tmp_path, **{"settings": FEW, **options}), Watcher())


def shallow() -> ArchSpec:
    """A block a stage, where it is not the network that is tested."""
    spec = cs.spec(SMALL)
    return replace(spec, stages=tuple(replace(stage, depth=1) for stage in spec.stages))


# ---- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "sides", "height", "shown"),
    [
        ((224, 224), (162, 288), None, (176, 288)),  # not enlarged: the multiples of 16 that hold them
        ((224, 224), (48, 64), None, (48, 64)),
        ((224, 224), (480, 640), None, (208, 272)),  # the area of the network, about
        ((224, 224), (480, 640), 96, (96, 128)),
        ((32, 32), (112, 192), None, (32, 48)),
    ],
)
def test_what_is_shown_has_the_pictures_aspect(
    own: tuple[int, int], sides: tuple[int, int], height: int | None, shown: tuple[int, int]
) -> None:
    assert in_aspect(Image(own[0], width=own[1]), sides, height).sides == shown


def test_every_verb_makes_the_network_fit_for_pose_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, options = dots(), Options(parent=tmp_path)
    expected = fitted_to(cs.spec(SMALL), Pose(body=BODY), data)
    assert expected.input.sides == (48, 64) and expected.head.outputs == ("points", "likelihood")
    assert expected.head.n_names == 3
    made = job(tmp_path)
    assert made.spec == expected and made.task == Pose(body=BODY) and made.recipe == replace(POSE_SCRATCH, epochs=2)
    assert train_job(SMALL, "dots", 32, options, Watcher()).spec.input.sides == (32, 48)
    scaled = design_job("dots", "60M-macs", None, None, options, Watcher())
    assert scaled.base == Pose.base and scaled.spec.head.n_names == 3 and scaled.spec.input.width is not None
    _, spec, top, steps = ladder_of(
        SMALL, "dots", resolution=None, study_factors=False, grow=2.0, options=options, watcher=Watcher()
    )
    assert spec == expected and top == POSE_SCRATCH and steps[-1].spec.head == expected.head
    space, how, _ = (request := Request.of("dots", "60M-macs", options, SearchOptions())).settled(data)
    assert request.chosen(Pose()).space == "p16" and how.name == "pose-scratch"
    assert {child.input.sides for child in (space.smallest(), space.biggest())} == {(48, 64)}
    dots_alone = replace(data, val=replace(data.val, targets=replace(data.val.targets, scales=np.full(8, np.nan))))
    monkeypatch.setattr(Source, "load", lambda self, watcher, own=None: dots_alone)
    with pytest.raises(
        UserError, match=r"a ladder compares shares, and networks on dots are judged by pixel error: .*--ruler A,B"
    ):
        ladder_of(SMALL, "dots", resolution=None, study_factors=False, grow=2.0, options=options, watcher=Watcher())
    with pytest.raises(
        UserError, match="dots has points in its pictures; fit-scaling's law is of a share of right answers"
    ):
        scaling_of(base=SMALL, rule="compound", images=data)


def test_what_a_pose_has_no_use_for_is_refused_in_a_line(tmp_path: Path) -> None:
    for settings, said in (
        ({"settings": ("mixup=0.2",)}, "does not read the recipe's mixup"),
        ({"settings": ("augment.mirror=0.5",)}, "which two are a pair"),
        ({"settings": ("norms=frozen",)}, "keeps the statistics that weights bring"),
        ({"recipe": "quick", "settings": ()}, "does not read the recipe's smoothing"),
        ({"class_weights": "balanced", "settings": ()}, "--class-weights weighs classes"),
        ({"settings": ("epochs=ten",)}, "epochs"),
    ):
        with pytest.raises(UserError, match=said):
            job(tmp_path, **settings)
    assert job(tmp_path, settings=("augment.policy.turn=10",)).recipe.augment.policy.turn == 10
    assert not list(tmp_path.iterdir())


def test_what_is_set_of_the_task_is_in_every_verbs_task(tmp_path: Path) -> None:
    """And in the run's file, where it is more than usual: a run without settings is written as it was."""
    given = ("task.radius=12", " task.gaussian=true", "epochs=2", "task.threshold=0.2")
    wanted = Pose(radius=12.0, gaussian=True, threshold=0.2, body=BODY)
    options = Options(parent=tmp_path, settings=given)
    assert train_job(SMALL, "dots", None, options, Watcher()).task == wanted
    assert train_job(SMALL, "dots", None, options, Watcher()).recipe == replace(POSE_SCRATCH, epochs=2)
    assert design_job("dots", "60M-macs", None, None, options, Watcher()).task == wanted
    task, how = Request.of("dots", "60M-macs", options, SearchOptions()).learnt(dots())
    assert task == wanted and how.epochs == 2
    ladder_of(SMALL, "dots", resolution=None, study_factors=False, grow=2.0, options=options, watcher=Watcher())
    assert task_for(dots(), settings=()) == Pose(body=BODY)
    spec = fitted_to(cs.spec(SMALL), wanted, dots())
    plain, other = (Trial(spec, POSE_SCRATCH, 0, *rest) for rest in ((), (given[:1],)))
    assert plain.key("data") != other.key("data")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("task.radus=12", r"fields of tasks are anchor_samples, gaussian, .*, threshold; did you mean 'radius'\?"),
        ("task.radius=wide", 'radius: "wide": input should be a valid number'),
        ("task.radius=-1", "task.radius must be above 0"),
        ("task.gaussian=perhaps", "gaussian"),
        ("task.body=1", "the fields of tasks are anchor_samples, gaussian"),
        ("task.radius", "write field=value"),
        ("task.=3", "the fields of tasks are anchor_samples, gaussian"),
    ],
)
def test_wrong_settings_of_the_task_are_one_line(tmp_path: Path, setting: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        job(tmp_path, settings=(setting,))
    assert "\n" not in str(told.value)


def test_classifiers_have_nothing_to_set() -> None:
    with pytest.raises(
        UserError, match="a task 'classify' has nothing to set; what its classes weigh is --class-weights"
    ):
        task_for(load_data("digits"), settings=("task.radius=12",))
    with pytest.raises(UserError, match="nothing to set"):
        scaling_of(
            base=SMALL, rule="compound", images=load_data("digits"), options=Options(settings=("task.radius=12",))
        )


def test_pseudo_labels_are_refused() -> None:
    made = PseudoLabels("x", BODY.names, (("a.png", "nose", 1.0),), "teacher", 0.5, None, 1, 0)
    with pytest.raises(DataError, match="one class for each image, and those of dots have points"):
        with_pseudo(dots(), made, ratio=1.0, seed=0)


# ---- training --------------------------------------------------------------------------------------------------------


class Same:
    """One batch again and again."""

    steps_per_epoch = 60

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        return (self.batch for _ in range(first, last))


def test_a_batch_of_eight_is_learnt(tmp_path: Path) -> None:
    """From random weights in sixty steps. Measured with seeds 0, 1 and 2: the loss falls from 0.70 to 0.013 at most, and every
    joint is found; the bounds leave it four times as much, and two joints of the 23."""
    data = dots()
    task, part = Pose(radius=8.0, body=BODY), data.train.take(torch.arange(8).numpy())
    spec = fitted_to(cs.spec(SMALL), task, data)
    (batch,) = eval_batches(part, sides=spec.input.sides, batch=8)
    model = build(spec, seed=0)
    how = replace(POSE_SCRATCH, epochs=1, rate=0.064)
    records = list(
        fit(
            Single(model, task, how), how, Same(batch), prepare=normaliser(spec, CPU), evaluate=lambda network: {},
            checkpoint=tmp_path / "last.pt", device=CPU, seed=0,
        )
    )  # fmt: skip
    losses = [one.loss for one in records if hasattr(one, "loss")]
    model.train()  # by the statistics of the batch: sixty steps are few for running ones
    with torch.no_grad():
        found = task.loss(model, normaliser(spec, CPU)(batch.images), batch.answers, how)
    assert losses[0] > 0.6 and losses[-1] < 0.05
    assert found.score / 8 > 0.9


def digest(*tensors: Tensor) -> str:
    return hashlib.sha256(b"".join(one.detach().contiguous().numpy().tobytes() for one in tensors)).hexdigest()


def begun(monkeypatch: pytest.MonkeyPatch, made: Job) -> tuple[str, str, int]:
    """Of the training that a job begins: digests of the head and of all that is shown and asked, and how many pictures."""
    seen: dict[str, object] = {}

    def watched(trainee: Single, how: object, feed: Feed, **_: object) -> Iterator[object]:
        named = trainee.product.spec.head.named
        head = [one for name, one in trainee.product.named_parameters() if name.startswith(named)]
        batches = list(feed.batches(0, 2 * feed.steps_per_epoch))
        shown = [part for batch in batches for part in (batch.images, batch.answers.shown, batch.indices)]
        seen.update(head=digest(*head), shown=digest(*shown), n=sum(len(batch.answers) for batch in batches))
        raise UserError("enough")
        yield

    with monkeypatch.context() as patched:
        patched.setattr("convsmith.jobs.train.stages.training_loop", watched)
        with pytest.raises(UserError, match="enough"):
            start(made, Watcher())
    return seen["head"], seen["shown"], seen["n"]  # type: ignore[return-value]


def test_scratch_and_pretrained_differ_in_nothing_but_the_trunk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Oracle 12: the same order and draws of the data, the same first head, as many samples."""
    weights = tmp_path / "weights.pt"
    trunk = build(cs.spec(SMALL), seed=9)
    torch.save(trunk.state_dict(), weights)
    how = {"recipe": replace(POSE_SCRATCH, epochs=2), "settings": ()}
    scratch = begun(monkeypatch, job(tmp_path / "runs", name="scratch", **how))
    tuned = job(tmp_path / "runs", name="tuned", weights=weights, **how)
    assert tuned.start is not None and any(name.startswith("stem.") for name in tuned.start.state)
    assert begun(monkeypatch, tuned) == scratch
    assert scratch[2] == 32


def test_frozen_norms_keep_the_statistics_that_came_with_weights() -> None:
    data = dots()
    for norm, kind in ((None, nn.BatchNorm2d), (EvoNorm(variant=EvoNormKind.B0), EvoNormB)):
        spec = cs.spec(SMALL) if norm is None else cs.spec(SMALL).with_style(norm=norm)
        spec = fitted_to(spec, Pose(), data)
        model = build(spec, seed=0)
        norms = [module for module in model.modules() if isinstance(module, kind)]
        for module in norms[:-1]:
            module.running_var.fill_(2.0)
        single = Single(model, Pose(body=BODY), POSE)
        before = [module.running_var.clone() for module in norms]
        weights = norms[0].weight.clone()
        feed = Feed(spec, data, POSE, 0, 0)
        optim = torch.optim.SGD(model.parameters(), lr=0.1)
        batch = next(iter(feed.batches(0, 1)))
        single.gradients(model, normaliser(spec, CPU)(batch.images), batch.answers, Moment(0, 1, 0, CPU))
        optim.step()
        moved = [not torch.equal(module.running_var, was) for module, was in zip(norms, before, strict=True)]
        assert moved == [False] * (len(norms) - 1) + [True]  # the last came without, and goes by the batch's
        assert not torch.equal(norms[0].weight, weights), "scales are trained"
    assert POSE.norms is Norms.FROZEN and recipe("pose-scratch").norms is Norms.TRAINED


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """All that a step draws hangs on (seed, step): a checkpoint is all that a kill can leave."""
    made, data = job(tmp_path, model=shallow()), dots()
    how = replace(made.recipe, epochs=2)

    def trained(name: str, stop_at: int) -> dict[str, Tensor]:
        model = build(made.spec, seed=0)
        records = fit(
            Single(model, made.task, how), how, Feed(made.spec, data, how, 0, 0), prepare=normaliser(made.spec, CPU),
            evaluate=lambda network: {}, checkpoint=tmp_path / f"{name}.pt", device=CPU, seed=0,
        )  # fmt: skip
        for record in records:
            if getattr(record, "step", 0) >= stop_at:
                break
        return model.state_dict()

    whole = trained("whole", 99)
    trained("cut", 3)
    again = trained("cut", 99)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_batch_in_two_parts_is_scored_as_the_whole() -> None:
    """What two processes do. Offsets' means are of each part; of scores the parts' means are the whole's."""
    data, task = dots(), Pose(offset_weight=0.0, body=BODY)
    (batch,) = eval_batches(data.val, sides=(48, 64), batch=8)
    maps = torch.randn(8, 9, 6, 8)
    parts = [(maps[at], batch.answers[at]) for at in (slice(0, 4), slice(4, 8))]
    whole = task.of(maps, batch.answers, (48, 64))
    torch.testing.assert_close(sum(task.of(*part, (48, 64)) for part in parts) / 2, whole)


def test_training_and_evaluation_mean_the_same_loss() -> None:
    data, task = dots(), Pose(body=BODY)
    (batch,) = eval_batches(data.val, sides=(48, 64), batch=8)
    maps = torch.randn(8, 9, 6, 8, generator=torch.Generator().manual_seed(0))
    trained = task.loss(lambda images: maps, torch.zeros(8, 3, 48, 64), batch.answers, POSE)
    found = evaluate(lambda images: maps, [batch], task.meter(BODY.names), prepare=lambda x: x, device=CPU)
    assert found["loss"] == pytest.approx(trained.loss.item(), rel=1e-6) and found.headline.name == task.headline
    assert found["pck"] == pytest.approx(trained.score.item() / 8, rel=1e-6)


@pytest.mark.parametrize(("animals", "shared"), [(5, False), (4, False), (3, True), (1, True)])
def test_children_are_chosen_on_individuals_that_the_supernet_has_not_seen(animals: int, shared: bool) -> None:
    """Where there are four or more; of three, one held out would be a third of all that can be learnt from."""
    data = dots()
    names = tuple(f"animal {i % animals}" for i in range(len(data.train)))
    data = replace(data, train=replace(data.train, groups=names))
    parts = in_three(data, seed=0)
    known, asked = set(parts.train.groups), set(parts.val.groups)
    assert asked and bool(known & asked) is shared and known | asked == set(names)
    assert len(parts.train) + len(parts.val) == len(data.train) and len(parts.val) <= len(data.train) / 4
    assert in_three(data, seed=0).val.groups == parts.val.groups


def test_a_supernet_of_poses_takes_a_sandwich() -> None:
    data = dots()
    space, how, _ = Request.of("dots", "60M-macs", Options(), SearchOptions(space=SMALL)).settled(data)
    task = Pose(body=BODY)
    supernet = Supernet(space, seed=0)
    sandwich = Sandwich(supernet, task, how, seed=0)
    batch = next(iter(Feed(space.biggest(), data, how, 0, 0).batches(0, 1)))
    images = normaliser(space.biggest(), CPU)(batch.images)
    sums = sandwich.gradients(supernet.model, images, batch.answers, Moment(0, 10, 0, CPU))
    assert torch.isfinite(sums).all() and sums[2] == 8
    assert all(one.grad is not None for one in supernet.model.parameters())


def test_a_run_from_its_options_to_its_report(tmp_path: Path) -> None:
    run: RunFolder = start(job(tmp_path, model=shallow()), Watcher())
    epochs = [json.loads(line) for line in run.file("metrics.jsonl").read_text().splitlines()]
    assert {"train_pck", "val_pck", "val_pixels", "val_loss"} <= epochs[-1].keys()
    assert run.has("report.html") and run.has("model.onnx")
    assert run.scores.headline.name == "pck"
