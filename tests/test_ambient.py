"""What a program has set about torch changes no result, is not remembered, and holds again afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import convsmith as cs
from convsmith import costs
from convsmith.errors import UserError


@contextmanager
def set_for_a_while(setter: Callable[[Any], None], value: object, usual: object) -> Iterator[None]:
    setter(value)
    try:
        yield
    finally:
        setter(usual)


AMBIENT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "float64": lambda: set_for_a_while(torch.set_default_dtype, torch.float64, torch.float32),
    "meta": lambda: set_for_a_while(torch.set_default_device, "meta", None),
    "autocast": lambda: torch.autocast("cpu"),
    "deterministic": lambda: set_for_a_while(torch.use_deterministic_algorithms, True, False),
}
ambient = pytest.mark.parametrize("ambient", AMBIENT.values(), ids=AMBIENT)
SMALL = cs.spec("mobilenetv2_035", resolution=32)


def state() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
    )


@ambient
def test_costs_are_the_same_and_a_wrong_one_is_not_remembered(
    ambient: Callable[[], AbstractContextManager[Any]],
) -> None:
    spec = cs.spec("mobilenetv2_035")
    costs.cost.cache_clear()
    costs.node_cost.cache_clear()
    with ambient():
        before = state()
        assert cs.cost(spec).macs == 59285808
        assert cs.scale(spec, to="20M-macs").cost.macs <= 20_000_000
        assert state() == before
    assert cs.cost(spec).macs == 59285808


@ambient
def test_weights_are_those_of_the_seed_and_can_be_trained(ambient: Callable[[], AbstractContextManager[Any]]) -> None:
    usual = cs.build(SMALL, seed=1).state_dict()
    with ambient():
        net, dtype = cs.build(SMALL, seed=1), torch.get_default_dtype()
    assert all(torch.equal(own.float(), usual[name].float()) for name, own in net.state_dict().items())
    assert next(net.parameters()).dtype == dtype
    net(torch.zeros(2, 3, 32, 32, dtype=dtype)).sum().backward()


@ambient
def test_a_diagnosis_is_the_same(ambient: Callable[[], AbstractContextManager[Any]]) -> None:
    usual = cs.diagnose(SMALL, draws=1).trace.points
    with ambient():
        before = state()
        assert cs.diagnose(SMALL, draws=1).trace.points == usual
        assert state() == before


def test_a_network_is_trained_and_measured_and_nothing_is_left_changed(tmp_path: Path) -> None:
    stages = (cs.Stage(cs.BasicBlock(), depth=1, width=8, stride=1),)
    net = replace(cs.spec("resnet18", resolution=8), name="tiny", stem=cs.ConvStem(width=8), stages=stages)
    with torch.inference_mode(), AMBIENT["float64"](), torch.autocast("cpu"):
        before = state()
        run = cs.train(net, "digits", options=cs.Options(settings=("epochs=1", "batch=512"), parent=tmp_path))
        assert run.scores.n == 359
        assert state() == before
        assert len(cs.measure(run, rounds=1, runtime="eager").rows) == 1
        assert state() == before


def test_a_live_network_of_another_dtype_is_refused_in_words() -> None:
    with pytest.raises(UserError, match=r"weights of torch.float64, .*network\.float\(\)"):
        cs.measure(cs.build(SMALL).double(), rounds=1)


def test_any_module_s_operations_are_counted_in_inference_mode() -> None:
    net = cs.build(SMALL)
    with torch.inference_mode():
        assert cs.operations(net, torch.zeros(1, 3, 32, 32)) == cs.cost(SMALL)
