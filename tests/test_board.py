"""With --tensorboard a run's numbers are TensorBoard's too, once each, whatever interrupted it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from convsmith.api.verbs import train
from convsmith.codec import to_json
from convsmith.errors import UserError
from convsmith.jobs.folders import resume
from convsmith.jobs.options import Options
from convsmith.runs import RunFolder
from test_survival import SMALL
from unexported import unexported


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own, of the libraries it stands on
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        read = EventAccumulator(str(folder)).Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_the_events_are_the_metrics_and_a_resumed_run_has_each_once(tmp_path: Path) -> None:
    spec = tmp_path / "small.json"
    spec.write_text(to_json(SMALL))
    options = Options(
        recipe="resnet-rs", settings=("epochs=3", "batch=256"), parent=tmp_path, name="run", tensorboard=True
    )
    with unexported(page=True):
        run = train(spec, "digits", options=options)
    for name in ("model.safetensors", "last.pt"):  # as if it had been killed in its last epoch
        run.file(name).unlink()
    run.file("last.previous.pt").rename(run.file("last.pt"))
    with unexported(page=True):
        resume(RunFolder.open(run))
    found = events(run.file("tb"))
    rows = list(run.metrics())
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for name in ("train_loss", "val_top1", "rate"):
        assert [step for step, _ in found[name]] == [row["step"] for row in rows]
        assert [value for _, value in found[name]] == pytest.approx([row[name] for row in rows])
    page = run.file("report.html").read_text()
    assert "What differs from the paper" in page and "learning rate" in page
    assert "was left out" not in page, "every file of a run that was begun from Python is read"


def test_without_the_extra_it_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import convsmith.jobs.train.begin as begin

    def missing() -> None:
        raise UserError("--tensorboard needs TensorBoard: pip install 'convsmith[tracking]'")

    monkeypatch.setattr(begin, "board", missing)
    spec = tmp_path / "small.json"
    spec.write_text(to_json(replace(SMALL, name="small")))
    with pytest.raises(UserError, match="tracking"):
        train(spec, "digits", options=Options(parent=tmp_path / "runs", tensorboard=True))
    assert not (tmp_path / "runs").exists()
