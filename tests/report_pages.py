"""A run folder to report of, and a reader of pages: what the tests of reports share."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from convsmith.scores import named

VOID = {"meta", "br", "img", "link", "hr"}
NASTY = ['<b>&"', "$\\alpha$", "</svg><script>alert(1)</script>", "猫", "bell\x07", "url(#x) #1d2126", "http://x.y"]
DIGITS = [str(digit) for digit in range(10)]
TOP1 = named("top1", 0.9)


class Page(HTMLParser):
    """Elements, attributes and words of a page; fails on tags that do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def ids(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "id"]


def data_uri(size: int = 200) -> str:
    return "data:image/png;base64," + base64.b64encode(bytes(size)).decode()


def epoch_line(number: int) -> str:
    losses = {"train_loss": 2 / number, "val_loss": 2.1 / number}
    top1s = {"train_top1": 1 - 0.8 / number, "val_top1": 1 - 0.9 / number}
    return json.dumps(
        {"event": "epoch", "epoch": number, "step": number, "rate": 0.1, "images_per_s": 9.0, **losses, **top1s}
    )


def make_run(
    folder: Path, *, classes: list[str] = DIGITS, epochs: int = 4, macs: int = 1_990_000, picture: int = 200
) -> Path:
    folder.mkdir(parents=True)
    size = len(classes)
    stage = {"name": "stem", "what": "conv", "size": 14, "depth": 1, "width": 8, "macs": macs, "params": 1000}
    machine = {
        "processor": "Tin CPU", "cores": 2, "memory_gib": 4.0, "system": "Linux", "python": "3.11.0",
        "packages": [["torch", "2.15"]],
    }  # fmt: skip
    latency = {
        "name": "mine", "runtime": "ort", "threads": 1, "batch": 1, "n": 200,
        "median_ms": 1.234, "p10_ms": 1.1, "p90_ms": 1.4,
    }  # fmt: skip
    confusion = [[35 if row == col else int(col == (row + 1) % size) for col in range(size)] for row in range(size)]
    image = data_uri(picture)
    wrong = [
        {"index": i, "path": None, "label": i % size, "predicted": (i + 1) % size, "confidence": 0.7, "image": image}
        for i in range(24)
    ]
    files: dict[str, Any] = {
        "spec.json": {"name": "small_b0", "input": {"resolution": 28, "channels": 1}, "stages": []},
        "config.json": {
            "verb": "design", "convsmith": "0.1.0", "started": "2026-11-23", "name": "mine", "data": "digits",
            "budget": "2M-macs", "base": "efficientnet_b0", "rule": "compound", "x": -7.6,
            "met": {"macs": {"limit": 2_000_000, "is": macs, "slack": 0.0}},
            "cost": {"macs": macs, "params": 1000, "activations": 5}, "stages": [stage], "seed": 0, "machine": machine,
            "recipe": {"epochs": 4, "optimiser": {"kind": "sgd"}}, "command": ["convsmith", "design", "my photos"],
        },
        "data.json": {
            "name": "digits", "classes": classes, "train": 300, "val": 36 * size, "split": "A fifth of each class.",
            "per_class": [[30, 36]] * size, "skipped": [{"path": f"{i}.jpg", "why": "truncated"} for i in range(60)],
        },
        "scores.json": {
            "split": "val", "top1": 0.972, "top1_interval": [0.95, 0.99], "top5": 0.999, "top5_interval": [0.99, 1.0],
            "n": 36 * size, "classes": classes, "confusion": confusion, "wrong": wrong,
        },
        "latency.json": {
            "rows": [latency], "rounds": 20, "noise": 0.03, "verdict": ["Quiet enough."], "machine": machine,
        },
        "export.json": {
            "file": "model.onnx", "bytes": 812_345, "opset": 18, "batch": "dynamic", "folded": 49,
            "max_abs_difference": 1.9e-6, "tolerance": 1e-4, "n": 16, "runtime": "onnxruntime 1.2",
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text("".join(epoch_line(number) + "\n" for number in range(1, epochs + 1)))
    return folder
