"""A search for a layer: what is refused and why, who descends from whom, and that it ends alike however often it is stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convsmith as cs
from commands import TINY, run, squares
from convsmith.arch import Act
from convsmith.data import ImageData
from convsmith.errors import UserError
from convsmith.graphs import B_SPACE, KNOWN, S_SPACE, NormGraph, drawn, read
from convsmith.jobs.norms.anchors import LARGER, TOYS
from convsmith.jobs.norms.begin import looked_at
from convsmith.jobs.norms.descent import Candidate, Descent, Gate, descended
from convsmith.jobs.norms.judging import FIRST_SEED, Against, Judged, against
from convsmith.jobs.norms.options import Choice, LayerSpace, NormSearchOptions
from convsmith.jobs.norms.prices import saved
from convsmith.jobs.norms.protocol import LayerProtocol
from convsmith.jobs.norms.rejection import ascended, probed
from convsmith.jobs.norms.store import LayerStore, Seen
from convsmith.jobs.norms.trying import BROKEN, Tried, Trier, wearing
from convsmith.layers import fingerprint
from convsmith.model import build
from convsmith.parts import BatchNorm, GraphNorm, NoNorm
from convsmith.runs import Kind, kind_of
from convsmith.tasks import Classify
from data_food import array_split
from farms import Here

# ---- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "macs_32", "macs_24"),
    [
        ("small-resnetv2", 1_482_266, 81.4, 45.8),
        ("small-mobilenetv2", 590_410, 26.3, 14.8),
        ("small-efficientnet", 1_077_932, 35.8, 20.2),
    ],
)
def test_the_larger_anchors_are_the_papers_networks_at_a_quarter_and_half_of_their_width(
    name: str, params: int, macs_32: float, macs_24: float
) -> None:
    """Counted once by hand, from the tables of the three networks; macs in millions to one decimal."""
    spec = next(one for one in LARGER if one.name == name)
    assert cs.cost(spec).params == params
    assert round(cs.cost(spec).macs / 1e6, 1) == macs_32
    assert round(cs.cost(spec.with_resolution(24)).macs / 1e6, 1) == macs_24


def test_the_toys_have_the_sizes_that_they_were_tried_with() -> None:
    assert [cs.cost(spec).params for spec in TOYS] == [24_538, 15_666, 20_563]
    assert [round(cs.cost(spec).macs / 1e6, 2) for spec in TOYS] == [0.48, 0.28, 0.32]


# ---- what is refused --------------------------------------------------------------------------------------------------


def look(graph: NormGraph) -> str:
    return probed(GraphNorm(graph, groups=4).build(32), LayerProtocol().gain)


@pytest.mark.parametrize("name", KNOWN)
def test_known_layers_pass_the_probe(name: str) -> None:
    assert look(KNOWN[name]) == ""


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("exp(exp(exp(x)))", "not finite"),
        ("x / v0", "too large a gain"),
        ("square(square(square(square(x))))", "too large a gain"),
        ("v0 * x", "constant"),
        ("max(v0, sigmoid(x)) * v0", "constant"),
        ("max(tanh(x), v1)", "constant"),
    ],
)
def test_the_probe_says_what_is_wrong(formula: str, reason: str) -> None:
    assert look(read(formula)) == reason


def test_the_probe_holds_gains_to_their_limits() -> None:
    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.factor

    found = [probed(Times(factor), (1e-4, 1e4)) for factor in (2e4, 5e3, 2e-4, 5e-5)]
    assert found == ["too large a gain", "", "", "too small a gain"]


@pytest.mark.parametrize("overs", [B_SPACE, S_SPACE], ids="BS")
def test_random_graphs_are_refused_in_known_shares(overs: tuple, tmp_path: Path) -> None:
    """Of 20,000: 68.0 % without x, 10.4 % no map, 2.4 % constant, 2.0 % beyond the gain, 16.6 % alive (S space within 0.6 of
    these). Three binomial standard deviations of 1,500 drawings, and 0.6 for the space."""
    store, protocol, rng, n = LayerStore(tmp_path / "seen.jsonl", "key"), LayerProtocol(), random.Random(2), 1500
    counts: dict[str, int] = {}
    for _ in range(n):
        graph = drawn(rng, overs=overs)
        reason = graph.dead or ("the identity" if graph.text == "x" else looked_at(graph, store, protocol).refused)
        counts[reason] = counts.get(reason, 0) + 1
    for reason, share in {
        "no x": 0.68,
        "no map": 0.104,
        "constant": 0.024,
        "too large a gain": 0.02,
        "": 0.166,
    }.items():
        assert abs(counts.get(reason, 0) / n - share) < 3 * (share * (1 - share) / n) ** 0.5 + 0.006, reason


@pytest.mark.parametrize("spec", TOYS, ids=lambda spec: spec.name)
def test_without_normalisation_the_gradient_explodes_and_with_it_it_does_not(spec: cs.ArchSpec) -> None:
    """Within 20 steps of an ascent, on blobs: noise without any shape says too little to the anchor with gates."""
    torch.manual_seed(0)
    images = 1.5 * F.interpolate(torch.randn(16, 3, 3, 3), size=16, mode="bilinear")
    labels = torch.arange(16) % 10
    protocol = LayerProtocol(ascent_steps=20)

    def climb(norm: cs.Norm, protocol: LayerProtocol) -> object:
        network = build(spec.with_style(norm=norm), seed=0)
        return ascended(network, lambda net: F.cross_entropy(net(images), labels), protocol)

    for wild in (NoNorm(act=Act.RELU), GraphNorm(KNOWN["relu"]), GraphNorm(KNOWN["identity"])):
        found = climb(wild, protocol)
        assert not found.stable and found.step <= 20
    calm = climb(BatchNorm(), LayerProtocol(ascent_steps=6))
    assert calm.stable and calm.largest < 1e3


def test_the_gate_asks_the_cheapest_first_and_lets_one_of_each_function_pass() -> None:
    asked: list[str] = []

    def look(graph: NormGraph) -> Seen:
        asked.append(graph.text)
        prints = fingerprint(graph)
        return Seen("", prints.exact, prints.standardised)

    gate = Gate(look)
    written = {
        "mean_batch(v1)": "no x",
        "mean_layer(x)": "no map",
        "-(-x)": "the identity",
        "max(x, 0)": "tried",
        "max(x, 0) + max(x, 0)": "the same function",
        "x * sigmoid(x)": "tried",
        "x / (v1 / sigmoid(x))": "the same up to scale and shift",
        "max(x, 0) + v1": "the same up to scale and shift",
    }
    for formula, reason in written.items():
        before = gate.counts[reason]
        assert gate.admits(Candidate.of(read(formula))) is (reason == "tried"), formula
        assert gate.counts[reason] == before + 1, (formula, gate.counts)
    assert len(asked) == len(written) - 3


# ---- descent ----------------------------------------------------------------------------------------------------------


def small(**changes: object) -> NormSearchOptions:
    settings = {"layers": 120, "population": 12, "tournament": 4, "offspring": 8} | changes
    return NormSearchOptions(**settings)  # type: ignore[arg-type]


def by_text(graph: NormGraph) -> Seen:
    return Seen("", graph.text, "")


def table(graphs: Sequence[NormGraph]) -> list[Tried]:
    """In place of training: the fewer primitives the better, and nothing with a quotient learns."""
    return [
        Tried(refused="learns too little", anchor="a")
        if "div" in graph.text
        else Tried((-graph.complexity, -len(graph.text)))
        for graph in graphs
    ]


@pytest.mark.parametrize("choice", Choice)
def test_with_a_table_for_training_the_best_is_found_and_nothing_is_tried_twice(choice: Choice) -> None:
    seen: list[str] = []

    def try_(graphs: Sequence[NormGraph]) -> list[Tried]:
        seen.extend(graph.text for graph in graphs)
        return table(graphs)

    how = small(choice=choice, start=("silu", "bn-silu"))
    found = descended(how, Gate(by_text), try_, 0)
    assert len(seen) == len(set(seen)) == len(found.layers) >= how.layers
    assert found.kept[0].graph.complexity == 1, "no layer has fewer primitives than one"
    assert not any("div" in one.text for one in found.kept) and found.refused["learns too little"] > 0
    assert found.drawn["tried"] == len(found.layers)
    assert [one.number for one in found.layers] == list(range(1, len(found.layers) + 1))


def test_the_same_seed_is_the_same_search_and_what_was_known_is_not_asked_again() -> None:
    known: dict[str, Tried] = {}
    dear: list[str] = []

    def try_(graphs: Sequence[NormGraph]) -> list[Tried]:
        new = [graph for graph in graphs if graph.text not in known]
        dear.extend(graph.text for graph in new)
        known.update((graph.text, own) for graph, own in zip(new, table(new), strict=True))
        return [known[graph.text] for graph in graphs]

    start = ("silu", "gn-silu")
    stopped = descended(small(layers=40, start=start), Gate(by_text), try_, 3)
    before = len(dear)
    whole = descended(small(start=start), Gate(by_text), try_, 3)
    assert whole.layers[: len(stopped.layers)] == stopped.layers
    assert len(dear) == len(whole.layers) > before
    assert descended(small(start=start), Gate(by_text), table, 3) == whole
    assert descended(small(start=start), Gate(by_text), table, 4) != whole


def test_every_layer_descends_from_the_start_by_mutations_of_one_gene() -> None:
    found = descended(small(start=("bn-relu",)), Gate(by_text), lambda graphs: [Tried((1.0, 1.0))] * len(graphs), 0)
    for one in found.layers[-20:]:
        line = found.line(one.text)
        assert line[0].text == KNOWN["bn-relu"].text and line[-1] == one
        assert [child.parent for child in line[1:]] == [parent.text for parent in line[:-1]]
        assert all(a.generation < b.generation for a, b in pairwise(line))


def test_space_s_never_looks_over_the_batch_and_refuses_a_start_that_does() -> None:
    how = small(space=LayerSpace.S)
    found = descended(how, Gate(by_text), table_of_all, 0)
    assert not any("batch" in one.text for one in found.layers)
    with pytest.raises(cs.UserError, match=r"bn-relu takes a moment over the batch.*begin with gn-relu"):
        small(space=LayerSpace.S, start=("bn-relu",))


def table_of_all(graphs: Sequence[NormGraph]) -> list[Tried]:
    return [Tried((float(len(graph.text)), 1.0)) for graph in graphs]


def test_a_search_may_begin_with_nothing() -> None:
    found = descended(small(start=("random",), layers=10), Gate(by_text), table_of_all, 0)
    assert found.layers and all(one.generation == 0 for one in found.layers)


def test_a_start_that_does_not_learn_is_told_with_its_reasons() -> None:
    def never(graphs: Sequence[NormGraph]) -> list[Tried]:
        return [Tried(refused="unstable", anchor="toy")] * len(graphs)

    with pytest.raises(cs.UserError, match=r"none of the 4 layers to begin with passes \(4 unstable in toy\)"):
        descended(small(), Gate(by_text), never, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": ("bn-rellu",)}, "no known layer; did you mean 'bn-relu'"),
        ({"anchors": ()}, "in one network at least"),
        ({"layers": 0}, "layers must be at least 1"),
    ],
)
def test_wrong_options_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(cs.UserError, match=said):
        small(**changes)
    with pytest.raises(ValueError, match="a gain of 1 has to lie between"):
        LayerProtocol(gain=(2.0, 1e4))


# ---- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"[1]\n[2]\n", b"file,label\n", bytes(range(255, 0, -1))])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "photos.csv"
    path.write_bytes(text)
    with pytest.raises(UserError, match="holds something else than scores of layers"):
        LayerStore(path, "one")
    assert path.read_bytes() == text


def test_the_store_outlives_a_killed_process_and_leaves_other_searches_alone(tmp_path: Path) -> None:
    path = tmp_path / "layers.jsonl"
    store = LayerStore(path, "one")
    store.see("max(0,x)", Seen("", "ab", "cd"))
    store.try_("max(0,x)", Tried((0.25, 0.5)))
    store.try_("tanh(x)", Tried((), "unstable", "toy", float("inf")))
    store.try_("x", Tried((), BROKEN, "out of memory"))
    assert store.tried.pop("x").refused == BROKEN  # and tried again another time
    other = LayerStore(path, "two")
    assert not other.seen and not other.tried
    other.try_("tanh(x)", Tried((0.1, 0.1)))
    with path.open("a") as file:
        file.write('{"key": "one", "layer": "x", "tr')
    again = LayerStore(path, "one")
    assert (again.seen, again.tried) == (store.seen, store.tried)
    assert LayerStore(path, "two").tried == other.tried
    assert path.read_text().endswith("}\n")


def test_a_score_belongs_to_all_that_it_depends_on() -> None:
    images = ImageData("noise", ("a", "b"), array_split(40), array_split(12), "")
    others = ImageData("noise", ("a", "b"), array_split(40), array_split(14), "")
    keys = [
        LayerProtocol().key(TOYS, images),
        LayerProtocol(steps=50).key(TOYS, images),
        LayerProtocol(groups=2).key(TOYS, images),
        LayerProtocol().key(TOYS[:2], images),
        LayerProtocol().key(TOYS, others),
    ]
    assert len(set(keys)) == len(keys)


def test_steps_are_one_epoch_of_some_images_or_several_of_few() -> None:
    many = ImageData("noise", ("a", "b"), array_split(90), array_split(12), "")
    few, recipe = LayerProtocol(steps=5, batch=8).shown(many)
    assert (len(few.train), recipe.epochs, recipe.rate) == (40, 1, pytest.approx(0.1 * 32))
    whole, recipe = LayerProtocol(steps=5, batch=8).shown(many, times=10)
    assert (len(whole.train), recipe.epochs) == (90, 5)  # 11 steps an epoch
    assert LayerProtocol().least(10) == pytest.approx(0.2)


# ---- verdicts ---------------------------------------------------------------------------------------------------------


def results(found: Sequence[float | None], rival: Sequence[float | None]) -> list[Judged]:
    return [
        Judged(name, network, tuple(own)) for network in ("n", "m") for name, own in (("found", found), ("BN", rival))
    ]


@pytest.mark.parametrize(
    ("found", "rival", "verdict"),
    [
        ([0.52, 0.53, 0.54], [0.5, 0.51, 0.52], "better"),
        ([0.50, 0.51, 0.52], [0.52, 0.53, 0.54], "worse"),
        ([0.500, 0.511, 0.520], [0.5, 0.51, 0.521], "equal"),
        ([0.50, 0.60, 0.52], [0.55, 0.51, 0.52], "not told apart"),
        ([0.6], [0.5], "not told apart"),  # one seed has no interval
    ],
)
def test_a_verdict_is_where_the_interval_of_the_paired_differences_lies(
    found: list[float | None], rival: list[float | None], verdict: str
) -> None:
    (one,) = against(results(found, rival), ["n", "m"], 0.01)
    assert (one.rival, one.verdict, one.seeds) == ("BN", verdict, len(found))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("better", "better than BN"),
        ("worse", "worse than BN"),
        ("equal", "equal to BN"),
        ("not told apart", "not told apart from BN"),
    ],
)
def test_a_verdict_reads_as_a_sentence(verdict: str, said: str) -> None:
    assert Against("BN", 0.01, None, 1, verdict).said == said


def test_an_interval_of_differences_ends_where_differences_of_shares_do() -> None:
    (one,) = against(results([0.1, 1.0], [0.9, 0.1]), ["n", "m"], 0.01)
    assert one.interval == (-1, 1) and one.ends == "-100.00 to +100.00" and one.verdict == "not told apart"


def test_a_seed_whose_training_failed_counts_on_neither_side() -> None:
    (one,) = against(results([0.6, None, 0.6, 0.61], [0.5, 0.9, 0.5, 0.51]), ["n", "m"], 0.01)
    assert one.seeds == 3 and one.mean == pytest.approx(0.1)


def test_what_is_kept_for_the_backward_pass_is_counted_in_inputs() -> None:
    assert saved(nn.ReLU()) == 1  # its output
    assert saved(nn.Sequential(nn.Sigmoid(), nn.Tanh())) == 2


# ---- the whole --------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without processes, and without waiting for clocks."""
    monkeypatch.setattr("convsmith.jobs.norms.begin.Farm", Here)
    monkeypatch.setattr("convsmith.jobs.studies.trials.Farm", Here)
    monkeypatch.setattr("convsmith.jobs.norms.prices.ROUNDS", 1)


