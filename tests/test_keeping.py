"""Which epoch is handed over, when training ends early, and what a run says of itself beside its numbers."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convsmith.codec import to_data
from convsmith.errors import Stopped, UserError
from convsmith.evals.top1 import Top1
from convsmith.recipe import Keep, Recipe
from convsmith.recipes import QUICK, changed
from convsmith.reports.facts import RunFacts
from convsmith.runs import Data, Epoch, Known, notes_on, stopped_early, write_tables
from convsmith.runs.notes import best_of
from convsmith.scores import Confusion, Scores, named
from convsmith.supernet.sandwich import refuse_recipe
from convsmith.tasks import Classify
from convsmith.training import Single, fit
from convsmith.watcher import Started, StepDone

CPU = torch.device("cpu")
# What each epoch is said to score: the third is the best of the first six, by its loss alone.
CURVE = ((0.2, 2.0), (0.5, 1.0), (0.5, 0.9), (0.4, 0.8), (0.5, 0.95), (0.1, 3.0), (0.9, 0.1), (0.3, 1.0))


class Numbers:
    """Two steps an epoch on four noisy images."""

    steps_per_epoch = 2

    def batches(self, first: int, last: int):  # type: ignore[no-untyped-def]
        from convsmith.data import Batch

        for at in range(first, last):
            noise = torch.Generator().manual_seed(at)
            images = torch.randint(0, 256, (4, 1, 4, 4), dtype=torch.uint8, generator=noise)
            yield Batch(images, torch.arange(4) % 2, torch.arange(4))


def recipe(**own: object) -> Recipe:
    return replace(QUICK, epochs=len(CURVE), batch=4, average=0.0, **own)  # type: ignore[arg-type]


def trained(
    how: Recipe, where: Path, *, until: int | None = None
) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    """The weights that are handed over, and those that were evaluated at each epoch; SIGTERM after step `until`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    seen: dict[int, dict[str, Tensor]] = {}
    steps = 0

    def evaluate(network: nn.Module) -> dict[str, float]:
        seen[steps // 2] = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        top1, loss = CURVE[steps // 2 - 1]
        return {"val_top1": top1, "val_loss": loss}

    loop = fit(
        Single(model, Classify(), how), how, Numbers(), prepare=Tensor.float, evaluate=evaluate,
        checkpoint=where / "last.pt", device=CPU, seed=0, stop=lambda: until is not None and steps >= until,
    )  # fmt: skip
    for record in loop:
        if isinstance(record, Started | StepDone):
            steps = record.step
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}, seen


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_best_epoch_is_handed_over(tmp_path: Path, average: float) -> None:
    how = replace(recipe(keep=Keep.BEST), average=average)
    weights, seen = trained(how, tmp_path)
    assert sorted(seen) == list(range(1, 9)) and same(weights, seen[7]) and not same(weights, seen[8])
    (tmp_path / "last").mkdir()
    weights, seen = trained(replace(how, keep=Keep.LAST), tmp_path / "last")
    assert same(weights, seen[8])


@pytest.mark.parametrize("keep, kept", [(Keep.BEST, 3), (Keep.LAST, 6)])
def test_training_ends_when_patience_does(tmp_path: Path, keep: Keep, kept: int) -> None:
    weights, seen = trained(recipe(keep=keep, patience=3), tmp_path)
    assert sorted(seen) == [1, 2, 3, 4, 5, 6] and same(weights, seen[kept])


