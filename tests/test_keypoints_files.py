"""Files of networks that find joints: decoded inside, float and in eight bits, and what they say of themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image as Picture
from torch import Tensor
from torch.nn import functional as F

import convsmith as cs
from convsmith.errors import UserError
from convsmith.exporting import export_onnx, session
from convsmith.exporting.compared import doubtful
from convsmith.exporting.int8 import quantise
from convsmith.exporting.metadata import RESIZE, describe, of_session
from convsmith.exporting.prepared import prepared
from convsmith.exporting.raw import take_bytes
from convsmith.exporting.snippets import snippet
from convsmith.jobs.feed import metadata_of
from convsmith.layers.score_maps import decoded, encoded
from convsmith.model import Model, build
from convsmith.parts import Keypoints
from test_keypoints import small


def pictures(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise with two blobs, one in red and one in green, and where these are."""
    generator = torch.Generator().manual_seed(seed)
    xy = torch.rand(n, 2, 2, generator=generator) * torch.tensor([55.0, 39.0]) + 4
    images = 0.1 * torch.randn(n, 3, 48, 64, generator=generator)
    rows, columns = torch.arange(48)[:, None], torch.arange(64)
    for joint in range(2):
        x, y = xy[:, joint, 0, None, None], xy[:, joint, 1, None, None]
        images[:, joint] += 2 * torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return images, xy


@pytest.fixture(scope="module")
def trained() -> Model:
    """A small network that has learnt to find the blobs: score and offsets, as the sheet's 3.4 has it."""
    spec = small(head=Keypoints(2))
    spec = replace(spec, stages=tuple(replace(stage, depth=1) for stage in spec.stages))
    net = build(spec, seed=0)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    for step in range(60):
        images, xy = pictures(16, step)
        scores, offsets, near = encoded(xy, torch.full((16,), 10.0), (6, 8))
        maps = net(images)
        apart = F.huber_loss(maps[:, 2:], offsets, reduction="none") * near.repeat_interleave(2, 1)
        loss = F.binary_cross_entropy_with_logits(maps[:, :2], scores) + 0.05 * apart.sum() / near.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


@pytest.fixture(scope="module")
def file(trained: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pose") / "pose.onnx"
    names = ("red", "green")
    exported = export_onnx(trained, path, input_shape=(3, 48, 64), metadata=metadata_of(trained.spec, names))
    assert exported.relative_difference <= exported.tolerance and exported.folded == 10
    return path


def asked(path: Path, images: Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    runtime = session(path, threads=1)
    given = images.numpy() if isinstance(images, Tensor) else images
    points, likelihood = runtime.run(None, {runtime.get_inputs()[0].name: given})
    return np.asarray(points), np.asarray(likelihood)


def test_a_file_puts_out_the_points_that_the_maps_tell(trained: Model, file: Path) -> None:
    """Within a thousandth of a pixel, and the network has learnt where the blobs are."""
    images, xy = pictures(32, 1000)
    with torch.no_grad():
        points, likelihood = decoded(trained(images), 2)
    found, sure = asked(file, images)
    assert float(np.abs(found - points.numpy()).max()) < 1e-3
    assert float(np.abs(sure - likelihood.numpy()).max()) < 1e-5
    assert float(np.linalg.norm(found - xy.numpy(), axis=-1).mean()) < 4  # 1.6 px after 200 steps


def test_what_a_file_says_of_itself(file: Path) -> None:
    says = of_session(session(file, threads=1), "pose.onnx")
    assert (says.task, says.view, says.activation, says.resolution) == ("pose", "whole", "none", (48, 64))
    assert says.classes == ("red", "green") and says.outputs == ("points", "likelihood") and says.resize != RESIZE
    boned = replace(says, bones=((0, 1),))
    assert json.loads(describe(boned)["bones"]) == [[0, 1]]
    plain = describe(metadata_of(cs.spec("resnet18")))
    assert not {"view", "bones"} & set(plain) and plain["resize"] == RESIZE


def test_the_snippet_of_a_file_runs_without_the_package(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Picture.fromarray(np.random.default_rng(0).integers(0, 255, (90, 140, 3), dtype=np.uint8)).save("photo.jpg")
    exec(compile(snippet(file, of_session(session(file, threads=1), "x")), "snippet", "exec"), {})
    lines = capsys.readouterr().out.split("\n")
    assert [line.split()[0] for line in lines[:2]] == ["red", "green"] and len(lines[0].split()) == 4


def test_a_file_of_raw_pictures_gives_the_same_points(trained: Model, file: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.onnx"
    raw.write_bytes(file.read_bytes())
    says = take_bytes(raw, metadata_of(trained.spec, ("red", "green")))
    assert says.raw and says.outputs == ("points", "likelihood")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)
    ready = (torch.from_numpy(pixels) / 255 - torch.tensor(says.mean)) / torch.tensor(says.std)
    own = asked(file, ready.permute(0, 3, 1, 2).contiguous())
    given = asked(raw, pixels)
    assert float(np.median(np.abs(own[0] - given[0]))) < 1e-3 and float(np.abs(own[1] - given[1]).max()) < 1e-4


def test_in_eight_bits_the_maps_are_quantised_and_the_decoding_is_not(
    trained: Model, file: Path, tmp_path: Path
) -> None:
    """Points are within a pixel of the float file's on nearly all pictures: a cell's score may tie, its offset makes it good."""
    images, _ = pictures(32, 2000)
    made = quantise(file, tmp_path / "int8.onnx", [images.numpy()], metadata=metadata_of(trained.spec))
    assert made.int8_convolutions == made.convolutions == 10
    (one, sure), (other, less) = asked(file, images), asked(made.path, images)
    apart = np.linalg.norm(one - other, axis=-1)
    assert float(np.median(apart)) < 0.5 and float((apart < 4).mean()) > 0.9
    assert float(np.median(np.abs(sure - less))) < 0.05
    graph = onnx.load(made.path).graph
    behind = [node.op_type for node in graph.node]
    last = max(at for at, kind in enumerate(behind) if kind == "ConvTranspose")
    assert behind.index("ArgMax") > last
    feeding = {name for node in graph.node if node.op_type in ("ArgMax", "GatherElements") for name in node.input}
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    assert not {made_by.get(name) for name in feeding} & {"DequantizeLinear"}


def test_where_rounding_decides_a_file_is_not_held_to_it() -> None:
    """All scores alike but for what float32 hardly holds: no place can be told from another, and that is said."""
    net = build(small(), seed=0).eval()
    images = net.spec.input.example(4, seed=0)
    shape = images.shape[1:]
    doubted = doubtful(prepared(net, input_shape=shape, samples=images), 1e-4)
    assert doubted is not None and not any(where.any() for where in doubted)
    net.head.score.weight.data *= 1e-6
    net.head.score.bias.data += 1
    with pytest.raises(UserError, match="of what the network finds is anywhere else"):
        doubtful(prepared(net, input_shape=shape, samples=images), 1e-4)
