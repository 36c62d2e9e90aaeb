"""A network with a graph as its norm is a network like the others: it trains, averages, is traced, exported, converted to."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import convsmith as cs
from convsmith.arch import ArchSpec, Image, Stage, Style
from convsmith.cli.app import main
from convsmith.codec import to_json
from convsmith.costs import cost
from convsmith.errors import UserError
from convsmith.exporting import export_onnx
from convsmith.exporting.fold_graphs import split_graphs
from convsmith.exporting.int8 import quantise
from convsmith.exporting.ort import session
from convsmith.graphs import KNOWN, NormGraph, read
from convsmith.layers import EvoNormB, GraphNorm2d, running
from convsmith.parts import BatchNorm, ConvStem, GraphNorm, PlainConv, PooledClassifier, PreActBottleneck
from convsmith.recipe import Norms
from convsmith.recipes import QUICK
from convsmith.signal import trace
from convsmith.signal.watch import Merged, Normed
from convsmith.supernet.calibrate import calibrate
from convsmith.surgery import operate, restyled
from convsmith.training import Single
from convsmith.training.average import averaged
from graph_layers import NESTED

FOUND = read("max((x - v0) / std_batch(x) * v1 + v0, 0)")
MIXED = read("max(x * v1 + x, v0) / (std_group(x) + rms_batch(x - mean_instance(x)))")


def spec(graph: NormGraph) -> ArchSpec:
    """A pre-activation network of three blocks at 16 px."""
    return ArchSpec(
        name="tiny",
        input=Image(resolution=16),
        style=Style(norm=GraphNorm(graph, groups=4), conv=PlainConv()),
        stem=ConvStem(width=8, stride=1, bare=True),
        stages=(Stage(PreActBottleneck(), 2, 16, 1), Stage(PreActBottleneck(), 1, 32, 2)),
        head=PooledClassifier(classes=3, activated=False),
    )


def images(count: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn((count, 3, 16, 16), generator=torch.Generator().manual_seed(seed))


def trained(graph: NormGraph, arch: ArchSpec | None = None) -> nn.Module:
    """A network some steps on its way, so that nothing is where it began."""
    net = cs.build(arch or spec(graph), seed=0).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    for step in range(4):
        optimiser.zero_grad()
        F.cross_entropy(net(images(seed=step)), torch.arange(16) % 3).backward()
        optimiser.step()
    return net.eval()


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [FOUND, MIXED, NESTED, KNOWN["frn"]], ids=["found", "mixed", "nested", "frn"])
def test_it_learns_a_batch_and_its_average_takes_its_statistics_along(graph: NormGraph) -> None:
    net, x, y = cs.build(spec(graph), seed=0).train(), images(6), torch.arange(6) % 3
    average = averaged(net, 0.5)
    optimiser, losses = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9), []
    for _ in range(12):
        loss = F.cross_entropy(net(x), y)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        average.update_parameters(net)
    assert losses[-1] < 0.9 * losses[0]  # noise is learnt slowly
    kept = {name: buffer for name, buffer in average.module.named_buffers() if "stat" in name}
    assert bool(kept) is graph.batch
    for name, buffer in kept.items():
        own, begun = net.get_buffer(name), cs.build(spec(graph), seed=0).get_buffer(name)
        assert not torch.equal(buffer, own) and not torch.equal(buffer, begun), name


def test_it_costs_what_batch_norm_costs_and_its_vectors() -> None:
    one, other = cost(spec(FOUND)), cost(spec(FOUND).with_style(norm=BatchNorm()))
    assert one.macs == other.macs
    norms = [module for module in cs.build(spec(FOUND)).modules() if isinstance(module, GraphNorm2d)]
    assert one.params - other.params == sum(2 * len(norm.weight) for norm in norms)  # v0 and v1


def test_frozen_norms_keep_the_statistics_that_they_came_with() -> None:
    class Sum:
        terms = ()

    fresh, known = cs.build(spec(FOUND), seed=0), trained(FOUND)
    for net, count in ((fresh, 0), (known, sum(running(one) is not None for one in known.modules()))):
        single = Single(net, Sum(), replace(QUICK, norms=Norms.FROZEN))  # type: ignore[arg-type]
        assert len(single._kept) == count
    assert count == 10


# ---- statistics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [FOUND, MIXED, NESTED], ids=["found", "mixed", "nested"])
def test_after_calibration_on_one_batch_evaluation_is_training(graph: NormGraph) -> None:
    net = cs.build(spec(graph), seed=0).double()
    calibrate(net, [images().double()])
    own = net(images().double())
    torch.testing.assert_close(net.train()(images().double()), own, rtol=1e-9, atol=1e-9)


def test_each_norm_answers_for_what_it_keeps() -> None:
    x = images(4)
    kept = {
        "batch": running(nn.BatchNorm2d(3)),
        "evonorm": running(EvoNormB(cs.EvoNormKind.B0, 3)),
        "graph": running(GraphNorm2d(FOUND, 3, groups=1)),
    }
    for own in kept.values():
        assert own is not None
        assert own.untouched()
        assert own.stages == 1
        (argument,) = own.arguments(x)
        assert torch.equal(argument, x)
        own.settle([(x.mean((0, 2, 3)) + 1, x.var((0, 2, 3)) + 1)], 3)
        assert not own.untouched()
        own.forget()
        assert own.untouched()
    assert running(nn.Conv2d(3, 3, 1)) is None and running(GraphNorm2d(KNOWN["frn"], 3, groups=1)) is None
    nested = running(GraphNorm2d(NESTED, 3, groups=1))
    assert nested is not None and nested.stages == 2


def test_a_compiler_sees_one_graph_of_it() -> None:
    own = GraphNorm2d(MIXED, 8, groups=4)
    other = copy.deepcopy(own)
    compiled = torch.compile(other, backend="aot_eager", fullgraph=True)
    x = torch.randn((4, 8, 3, 3), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(compiled(x), own(x), rtol=0, atol=0)
    assert torch.equal(own.get_buffer("stat0"), other.get_buffer("stat0"))


# ---- tracing ---------------------------------------------------------------------------------------------------------


def test_it_is_traced_and_what_it_adds_up_inside_is_no_merge() -> None:
    found = trace(cs.build(spec(MIXED), seed=0), images(), draws=1)
    merges = [event for event in found.draws[0].events if isinstance(event, Merged)]
    assert len(merges) == 3 and found.broken is None
    normed = [event.path for event in found.draws[0].events if isinstance(event, Normed)]
    assert len(normed) == 10 and found.statistics == "batch norms with the batch's statistics"
    assert trace(trained(MIXED), images(), draws=1).statistics == "batch norms with their own statistics"


# ---- exporting -------------------------------------------------------------------------------------------------------


def test_a_graph_whose_way_in_is_affine_folds_and_others_stay() -> None:
    for graph, stays in ((FOUND, 10), (KNOWN["bn-silu"], 10), (NESTED, 0), (MIXED, 10), (KNOWN["frn"], 10)):
        net = trained(graph).double()
        split = split_graphs(net)
        norms = [module for module in split.modules() if isinstance(module, nn.BatchNorm2d)]
        rest = [module for module in split.modules() if isinstance(module, GraphNorm2d)]
        assert len(norms) == (0 if graph in (MIXED, KNOWN["frn"]) else 10)
        assert len(rest) == stays
        x = images(2).double()
        torch.testing.assert_close(split(x), net(x), rtol=1e-10, atol=1e-10)


class Beside(nn.Module):
    """Several graphs, each behind a convolution of its own, and what they put out as one vector."""

    def __init__(self, *graphs: NormGraph) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, 8, 3) for _ in graphs)
        self.norms = nn.ModuleList(GraphNorm2d(graph, 8, groups=4) for graph in graphs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outs = (norm(conv(x)) for conv, norm in zip(self.convs, self.norms, strict=True))
        return torch.cat([out.mean((2, 3)) for out in outs], 1)


def test_files_of_graphs_compute_the_same_and_hold_no_guard_that_cannot_fire(tmp_path: Path) -> None:
    names = ("bn-relu", "gn-silu", "evonorm-b0", "evonorm-b1", "evonorm-s0", "frn")
    net = Beside(*(KNOWN[name] for name in names), NESTED, MIXED)
    net.train()(images() * 2 + 1)
    made = export_onnx(net.eval(), tmp_path / "net.onnx", input_shape=(3, 16, 16), samples=images(4))
    # Sums over a map in single precision, in another order.
    assert made.relative_difference < 5e-6 and made.dynamic_batch
    assert made.folded == 2  # bn-relu and the nested one, whose inner moments evaluation does not read
    kinds = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert not {"Where", "Less", "Abs"} & set(kinds) and "Relu" in kinds


def test_its_file_is_nearly_the_same_in_eight_bits(tmp_path: Path) -> None:
    stages = (Stage(PreActBottleneck(), 1, 16, 2),)
    net, x = trained(MIXED, replace(spec(MIXED), stages=stages)), images(8)
    whole, eight = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    export_onnx(net, whole, input_shape=(3, 16, 16), samples=x)
    assert quantise(whole, eight, [x.numpy()]).share == 1
    was, now = (session(file, threads=1).run(None, {"images": x.numpy()})[0] for file in (whole, eight))
    # Seven bits through five convolutions: a part of the logits' deviation, where a broken scale gives one or more.
    assert float(np.abs(np.asarray(was) - np.asarray(now)).mean()) < 0.2 * float(np.asarray(was).std())


# ---- converting ------------------------------------------------------------------------------------------------------


def test_a_network_is_converted_to_a_norm_that_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "layer.json", tmp_path / "net.json"
    file.write_text(to_json(GraphNorm(FOUND, groups=8)), encoding="utf-8")
    (tmp_path / "tiny.json").write_text(spec(KNOWN["frn"]).to_json(), encoding="utf-8")
    assert main(["convert", str(tmp_path / "tiny.json"), "--norm", str(file), "--out", str(out)]) == 0
    made = cs.from_json(out.read_text(encoding="utf-8"))
    assert made.style.norm == GraphNorm(FOUND, groups=8) and made.name == f"tiny-graph-{FOUND.key[:8]}"
    assert main(["convert", str(out), "--norm", str(file)]) == 2
    assert "has graph-" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        ("bn-rely", "did you mean 'bn-relu'?"),
        ("nothing.json", "nothing.json does not exist"),
        ("tiny.json", 'needs a "kind"'),
        ("dead.json", "puts out no map"),
    ],
)
def test_what_is_no_norm_is_refused(
    norm: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.json").write_text(spec(KNOWN["frn"]).to_json(), encoding="utf-8")
    dead = {"kind": "graph_norm", "graph": {"genes": [{"op": "mean", "a": 0, "over": "batch"}]}}
    Path("dead.json").write_text(json.dumps(dead), encoding="utf-8")
    assert main(["convert", "resnet18", "--norm", norm]) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_known_graphs_are_listed_and_convert_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--norms", "bn-*", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["norms"]
    assert [row["name"] for row in rows] == ["bn-relu", "bn-relu-outside", "bn-silu"]
    assert [read(row["formula"]).key for row in rows] == [row["key"] for row in rows]
    assert main(["list", "--norms", "nothing"]) == 2
    small = spec(FOUND)
    assert restyled(small, GraphNorm(KNOWN["frn"])).name == "tiny-frn"
    with pytest.raises(UserError, match="says itself what follows it"):
        restyled(small, GraphNorm(KNOWN["frn"]), cs.Act.RELU)


def test_a_live_network_gets_the_graph_with_its_batch_norms_scale_and_shift() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    net.get_parameter("1.weight").data.fill_(2)
    done = operate(net, GraphNorm(FOUND), images=images(2))
    norms = [module for module in done.module.modules() if isinstance(module, GraphNorm2d)]
    assert done.replaced == 2 and len(norms) == 1  # behind the second stood no activation: it is affine
    assert bool((norms[0].weight == 2).all())
    with pytest.raises(UserError, match="takes batch_norm by its name alone"):
        operate(net, BatchNorm(), images=images(2))