@pytest.mark.parametrize("until", [1, 5, 6, 9, 12])
def test_a_run_that_was_stopped_hands_over_the_same(tmp_path: Path, until: int) -> None:
    how = recipe(keep=Keep.BEST, patience=3)
    (tmp_path / "whole").mkdir()
    whole, _ = trained(how, tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(how, tmp_path, until=until)
    again, seen = trained(how, tmp_path)
    assert same(whole, again) and max(seen, default=6) == 6


def test_they_are_fields_of_a_recipe_that_old_recipes_have_not() -> None:
    assert not {"keep", "patience"} & set(to_data(QUICK))
    how = changed(QUICK, ("keep=best", "patience=5"))
    assert (how.keep, how.patience) == (Keep.BEST, 5)
    with pytest.raises(UserError, match="patience must be at least 0"):
        changed(QUICK, ("patience=-1",))
    with pytest.raises(UserError, match="'first' is none of last, best"):
        changed(QUICK, ("keep=first",))
    with pytest.raises(UserError, match="leave out keep and patience"):
        refuse_recipe(how)


# ---- what is said ----------------------------------------------------------------------------------------------------


def epochs(*top1: float) -> tuple[Epoch, ...]:
    return tuple(Epoch(k, values={"val_top1": one, "val_loss": 1.0}) for k, one in enumerate(top1, 1))


def scored(*rows: tuple[int, ...]) -> Scores:
    """What a meter says of a confusion."""
    meter, names = Top1([chr(97 + k) for k in range(len(rows))], pictures=0), range(len(rows))
    from convsmith.data import Batch

    for label, row in enumerate(rows):
        for answer, n in zip(names, row, strict=True):
            logits = torch.zeros(n, len(rows))
            logits[:, answer] = 1.0
            if n:
                meter.add(logits, Batch(torch.zeros(n, 1, 1, 1), torch.full((n,), label), torch.arange(n)))
    return meter.scores("val", lambda i: None)


def known(
    train: int = 5000,
    val: int = 500,
    per_class: tuple[tuple[int, int], ...] = ((2500, 250), (2500, 250)),
    **more: object,
) -> Known:
    base: dict[str, object] = {"recipe": {"batch": 64, "epochs": 30}, "weights": False}
    data = Data(
        name="d", classes=("a", "b"), train=train, val=val, per_class=per_class, test=int(bool(more.pop("test", 0))),
        points=bool(more.pop("points", False)), individuals=more.pop("individuals", ()),  # type: ignore[arg-type]
    )  # fmt: skip
    return Known(data, **base | more)  # type: ignore[arg-type]


@pytest.mark.parametrize("of, said", [
    (known(), []),
    (known(94, weights=True),
     ["1 step an epoch, of 94 images: --batch 16 gives 5", "30 of 94 images are left out of each epoch"]),
    (known(320, weights=True), []),
    (known(val=24), ["24 validation images: the 95 % interval of a score is up to 40 points wide"]),
    (known(val=2), ["2 validation images: the 95 % interval of a score is up to 100 points wide"]),
    (known(1999), ["1,999 images are few for random weights; start from weights: --weights timm:NAME, or `design --weights auto`"]),
    (known(1999, weights=True), []),
    (known(per_class=((48, 12), (5, 1))), []),
    (known(per_class=((50, 12), (5, 1))), ["10 to 1 between classes: 50 images of 'a' to train on, 5 of 'b'"]),
    (known(points=True, val=24, weights=True, individuals=(9, 3)), []),
    (known(points=True, per_class=((50, 12), (5, 1)), individuals=(9, 2)),
     ["'b' is labelled in 5 images to train on, 'a' in 50: what is not labelled is learnt to be nowhere; --set task.mask",
      "validated on images of 2 individuals: a score says little of others"]),
    (known(scores=scored((12, 0), (1, 0))),
     ["always answering 'a' gives 92.3%; top-1 92.31% is no better", "'a' is the answer to 100%"]),
    (known(scores=scored((11, 1), (0, 1))), ["always answering 'a' gives 92.3%; top-1 92.31% is no better"]),
    (known(scores=scored((6, 4), (4, 7))), ["always answering 'b' gives 52.4%; top-1 61.90% cannot be told from it"]),
    (known(scores=scored((90, 10), (10, 90))), []),
    (known(scores=scored((5, 0), (0, 0))), []),
    (known(scores=scored((90, 10), (10, 90)), epochs=epochs(0.95, 0.9)),
     ["epoch 1 validated at 95.00% and the last, which is kept, at 90.00%"]),
    (known(scores=scored((90, 10), (10, 90)), epochs=epochs(0.92, 0.9)), []),
    (known(scores=scored((90, 10), (10, 90)), epochs=epochs(0.95, 0.9), recipe={"batch": 64, "keep": "best"}),
     ["epoch 1 of 2 is kept, the best on the validation images: a score on these is optimistic"]),
    (known(scores=scored((90, 10), (10, 90)), epochs=epochs(0.95, 0.9), recipe={"batch": 64, "keep": "best"}, test=1),
     ["optimistic; `evaluate RUN --split test` is fair"]),
    (known(epochs=epochs(0.5, 0.4, 0.4), recipe={"batch": 64, "epochs": 9, "patience": 2}),
     ["stopped after epoch 3 of 9: none of the last 2 was better than those before"]),
])  # fmt: skip
def test_what_is_worth_knowing_is_said_and_nothing_else(of: Known, said: list[str]) -> None:
    found = notes_on(of)
    assert len(found) == len(said), found
    for sentence, words in zip(found, said, strict=True):
        assert words in sentence


def test_of_equal_epochs_the_first_is_the_best_and_a_lower_loss_is_better() -> None:
    lines = tuple(Epoch(k, values={"val_top1": a, "val_loss": b}) for k, (a, b) in enumerate(CURVE[:6], 1))
    assert best_of(lines) == lines[2] and best_of(()) is None
    assert stopped_early(lines, {"patience": 3}) and not stopped_early(lines, {"patience": 4})


def test_scores_have_what_always_answering_one_class_gives_and_old_ones_are_read() -> None:
    scores = scored((12, 0), (1, 0))
    assert scores["majority"] == pytest.approx(12 / 13) and scores["per_class_mean"] == 0.5
    assert Scores.from_record(scores.to_record()).to_record() == scores.to_record()
    old = {"split": "val", "n": 13, "top1": 12 / 13, "per_class_mean": 0.5}
    assert [one.name for one in Scores.from_record(old).metrics] == ["top1", "per_class_mean"]


def read(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text())))


