"""A hundred random children of T32: the supernet's path, the extracted network and the exported file, on the same images.

    python bench/children.py [N] [--weights SUPERNET.safetensors]

Three answers to one question. The supernet's path normalises by the batch, so it is compared with the extracted network
in training mode; the exported file with the calibrated network in evaluation mode.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from common import Row, answer, save
from convsmith.exporting import export_onnx
from convsmith.jobs.feed import shape_of
from convsmith.supernet import T32, Supernet
from convsmith.supernet.shared import resized


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 100
    torch.set_num_threads(1)
    supernet, trained = Supernet(T32, seed=0), "--weights" in sys.argv
    generator = torch.Generator().manual_seed(0)
    if trained:
        supernet.model.load_state_dict(load_file(sys.argv[sys.argv.index("--weights") + 1]))
    else:
        with torch.no_grad():  # nothing left at 0, so that every weight shows
            for parameter in supernet.model.parameters():
                if parameter.ndim < 2 or not parameter.any():
                    parameter.add_(0.5 + 0.1 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(8, 3, 32, 32, generator=generator).to(memory_format=torch.channels_last)
    calibration = [torch.randn(64, 3, 32, 32, generator=generator) for _ in range(2)]
    extracted, exported, largest = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        for at in range(n):
            spec = T32.sample(random.Random(at))
            with torch.no_grad():
                ours = supernet.child(spec)(images)
                theirs = undropped(supernet.extract(spec).train())(resized(images, spec.input.resolution))
            extracted.append(float((ours - theirs).abs().max()))
            largest.append(float(ours.abs().max()))
            model = supernet.calibrated(spec, calibration)
            shown = resized(images, spec.input.resolution)
            found = export_onnx(model, Path(scratch) / "child.onnx", input_shape=shape_of(spec), samples=shown)
            exported.append(found.max_abs_difference)
            print(at, extracted[-1], exported[-1], file=sys.stderr, flush=True)
    rows = [
        Row("supernet's path - extracted, largest |logit|", f"{max(extracted):.2g}", f"of logits up to {max(largest):.3g}",
            None, n, "<= 1e-5", answer(max(extracted) <= 1e-5)),
        Row("extracted - exported, largest |logit|", f"{max(exported):.2g}", "", None, n, "<= 1e-4",
            answer(max(exported) <= 1e-4)),
    ]  # fmt: skip
    save("children", "Children of one supernet, three ways", "", rows, note=(
        f"Random children of T32, {'trained' if trained else 'random'} weights, eight images each; the file run by onnxruntime."
    ))  # fmt: skip


def undropped(model: torch.nn.Module) -> torch.nn.Module:
    """Without dropout, which would make an answer in training mode random."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    return model


if __name__ == "__main__":
    main()
