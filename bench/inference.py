"""Latency of our exported networks against timm's same networks, exported the plain way, in onnxruntime."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import timm
import torch

import convsmith as cs
from common import Row, judged, save, spread
from convsmith.exporting import export_onnx, ort_subject
from convsmith.latency import interleave, ratio

NAMES = ("efficientnet_b0", "resnet18", "mobilenetv2_100")
ROUNDS = 60
# Two sessions of one file can lie 1-2 % apart by where their memory happens to fall, so each side has three.
SESSIONS = 3


def plain_export(name: str, path: Path) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            timm.create_model(name).eval(), (torch.zeros(1, 3, 224, 224),), dynamo=True, verbose=False
        )
    program.save(path)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            ours, theirs = Path(folder) / f"{name}.onnx", Path(folder) / f"timm-{name}.onnx"
            export_onnx(cs.build(cs.spec(name), seed=0), ours, input_shape=(3, 224, 224), dynamic_batch=False)
            plain_export(name, theirs)
            subjects = [
                ort_subject(f"{side}{n}", path, batch=1, threads=1)
                for n in range(SESSIONS)
                for side, path in (("ours", ours), ("timm", theirs))
            ]
            timed = interleave(subjects, threads=1, rounds=ROUNDS, seconds=60).rows
            found = sorted((ratio(timed[2 * n], timed[2 * n + 1]) for n in range(SESSIONS)), key=lambda r: r.value)
            middle = found[SESSIONS // 2]
            rows.append(
                Row(
                    f"{name} at 224 px",
                    spread(timed[0]),
                    spread(timed[1]),
                    middle,
                    timed[0].n,
                    "never above 1.0",
                    judged(middle, most=1.0),
                )
            )
    note = f"onnxruntime, one thread, batch 1; the middle ratio of {SESSIONS} pairs of sessions, interleaved."
    save("inference", "Inference of exported networks", "timm", rows, note)


if __name__ == "__main__":
    main()
