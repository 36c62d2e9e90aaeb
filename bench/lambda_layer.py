"""Lambda layers against timm's and against self-attention: time, and the memory that a training step peaks at.

Batch 8, 256 channels, 4 heads, keys of 16 (attention: 64 each, its own way). timm's layer at its own settings: scope 9, or
global. Attention is the projection to queries, keys and values and torch's scaled_dot_product_attention. A 3x3 convolution of
the same width stands for scale. Peaks are of a process that does nothing else, above what it holds before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from timm.layers.lambda_layer import LambdaLayer as Theirs
from torch import Tensor, nn
from torch.nn import functional as F

from common import Row, judged, rounds, save, spread
from convsmith.latency import ratio
from convsmith.layers import LambdaLayer

BATCH, WIDTH = 8, 256


class Attention(nn.Module):
    """Self-attention over all positions, as attention-for-convolution networks have it."""

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        q, k, v = self.qkv(x).view(n, 3, self.heads, c // self.heads, -1).transpose(-1, -2).unbind(1)
        return F.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(n, c, height, width)


def made(name: str, side: int) -> nn.Module:
    """A layer by the name that the table gives it."""
    torch.manual_seed(0)
    layers: dict[str, Callable[[], nn.Module]] = {
        "ours, scope 9": lambda: LambdaLayer(WIDTH, scope=9),
        "ours, scope 23": lambda: LambdaLayer(WIDTH, scope=23),
        "ours, global": lambda: LambdaLayer(WIDTH, scope=2 * side - 1, size=side),
        "timm, scope 9": lambda: Theirs(WIDTH, r=9),
        "timm, global": lambda: Theirs(WIDTH, r=None, feat_size=(side, side)),
        "attention": lambda: Attention(WIDTH),
        "conv 3x3": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
    }
    return layers[name]()


def step(name: str, side: int, *, backward: bool) -> Callable[[], object]:
    layer = made(name, side)
    x = torch.randn(BATCH, WIDTH, side, side, requires_grad=True)
    grad = torch.randn(BATCH, WIDTH, side, side)

    def train() -> None:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        layer(x).backward(grad)

    def look() -> None:
        with torch.inference_mode():
            layer(x)

    return train if backward else look


def timing(ours: str, theirs: str, side: int, n: int, most: float | None) -> list[Row]:
    rows = []
    for backward in (False, True):
        first, second = rounds(step(ours, side, backward=backward), step(theirs, side, backward=backward), n=n, warm=1)
        found = ratio(first, second)
        # The goals are for a training step; forwards are shown.
        goal = f"at most {most:.2g}" if backward and most else ""
        what = f"{ours}, {side} px, {'forward + backward' if backward else 'forward'}"
        met = judged(found, most=most) if backward and most else ""
        rows.append(Row(what, spread(first), f"{theirs}: {spread(second)}", found, first.n, goal, met))
    return rows


def peak(name: str, side: int) -> float:
    """MiB that a training step adds to a fresh process."""
    done = subprocess.run([sys.executable, __file__, name, str(side)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def held(field: str) -> float:
    """MiB of this process by Linux's account: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def peaks(ours: str, theirs: str, side: int) -> Row:
    first, second = peak(ours, side), peak(theirs, side)
    what = f"{ours}, {side} px, peak of a step"
    return Row(what, f"{first:,.0f} MiB", f"{theirs}: {second:,.0f} MiB", None, 1, "")


def main() -> None:
    rows = []
    for side, n in ((16, 15), (32, 7), (64, 3)):
        rows += timing("ours, scope 9", "timm, scope 9", side, n, 1 / 3)
        rows += timing("ours, scope 23", "attention", side, n, 1.0 if side > 16 else None)
        rows += timing("ours, scope 9", "conv 3x3", side, n, None)
        if side < 64:  # timm's table of all pairs does not fit at 64
            rows += timing("ours, global", "timm, global", side, max(3, n // 3), 0.1 if side == 32 else None)
            rows.append(peaks("ours, global", "timm, global", side))
        rows.append(peaks("ours, scope 9", "timm, scope 9", side))
        rows.append(peaks("ours, scope 23", "attention", side))
        for row in rows[-9:]:
            print(" | ".join(row.cells()), flush=True)
    note = f"{torch.get_num_threads()} threads (all cores), float32, contiguous, training mode. {__doc__.split(chr(10), 2)[2]}"
    save("lambda_layer", "Lambda layers", "reference", rows, " ".join(note.split()))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        run = step(sys.argv[1], int(sys.argv[2]), backward=True)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far; Linux only
        before = held("VmRSS")
        run()
        print(held("VmHWM") - before)
    else:
        main()
