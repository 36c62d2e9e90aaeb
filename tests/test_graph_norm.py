"""A graph as a layer: golden values, equality with the layers it says, statistics, gradients, precision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convsmith.graphs import KNOWN, NormGraph, Op, read
from convsmith.graphs.expression import Expression
from convsmith.layers import Affine2d, EvoNormB, EvoNormKind, EvoNormS, GraphNorm2d, fingerprint
from convsmith.layers.evonorm import evonorm
from convsmith.layers.graph_program import Program
from convsmith.parts import GraphNorm
from graph_layers import GOLDEN, LAYERS, NESTED, alive, layer, maps, of_genome, waves

TRAINED, EVALUATED = ((1.5, 0.7, 0.3), (0.25, 1.9, torch.pi / 2)), ((1.2, 0.5, 1.0),)


def close(one: Tensor, other: Tensor, within: float) -> None:
    """Relative to the largest number."""
    one, other = one.detach(), other.detach()
    assert one.shape == other.shape
    assert float((one - other).abs().max()) <= within * max(1.0, float(other.abs().max()))


# ---- golden values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_golden_layers_in_training_and_evaluation(name: str) -> None:
    golden, shape = LAYERS[name], GOLDEN["shape"]
    made = GraphNorm2d(of_genome(golden["genome"]), shape[1], groups=2).double()
    with torch.no_grad():  # of single precision, as they were there
        for own, theirs in (("weight", "gamma"), ("bias", "beta"), ("v0", "v0"), ("v1", "v1")):
            if (parameter := dict(made.named_parameters()).get(own)) is not None:
                parameter.copy_(torch.tensor(GOLDEN["parameters"][theirs], dtype=torch.float32))
    count = 2 * 4 * 2 * 3
    x = waves(count, *TRAINED).view(shape).requires_grad_()
    out = made(x)
    (out * waves(count, (1.0, 0.3, torch.pi / 2)).view(shape)).sum().backward()
    found = [(out, golden["train"]), (x.grad, golden["grad_x"])]
    kept = dict(made.named_buffers())
    assert list(kept) == [f"stat{index}" for index in range(len(golden["buffers_after_one_step"]))]
    found += zip(kept.values(), golden["buffers_after_one_step"].values(), strict=True)
    found.append((made.eval()(waves(count, *EVALUATED).view(shape) + 0.4), golden["eval"]))
    for own, numbers in found:
        assert own is not None
        close(own.detach().flatten(), torch.tensor(numbers, dtype=torch.float64), 1e-9)  # written with ten digits


@pytest.mark.parametrize("case", GOLDEN["guards"], ids=lambda case: case["op"])
def test_golden_guards(case: dict[str, Any]) -> None:
    x = Expression.leaf("x")
    args = (x, Expression.leaf("v0")) if case["op"] == "div" else (x,)
    program = Program(NormGraph.of(Expression.of(Op(case["op"]), args)), 1e-5)
    leaves = {"x": torch.tensor(case["x"], dtype=torch.float64).view(1, -1, 1, 1)}
    if "y" in case:
        leaves["v0"] = torch.tensor(case["y"], dtype=torch.float64).view(1, -1, 1, 1)
    values, _ = program.reckoned(leaves, 1)
    close(values[program.last].flatten(), torch.tensor(case["out"], dtype=torch.float64), 1e-9)  # ten digits


# ---- the layers that graphs say --------------------------------------------------------------------------------------


def batch_normed(x: Tensor, made: GraphNorm2d) -> Tensor:
    return F.batch_norm(x, None, None, made.v1, made.v0, training=True)


def group_normed(x: Tensor, made: GraphNorm2d, groups: int | None = None) -> Tensor:
    return F.group_norm(x, made.groups if groups is None else groups, made.v1, made.v0)


def frn(x: Tensor, made: GraphNorm2d) -> Tensor:
    assert made.v0 is not None
    return torch.maximum(x / (x.square().mean((2, 3), keepdim=True) + 1e-5).sqrt(), made.v0[:, None, None])


CORES: dict[str, Callable[[Tensor, Any], Tensor]] = {
    "bn-relu": lambda x, made: batch_normed(x, made).relu(),
    "bn-relu-outside": lambda x, made: torch.maximum(
        F.batch_norm(x, None, None, training=True), made.v0[:, None, None]
    ),
    "bn-silu": lambda x, made: F.silu(batch_normed(x, made)),
    "gn-relu": lambda x, made: group_normed(x, made).relu(),
    "gn-silu": lambda x, made: F.silu(group_normed(x, made)),
    "in-relu": lambda x, made: group_normed(x, made, x.shape[1]).relu(),
    "ln-relu": lambda x, made: group_normed(x, made, 1).relu(),
    "frn": frn,
    "relu": lambda x, made: x.relu(),
    "silu": lambda x, made: F.silu(x),
    "tanh": lambda x, made: x.tanh(),
    "identity": lambda x, made: x,
}


@pytest.mark.parametrize("name", CORES)
def test_known_graphs_are_torchs_layers_in_outputs_and_gradients(name: str) -> None:
    made, x = layer(KNOWN[name]), maps(4, 8, 5, 3)
    with torch.no_grad():
        made.weight.abs_()

    def theirs(x: Tensor) -> Tensor:
        return CORES[name](x, made) * made.weight[:, None, None] + made.bias[:, None, None]

    toward = maps(4, 8, 5, 3, seed=1)
    found = []
    for ask in (made, theirs):
        own = x.clone().requires_grad_()
        out = ask(own)
        inputs = (own, *made.parameters())
        found.append((out, *torch.autograd.grad((out * toward).sum(), inputs)))
    for one, other in zip(*found, strict=True):
        close(one, other, 1e-12)  # sums of some dozens of doubles


@pytest.mark.parametrize("kind", EvoNormKind)
@pytest.mark.parametrize("training", [True, False])
def test_evonorms_are_the_layers_that_we_have(kind: EvoNormKind, training: bool) -> None:
    made = layer(KNOWN[f"evonorm-{kind}"])
    own = evonorm(kind, 8, groups=4).double()
    given = {"weight": made.weight, "bias": made.bias} | ({"v": made.v1} if made.v1 is not None else {})
    own.load_state_dict(given, strict=False)  # its running variance is 1, as is the graph's
    assert isinstance(own, EvoNormB if kind.batch else EvoNormS)
    x = maps(4, 8, 5, 3)
    outs = []
    for one in (made.train(training), own.train(training)):
        leaf = x.clone().requires_grad_()
        out = one(leaf)
        vectors = dict(one.named_parameters())
        wanted = (leaf, vectors["weight"], vectors["bias"], *(v for n, v in vectors.items() if n in ("v", "v1")))
        outs.append((out, *torch.autograd.grad((out * maps(4, 8, 5, 3, seed=1)).sum(), wanted)))
    for one_, other in zip(*outs, strict=True):
        close(one_, other, 1e-12)
    if kind.batch and training:
        close(made.get_buffer("stat0"), own.get_buffer("running_var"), 1e-12)


def test_the_part_builds_an_evonorm_where_its_graph_says_one() -> None:
    for kind in EvoNormKind:
        made = GraphNorm(KNOWN[f"evonorm-{kind}"], groups=3, eps=1e-3).build(8)
        assert isinstance(made, EvoNormB | EvoNormS) and made.kind is kind and made.eps == 1e-3
    assert isinstance(GraphNorm(KNOWN["frn"]).build(8), GraphNorm2d)


def test_fifty_steps_of_training_are_those_of_batch_norm() -> None:
    """A small network from equal weights; the running variance is the population's, torch's n / (n - 1) times that."""
    torch.manual_seed(0)
    graph = nn.Sequential(nn.Conv2d(3, 8, 3), layer(KNOWN["bn-relu"]), nn.Flatten(), nn.Linear(8 * 16, 4)).double()
    norm = graph[1]
    assert isinstance(norm, GraphNorm2d) and norm.v0 is not None and norm.v1 is not None
    norm.weight.data.fill_(1).requires_grad_(False)
    norm.bias.data.zero_().requires_grad_(False)
    torchs = nn.BatchNorm2d(8).double()
    torchs.load_state_dict({"weight": norm.v1, "bias": norm.v0}, strict=False)
    plain = nn.Sequential(copy.deepcopy(graph[0]), torchs, nn.ReLU(), nn.Flatten(), copy.deepcopy(graph[3]))
    pairs = ((graph, [norm.v1, norm.v0]), (plain, [torchs.weight, torchs.bias]))
    optimisers = [
        torch.optim.SGD([*net[0].parameters(), *own, *net[-1].parameters()], lr=0.05, momentum=0.9)
        for net, own in pairs
    ]
    for step in range(50):
        x, y = maps(6, 3, 6, 6, seed=step), torch.arange(6) % 4
        for (net, _), optimiser in zip(pairs, optimisers, strict=True):
            optimiser.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimiser.step()
    n = 6 * 4 * 4
    for one, other in zip(
        [*graph[0].parameters(), norm.v1, norm.v0], [*plain[0].parameters(), torchs.weight, torchs.bias], strict=True
    ):
        close(one, other, 1e-12)  # rounding of doubles, fifty steps long
    assert torchs.running_mean is not None and torchs.running_var is not None
    close(norm.get_buffer("stat0"), torchs.running_mean, 1e-12)
    kept = 0.9**50  # of the ones that both begin with
    close((norm.get_buffer("stat1") - kept) * n / (n - 1) + kept, torchs.running_var, 1e-12)


# ---- laws ------------------------------------------------------------------------------------------------------------


def raw_value(graph: NormGraph, leaves: dict[str, Tensor]) -> Tensor:
    """The genome reckoned as it stands: every node of full shape, every guard in its place, plain two-pass moments."""
    n, c, h, w = leaves["x"].shape
    nodes = [leaves["x"], torch.zeros_like(leaves["x"]), *(leaves[name].expand(n, c, h, w) for name in ("v0", "v1"))]
    delta, groups = 1e-6, 4

    def moment(op: Op, value: Tensor, over: str) -> Tensor:
        axes = {"batch": (0, 3, 4), "instance": (3, 4), "layer": (1, 2, 3, 4), "group": (2, 3, 4)}[over]
        rows = value.unflatten(1, (groups, c // groups))
        mean = rows.mean(axes, keepdim=True)
        if op is not Op.MEAN:
            rows = rows - mean if op is Op.STD else rows
            mean = (rows.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        return mean.expand(n, groups, c // groups, h, w).flatten(1, 2)

    def guarded(y: Tensor) -> Tensor:
        return torch.where(y.abs() < delta, torch.where(y < 0, -delta, delta), y)

    plain: dict[Op, Callable[..., Tensor]] = {
        Op.ADD: torch.add, Op.MUL: torch.mul, Op.MAX: torch.maximum, Op.DIV: lambda a, b: a / guarded(b),
        Op.NEG: torch.neg, Op.ABS: torch.abs, Op.SQUARE: torch.square, Op.SIGMOID: torch.sigmoid, Op.TANH: torch.tanh,
        Op.EXP: torch.exp, Op.LOG: lambda a: a.sign() * a.abs().clamp_min(delta).log(),
        Op.SQRT: lambda a: a.sign() * a.abs().clamp_min(delta).sqrt(),
    }  # fmt: skip
    for gene in graph.genes:
        if gene.over is not None:
            nodes.append(moment(gene.op, nodes[gene.a], gene.over))
        else:
            nodes.append(plain[gene.op](*(nodes[read] for read in (gene.a, gene.b) if read is not None)))
    return nodes[-1]


def test_simplified_and_shared_and_small_is_what_the_genes_say() -> None:
    """Simplification, sharing of moments, axes of one value and missing guards change nothing but rounding."""
    x = maps(3, 8, 4, 2)
    vectors = {"v0": waves(8, (0.7, 1.3, 0.2)).view(1, 8, 1, 1), "v1": 1 + waves(8, (0.4, 2.1, 1.0)).view(1, 8, 1, 1)}
    compared = 0
    for graph in (*alive(400), *KNOWN.values(), NESTED):
        whole = raw_value(graph, {"x": x} | vectors)
        values, _ = (program := Program(graph, 1e-5)).reckoned({"x": x} | vectors, 4)
        if not bool(whole.isfinite().all()) or float(whole.abs().max()) > 1e8:
            continue  # what overflows on the way may do so in one order and not in another
        close(values[program.last].expand_as(x), whole, 1e-9)  # quotients by differences magnify rounding
        compared += 1
    assert compared > 350


def test_groups_of_all_channels_are_the_layer_and_of_one_the_instance() -> None:
    x = maps(3, 8, 4, 2)
    for said in ("(x - mean_group(x)) / std_group(x)", "x * sigmoid(x) / rms_group(x)"):
        for groups, over in ((1, "layer"), (8, "instance")):
            one = GraphNorm2d(read(said), 8, groups=groups).double()
            other = GraphNorm2d(read(said.replace("group", over)), 8, groups=4).double()
            close(one(x), other(x), 1e-12)


@pytest.mark.parametrize("name", KNOWN)
def test_images_do_not_see_one_another_but_in_a_batch_layers_training(name: str) -> None:
    made, x = layer(KNOWN[name]), maps(4, 8, 5, 3)
    other = torch.cat([x[:1] * 3 + 1, x[1:]])
    apart = float((made(x)[1:] - made(other)[1:]).detach().abs().max())
    assert (apart > 1e-3) is KNOWN[name].batch
    close(made.eval()(other)[1:], made(x)[1:], 1e-12)
    close(made(x[1:2]), made(x)[1:2], 1e-12)


def test_gradients_of_any_order_are_those_of_differences() -> None:
    x = maps(2, 4, 2, 2).requires_grad_()
    for name in ("bn-relu", "bn-silu", "gn-silu", "frn", *(f"evonorm-{kind}" for kind in EvoNormKind)):
        made = layer(KNOWN[name], 4, groups=2, momentum=0.0)  # or the buffers would move
        assert torch.autograd.gradcheck(made, (x,)), name
        if name in ("bn-silu", "evonorm-b0"):
            assert torch.autograd.gradgradcheck(made, (x,)), name


# ---- running statistics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [KNOWN["bn-silu"], KNOWN["evonorm-b1"], NESTED], ids=["bn-silu", "b1", "nested"])
def test_evaluation_goes_to_training_as_the_statistics_do(graph: NormGraph) -> None:
    made, x = layer(graph), maps(4, 8, 5, 3)
    begun = {name: buffer.clone() for name, buffer in made.named_buffers()}
    at_once = layer(graph, momentum=1.0)
    want = at_once(x)
    close(at_once.eval()(x), want, 1e-12)
    for _ in range(7):
        made(x)
    for name, buffer in made.named_buffers():
        close(buffer, at_once.get_buffer(name) * (1 - 0.9**7) + begun[name] * 0.9**7, 1e-12)


def test_statistics_of_what_has_no_channels_are_one_number() -> None:
    made = GraphNorm2d(read("x / std_batch(mean_layer(x))"), 8, groups=4)
    assert made.get_buffer("stat0").shape == (1,)
    made(maps(4, 8, 5, 3).float())
    assert float(made.get_buffer("stat0")) != 1.0


def test_what_only_batch_moments_read_is_not_computed_in_evaluation() -> None:
    made = layer(NESTED)
    made(maps(4, 8, 5, 3))
    before = made.eval()(maps(4, 8, 5, 3))
    with torch.no_grad():  # only the argument of the inner moments reads v1
        assert made.v1 is not None
        made.v1.mul_(5)
    close(made(maps(4, 8, 5, 3)), before, 0.0)


# ---- precision, fingerprints, the part -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_reckoned_in_single(dtype: torch.dtype) -> None:
    """A map far from 0: squares of half-precision numbers would be beyond their range, and means lose their digits."""
    for name in ("bn-silu", "evonorm-b0", "frn"):
        made, x = GraphNorm2d(KNOWN[name], 8, groups=4), (maps(4, 8, 5, 3) + 300).to(dtype)
        assert made(x).dtype == dtype
        own = made(x.float())
        close(made(x).float(), own, 2 * torch.finfo(dtype).eps)  # of the result alone
        with torch.autocast("cpu", torch.bfloat16):
            close(made(x.float()), own, 1e-6)


def test_fingerprints_tell_functions_apart_and_not_their_texts() -> None:
    one, other = read("max(x, 0) - max(v0, x)"), read("max(0, x) - max(x, v0)")
    assert fingerprint(one) == fingerprint(other)
    # (-a) b = -(a b) is a rule, x / v1 * v1 = x is none; both are one function where no guard fires.
    same, twice = fingerprint(read("x / v1 * v1")), fingerprint(read("tanh(x) - x + x"))
    assert same.exact == fingerprint(KNOWN["identity"]).exact
    assert twice.exact == fingerprint(KNOWN["tanh"]).exact
    shifted, plain = fingerprint(read("v0 - tanh(x) * v1")), fingerprint(KNOWN["tanh"])
    assert shifted.exact != plain.exact and shifted.standardised == plain.standardised
    assert fingerprint(read("exp(exp(exp(exp(x + x))))")).exact == ""
    prints = [fingerprint(graph) for graph in KNOWN.values()]
    assert len({one.exact for one in prints}) == len(KNOWN)


def test_the_part_is_its_layer() -> None:
    one = GraphNorm(KNOWN["evonorm-s1"])
    other = GraphNorm(read("x * sigmoid(x) / std_group(x)"))
    assert one == other and hash(one) == hash(other) and one.describe() == "sigmoid(x) * x / std_group(x)"
    assert len(one.graph.genes) == 4
    assert isinstance(one.build(8, activate=False), Affine2d)
    zero = GraphNorm(KNOWN["frn"]).build(6, zero=True)
    assert isinstance(zero, GraphNorm2d) and zero.groups == 6 and not bool(zero.weight.any())
    assert one.for_pixels(32).groups == 4 and one.with_eps(1e-3).eps == 1e-3


@pytest.mark.parametrize(("said", "dead"), [("v0 + v1", "no x"), ("std_batch(x)", "no map")])
def test_a_dead_layer_is_no_part(said: str, dead: str) -> None:
    with pytest.raises(ValueError, match=f"graph_norm.graph puts out {dead}"):
        GraphNorm(read(said))
    with pytest.raises(ValueError, match="do not split"):
        GraphNorm2d(KNOWN["frn"], 6, groups=4)