TINY_SPEC = cs.from_json(Path(TINY).read_text(encoding="utf-8"))
HOW = NormSearchOptions(
    layers=6,
    population=4,
    tournament=2,
    offspring=3,
    start=("bn-relu", "gn-silu"),
    anchors=(TINY_SPEC,),
    others=(TINY_SPEC.with_resolution(8),),
    finalists=2,
    longer=1,
    seeds=1,
    protocol=LayerProtocol(steps=3, batch=8, ascent_steps=1, ascent_images=4, learnt=0.0),
)


def test_a_search_that_was_killed_ends_as_one_that_was_not(
    at_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = squares(tmp_path, per_class=20)
    whole = cs.search_norms(data, out=tmp_path / "whole", how=HOW)
    assert kind_of(tmp_path / "whole") is Kind.NORMS
    assert len(whole.descent.layers) >= 6 and len(whole.against) == 4 and whole.report.is_file()
    layer = (tmp_path / "whole/layer.json").read_text()
    assert json.loads(layer)["kind"] == "graph_norm"
    page = whole.report.read_text()
    assert all(said in page for said in ("Held against known layers", "Descent", "The best, trained longer"))

    stopped = tmp_path / "stopped"
    stopped.mkdir()
    lines = (tmp_path / "whole/layers.jsonl").read_text().splitlines()
    (stopped / "layers.jsonl").write_text("\n".join(lines[: len(lines) // 2]) + "\n" + lines[-1][:20])
    for folder in ("reranked", "judged"):
        (stopped / folder).mkdir()
        for one in sorted((tmp_path / "whole" / folder).glob("*.json"))[1:]:
            (stopped / folder / one.name).write_bytes(one.read_bytes())
    monkeypatch.setattr("convsmith.jobs.norms.begin.written", lambda found, command: found.report)  # drawn once already
    cs.search_norms(data, out=stopped, how=HOW)
    assert (stopped / "study.json").read_text() == (tmp_path / "whole/study.json").read_text()
    assert sorted((stopped / "layers.jsonl").read_text().splitlines()) == sorted(lines)


def test_what_judges_has_chosen_nothing(tmp_path: Path) -> None:
    from convsmith.jobs.norms.begin import planned
    from convsmith.jobs.options import Options
    from convsmith.watcher import Watcher

    plan = planned(squares(tmp_path, per_class=20), HOW, Options(), Watcher())
    parts = [plan.parts.train, plan.parts.val, plan.images.val]
    rows = [{plan_part.inputs.decode(i).numpy().tobytes() for i in range(len(plan_part))} for plan_part in parts]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 40
    assert HOW.protocol.seed < FIRST_SEED


def test_a_layer_that_breaks_is_refused_and_ends_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    images = ImageData("noise", ("a", "b"), array_split(40, side=12), array_split(12, side=12), "")
    trier = Trier((TINY_SPEC.with_classes(2),), images, Classify(), HOW.protocol)
    known = trier(KNOWN["bn-relu"])
    assert known.scores and trier(KNOWN["bn-relu"]) == known
    monkeypatch.setattr("convsmith.jobs.norms.trying.train_one", lambda *given: 1 / 0)
    broken = trier(KNOWN["bn-relu"])
    assert (broken.refused, broken.anchor, broken.scores) == (BROKEN, "division by zero", ())
    wild = trier(read("x / v0"))
    assert wild.refused == "unstable" and not wild.scores
    assert trier.protocol.groups == wearing(TINY_SPEC, KNOWN["gn-relu"], trier.protocol).style.norm.groups


def test_the_command_line_searches_rehearses_and_refuses(
    at_once: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data, place = str(squares(tmp_path, per_class=20)), str(tmp_path / "found")
    told = [data, "--anchor", TINY, "--judge", TINY, "--layers", "3", "--steps", "2", "--out", place]
    told += ["--finalists", "1", "--longer", "1", "--seeds", "1", "--start", "silu"]
    code, out, _ = run(capsys, "search", "norms", *told, "--dry-run")
    assert code == 0 and "a night of 10 hours allows about" in out and not Path(place).exists()
    code, _, err = run(capsys, "search", "norms", "--to", "2M-macs")
    assert code == 2 and "given as ./norms" in err
    code, _, err = run(capsys, "search", "./norms", "--to", "2M-macs")
    assert code == 2 and "norms" in err and "search norms" not in err
    code, _, err = run(capsys, "search", "norms", data, "--start", "bn-rellu")
    assert code == 2 and "did you mean 'bn-relu'" in err


def test_a_descent_knows_its_best_first() -> None:
    found = descended(small(layers=20, start=("silu",)), Gate(by_text), table_of_all, 0)
    assert isinstance(found, Descent)
    means = [one.came_to.mean for one in found.kept]
    assert means == sorted(means, reverse=True)