def test_tables_are_what_the_confusion_says(tmp_path: Path) -> None:
    scores = scored((3, 1, 0), (0, 2, 0), (0, 0, 0))
    assert [path.name for path in write_tables(scores, tmp_path)] == ["classes.csv", "confusion.csv"]
    assert read(tmp_path / "classes.csv") == [
        ["class", "images", "answered", "right", "precision", "recall"],
        ["a", "4", "3", "3", "1.0", "0.75"], ["b", "2", "3", "2", "0.6666666666666666", "1.0"], ["c", "0", "0", "0", "", ""],
    ]  # fmt: skip
    assert read(tmp_path / "confusion.csv") == [
        ["class", "a", "b", "c"],
        ["a", "3", "1", "0"],
        ["b", "0", "2", "0"],
        ["c", "0", "0", "0"],
    ]
    odd = Scores("val", 1, (named("top1", 1.0),), blocks=(Confusion(('x,"y"\n', "b"), ((1, 0), (0, 0))),))
    write_tables(odd, tmp_path)
    assert [row[0] for row in read(tmp_path / "confusion.csv")] == ["class", 'x,"y"\n', "b"]


def test_a_page_says_it_too_and_an_early_end_is_an_end(tmp_path: Path) -> None:
    from convsmith.reports import view

    config = {"verb": "train", "recipe": {"name": "quick", "batch": 64, "epochs": 9, "patience": 2}, "weights": "w"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "data.json").write_text(json.dumps(known(5000).data.to_record()))
    lines = [one.to_record() for one in epochs(0.9, 0.8, 0.8)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    (tmp_path / "scores.json").write_text(json.dumps(scored((90, 10), (10, 90)).to_record()))
    facts = RunFacts.read(tmp_path)
    verdict, quality = view.verdict(facts), view.quality(facts)
    assert verdict.state == "none" and verdict.headline.startswith("Trained for 3 epochs")
    assert quality is not None and quality.details[0].startswith("Stopped after epoch 3 of 9")
