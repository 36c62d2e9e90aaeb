"""Progress as people see it: bars on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .scores import named, said
from .watcher import EpochDone, Record, Started, StepDone, Watcher

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

__all__ = ["Progress", "fitting", "stop_bars"]

# Seconds between plain progress lines where the output is no terminal.
PLAIN_EVERY = 5.0
_BAR = 12  # columns of the bar
_BESIDE = _BAR + 10  # of all that stands beside the words: the bar, the time, what separates them

_RUNNING: list[Bars] = []  # one at most; the screen is one


def stop_bars() -> None:
    """Clear the bar that is on the screen, if there is one, so that what is printed next is the last word."""
    while _RUNNING:
        _RUNNING.pop().stop()


def fitting(words: list[str], width: int) -> str:
    """The first of the words, the most important ones, as many as fit in so many columns; the very first in any case.

    >>> fitting(["step 3 of 9", "0:02 left", "loss 2.1"], 24)
    'step 3 of 9, 0:02 left'
    """
    text = words[0]
    for word in words[1:]:
        if len(text) + 2 + len(word) > width:
            break
        text = f"{text}, {word}"
    return text


class Progress(Watcher):
    """Shows what a job is doing, on stderr or on `console`: `cs.train(..., watcher=cs.Progress())`.

    Bars on a terminal; in a notebook or a file a plain line every few seconds.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True)
        self.bars: Bars | None = None
        self.task: Any = None
        self.what = ""
        self.last_line = 0.0
        self.last_epoch: EpochDone | None = None
        self.started = (0, 0.0)  # step and time at which this process began to train
        self.steps = 0

    def stage(self, title: str, detail: str = "") -> None:
        from rich.markup import escape

        self._stop()
        self.console.print(f"[bold cyan]{title:>8}[/]  {escape(detail)}", soft_wrap=True, markup=True, emoji=False)

    def note(self, text: str) -> None:
        self._stop()
        self.console.print(f"          {text}", style="dim", soft_wrap=True, markup=False, emoji=False)

    def count(self, what: str, done: int, total: int) -> None:
        self._advance(what, done, total, [f"{what}, {done} of {total}"])
        if done == total:
            self._stop()

    def record(self, record: Record) -> None:
        match record:
            case Started():  # one follower may see several trainings, as of a cross-validation
                self.started, self.steps, self.last_epoch = (record.step, time.monotonic()), record.steps, None
            case EpochDone():
                self.last_epoch = record
                if not self.console.is_terminal or record.epoch == 1:
                    self._plain_epoch(record)
            case StepDone():
                elapsed = time.monotonic() - self.started[1]
                if elapsed < 1:
                    return
                speed = (record.step - self.started[0]) / elapsed
                left = (record.steps - record.step) / speed
                words = [
                    f"step {record.step} of {record.steps}",
                    f"{_clock(left)} left",
                    f"loss {record.loss:.3f}",
                    *(_validated(self.last_epoch) if self.last_epoch else []),
                    f"epoch {record.epoch}",
                    f"{speed * record.images:.0f} images/s",
                ]
                self._advance("training", record.step, record.steps, words)
                if record.step == record.steps:
                    self._stop()

    def _plain_epoch(self, done: EpochDone) -> None:
        last = done.step == self.steps
        if time.monotonic() - self.last_line < PLAIN_EVERY and done.epoch > 1 and not last:
            return
        self.last_line = time.monotonic()
        words = [
            f"train loss {done.train_loss:.3f}{_apart(done)}",
            *_validated(done),
            f"{done.images_per_s:.0f} images/s",
        ]
        self.console.print(f"          epoch {done.epoch}: {', '.join(words)}", style="dim")

    def _advance(self, what: str, done: int, total: int, words: list[str]) -> None:
        if not self.console.is_terminal:
            begun = done == total and self.what == what  # a count that was begun is seen to its end
            if begun or time.monotonic() - self.last_line > PLAIN_EVERY:
                self.last_line, self.what = time.monotonic(), what
                self.console.print(f"          {', '.join(words)}", style="dim", soft_wrap=True)
            return
        if self.bars is None or self.what != what:
            self._stop()
            self.bars, self.task, self.what = *_bar(total, self.console), what
        self.bars.update(self.task, completed=done, text=fitting(words, self.console.width - _BESIDE))

    def _stop(self) -> None:
        stop_bars()
        self.bars = None


def _apart(done: EpochDone) -> str:
    """What the training loss is the sum of, in brackets."""
    terms = ", ".join(f"{name} {value:.3f}" for name, value in done.terms.items())
    return f" ({terms})" if terms else ""


def _validated(done: EpochDone) -> list[str]:
    """What an epoch's validation said, the headline first and without the loss; nothing where there was none."""
    found = [(name.removeprefix("val_"), value) for name, value in done.scores.items() if name.startswith("val_")]
    metrics = [named(name, value) for name, value in found if name != "loss"]
    return [f"val {one.words} {said(one.value, one.unit, 1)}" for one in metrics]


def _bar(total: int, console: Console) -> tuple[Bars, Any]:
    from rich.progress import BarColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Elapsed(ProgressColumn):
        """The time since the start, with hours only where there are some."""

        def render(self, task: Any) -> Text:
            return Text(_clock(task.elapsed or 0))

    columns = (BarColumn(bar_width=_BAR), Elapsed(), TextColumn("{task.fields[text]}", markup=False))
    bars = Bars(*columns, console=console, transient=True)
    bars.start()
    _RUNNING.append(bars)
    return bars, bars.add_task("", total=total, text="")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
