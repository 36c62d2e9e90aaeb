"""A layer as a graph: identity, simplification, formulas, draws. Values without torch."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from convsmith.codec import from_json, to_json
from convsmith.errors import UserError
from convsmith.graphs import (
    B_SPACE,
    KNOWN,
    S_SPACE,
    Gene,
    NormGraph,
    Op,
    Over,
    drawn,
    equation,
    formula,
    latex,
    mutated,
    read,
)
from convsmith.graphs.bounds import DELTA, least
from convsmith.graphs.expression import Expression
from graph_layers import GOLDEN, LAYERS, NAMES, alive, of_genome

# ---- published and independent identities ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_golden_layers_have_their_text_key_formula_and_complexity(name: str) -> None:
    golden = LAYERS[name]
    graph = of_genome(golden["genome"])
    assert (graph.text, graph.key, formula(graph)) == (golden["text"], golden["key"], golden["formula"])
    assert (len(graph.active), graph.complexity, graph.batch) == (
        golden["active_genes"],
        golden["distinct_nodes"],
        golden["batch_dependent"],
    )
    known = NAMES.get(name, name.replace("_", "-"))
    if known in KNOWN:
        assert KNOWN[known].key == golden["key"]


def test_every_known_graph_but_for_the_identity_has_a_golden_layer() -> None:
    assert {NAMES.get(name, name.replace("_", "-")) for name in LAYERS} >= set(KNOWN)
    assert len({graph.key for graph in KNOWN.values()}) == len(KNOWN)


@pytest.mark.parametrize("pair", GOLDEN["same_or_not"], ids=lambda pair: pair["why"])
def test_what_is_the_same_layer_and_what_is_not(pair: dict[str, object]) -> None:
    graph = of_genome(pair["genome"])  # type: ignore[arg-type]
    assert graph.text == pair["text"]
    assert (graph.key == LAYERS[str(pair["layer"])]["key"]) is pair["same_key"]


@pytest.mark.parametrize("case", GOLDEN["simplified"], ids=lambda case: case["expression"])
def test_golden_simplifications(case: dict[str, object]) -> None:
    assert of_genome(case["genome"]).text == case["text"]  # type: ignore[arg-type]


def test_formulas_of_found_layers_are_those_that_independent_code_prints() -> None:
    for said, genome in GOLDEN["formulas"]:
        assert formula(of_genome(genome)) == said


# ---- laws ------------------------------------------------------------------------------------------------------------


def test_simplified_graphs_are_fixed_points_and_every_text_leads_back() -> None:
    rng = random.Random(5)
    for graph in (*(drawn(rng) for _ in range(400)), *KNOWN.values()):
        assert graph.simplified.text == graph.text
        assert graph.simplified.simplified == graph.simplified
        assert graph.complexity <= len(graph.active)
        for said in (graph.text, formula(graph), equation(graph)):
            assert read(said).text == graph.text, said


def test_what_is_used_twice_is_named_and_written_once() -> None:
    said = equation(KNOWN["bn-silu"])
    assert said == "a = (x - mean_batch(x)) / std_batch(x) * v1 + v0;  a * sigmoid(a)"
    assert latex(KNOWN["evonorm-s0"]) == (r"\frac{s\left(v_1 \, x\right) \, x}{\sigma_{\mathrm{group}}\left(x\right)}")
    for graph in alive(100):  # braces and brackets are those of mathematics: each is closed
        counts = Counter(latex(graph))
        assert counts["{"] == counts["}"] and latex(graph).count(r"\left") == latex(graph).count(r"\right")


def test_sums_of_sums_keep_their_brackets() -> None:
    """Sums are read from the left, and floating-point sums in another order are other numbers."""
    one, two = read("x + (v0 + v1)"), read("x + v0 + v1")
    assert one.text != two.text
    assert formula(one) == "v0 + v1 + x" and formula(two) == "v0 + x + v1"
    assert formula(read("x * (v0 / v1)")) == "v0 / v1 * x" and formula(read("x / (v0 / v1)")) == "x / (v0 / v1)"


def test_json_is_a_list_of_genes_and_leads_back() -> None:
    for graph in (*KNOWN.values(), *alive(20)):
        assert from_json(NormGraph, to_json(graph), ()) == graph
    gene = Gene(Op.STD, 0, over=Over.BATCH)
    assert json.loads(to_json(NormGraph((gene,)))) == {"genes": [{"op": "std", "a": 0, "over": "batch"}]}


# ---- draws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("space", "overs"), [("B", B_SPACE), ("S", S_SPACE)])
def test_shares_of_random_graphs_are_those_that_independent_code_found(space: str, overs: tuple[Over, ...]) -> None:
    """Shares of 20,000 there. Of 4,000 here three standard deviations are 2.4 points at most, and 1.0 there."""
    rng = random.Random(1)
    graphs = [drawn(rng, overs=overs) for _ in range(4000)]
    golden = GOLDEN["random"][space]
    dead = Counter(graph.dead for graph in graphs)
    assert dead["no x"] / 4000 == pytest.approx(golden["no x"], abs=0.026)
    assert dead["no map"] / 4000 == pytest.approx(golden["no map"], abs=0.018)
    # The number of active genes has a deviation of 1.2.
    assert sum(len(graph.active) for graph in graphs) / 4000 == pytest.approx(golden["mean_active"], abs=0.07)
    assert any(graph.batch for graph in graphs) is (Over.BATCH in overs)


@pytest.mark.parametrize("name", ["bn_relu", "bn_silu", "b0", "s0"])
def test_shares_of_mutants_are_those_that_independent_code_found(name: str) -> None:
    """Of 5,000 there and 2,000 here; three standard deviations of the difference are 4.2 points at most."""
    rng, graph = random.Random(2), of_genome(LAYERS[name]["genome"])
    mutants = [mutated(graph, rng) for _ in range(2000)]
    golden, dead = GOLDEN["mutants"][name], Counter(one.dead for one in mutants)
    at = [next((i for i, (a, b) in enumerate(zip(graph.genes, m.genes, strict=True)) if a != b), None) for m in mutants]
    silent = sum(index is None or index + 4 not in graph.active for index in at) / 2000
    assert silent == pytest.approx(golden["inactive"], abs=0.043)
    assert dead["no x"] / 2000 == pytest.approx(golden["no x"], abs=0.025)
    assert dead["no map"] / 2000 == pytest.approx(golden["no map"], abs=0.034)


def test_a_mutation_changes_one_gene_at_most_and_a_seed_repeats_it() -> None:
    def walk(seed: int) -> list[NormGraph]:
        rng, found = random.Random(seed), [KNOWN["bn-relu"]]
        for _ in range(1000):
            found.append(mutated(found[-1], rng, overs=S_SPACE))
        return found

    found = walk(7)
    assert found == walk(7) != walk(8)
    for one, two in pairwise(found):
        assert sum(a != b for a, b in zip(one.genes, two.genes, strict=True)) <= 1


# ---- what it varies over ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "dead", "batch"),
    [
        ("v0 + v1", "no x", False),
        ("mean_batch(x)", "no map", True),
        ("mean_instance(x) * v1", "no map", False),
        ("x * mean_batch(v0)", "", False),  # of a parameter: nothing to keep
        ("x - mean_batch(mean_layer(x))", "", True),
        ("x - mean_batch(mean_batch(x))", "", True),
        ("x / rms_batch(v1)", "", False),
    ],
)
def test_what_is_dead_and_what_needs_running_statistics(said: str, dead: str, batch: bool) -> None:
    graph = read(said)
    assert (graph.dead, graph.batch) == (dead, batch)


def test_a_moment_over_what_does_not_vary_is_the_value() -> None:
    assert read("mean_batch(mean_batch(x))").text == "mean_batch(x)"
    assert read("mean_layer(mean_batch(x))").text == "mean_layer(mean_batch(x))"  # over channels, which differ
    assert read("rms_batch(0)").text == "rms_batch(0)"  # the root of epsilon


def test_denominators_of_published_layers_need_no_guard() -> None:
    for name, graph in KNOWN.items():
        for node in graph.expression.nodes():
            if node.op is Op.DIV:
                assert least(node.args[1], 1e-5) > DELTA, name
    assert least(Expression.leaf("x"), 1e-5) == float("-inf")
    assert least(read("sigmoid(x)").expression, 1e-5) == 0.0
    assert least(read("std_batch(x) + rms_layer(x)").expression, 1e-4) == pytest.approx(0.02)


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gene", "said"),
    [
        (Gene(Op.ADD, 0), "node 4 \\(add\\) takes 2 inputs"),
        (Gene(Op.TANH, 0, 1), "node 4 \\(tanh\\) takes 1 input"),
        (Gene(Op.ADD, 0, 4), "reads nodes 0 to 3; got 4"),
        (Gene(Op.NEG, -1), "reads nodes 0 to 3; got -1"),
        (Gene(Op.STD, 0), "needs an index set"),
        (Gene(Op.EXP, 0, over=Over.BATCH), "is no moment"),
    ],
)
def test_a_gene_that_means_nothing_is_refused(gene: Gene, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NormGraph((gene,))


def test_too_many_genes_and_none_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 16 genes; got 0"):
        NormGraph(())
    with pytest.raises(ValueError, match="1 to 16 genes; got 17"):
        NormGraph((Gene(Op.NEG, 0),) * 17)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x +", "no number, vector or function at its end"),
        ("relu(x)", "no number, vector or function at 'relu"),
        ("x v0", "says too much at 'v0'"),
        ("max(x)", "has no ','"),
        ("std(x)", "no number, vector or function"),
        ("x^3", "has no word at"),
        ("x = 3; x", "names nothing"),
        ("(" * 20000 + "x", "brackets of the formula are too many"),
        (
            ";".join(f"{b} = {a} + {a}" for a, b in zip("xabcdefghijklmnopqr", "abcdefghijklmnopqrs", strict=False))
            + "; s",
            "stands for more than",
        ),
    ],
)
def test_a_formula_that_cannot_be_read_says_where(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text)


def test_json_that_is_no_graph_says_what_is_wrong() -> None:
    with pytest.raises(UserError, match="'relu' is none of add"):
        from_json(NormGraph, '{"genes": [{"op": "relu", "a": 0}]}', ())
    with pytest.raises(UserError, match="reads nodes 0 to 3; got 9"):
        from_json(NormGraph, '{"genes": [{"op": "neg", "a": 9}]}', ())


def test_equal_layers_may_be_unequal_graphs() -> None:
    one = KNOWN["silu"]
    other = replace(one, genes=(Gene(Op.EXP, 0), *one.genes[1:]))
    assert one != other and one.key == other.key and one.simplified == other.simplified
