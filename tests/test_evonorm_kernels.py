"""How EvoNorm is reckoned: layouts, dtypes, what waits for the backward pass, compilers and exporters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convsmith.layers import EvoNormKind
from convsmith.layers.evonorm import evonorm
from convsmith.layers.evonorm_graph import GraphSigmoidGate, sigmoid_gate
from convsmith.layers.evonorm_kernels import SigmoidGate
from evonorm import saved
from evonorms import B0, B1, KINDS, S0, S1, TIMM, assert_close, gradients, layer, maps


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_agree_and_the_output_keeps_the_inputs(kind: EvoNormKind) -> None:
    norm, grad = layer(kind), torch.randn(3, 8, 4, 5, dtype=torch.float64)
    plain = maps(3, 8, 4, 5).requires_grad_()
    last = plain.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    strange = torch.empty(4, 5, 8, 3, dtype=torch.float64).permute(3, 2, 0, 1).copy_(plain.detach()).requires_grad_()
    assert norm(last).is_contiguous(memory_format=torch.channels_last)
    for x in (last, strange):
        assert_close(norm(x), norm(plain))
        for ours, expected in zip(
            gradients(norm(x), x, norm, grad), gradients(norm(plain), plain, norm, grad), strict=True
        ):
            assert_close(ours, expected)
    expanded = torch.autograd.grad(norm(last).sum(), [last])[0]  # a gradient with strides of 0
    assert_close(expanded, torch.autograd.grad(norm(plain), [plain], torch.ones_like(plain))[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_coarse_inputs_get_float32_statistics(kind: EvoNormKind, dtype: torch.dtype) -> None:
    norm = layer(kind).float()
    x = maps(3, 8, 6, 6, layout=torch.channels_last).to(dtype).requires_grad_()
    exact = x.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        out = norm(x)
    expected = norm(exact)
    assert out.dtype is dtype
    step = torch.finfo(dtype).eps
    assert_close(out.float(), expected, step)  # one rounding, at the end
    found, truth = (
        gradients(out, x, norm, out.detach() * 0 + 1),
        gradients(expected, exact, norm, exact.detach() * 0 + 1),
    )
    for mine, other in zip(found, truth, strict=True):
        assert mine.isfinite().all()
        torch.testing.assert_close(mine.float(), other, rtol=2 * step, atol=2 * step)


@pytest.mark.parametrize("kind", KINDS)
def test_one_map_waits_for_the_backward_pass(kind: EvoNormKind) -> None:
    shape = (4, 64, 16, 16)
    batch_norm = saved(nn.Sequential(nn.BatchNorm2d(64), nn.SiLU()), shape)
    assert batch_norm >= 2  # the input and the normalised map
    ours = saved(evonorm(kind, 64), shape)
    assert 1 <= ours < 1.05 < batch_norm + 1
    assert saved(TIMM[kind](64), shape) >= 3


# torch 2.13 warns of how its own compiler makes a Function.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("kind", (S0, S1, B0, B1))
def test_a_layer_compiles_to_itself_without_breaks(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4).requires_grad_()
    out = norm(x)
    compiled = torch.compile(norm, backend="aot_eager", fullgraph=True)(x)
    assert_close(compiled, out)
    grad = torch.randn_like(out)
    for ours, expected in zip(gradients(compiled, x, norm, grad), gradients(out, x, norm, grad), strict=True):
        assert_close(ours, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_program_holds_the_expression(kind: EvoNormKind) -> None:
    norm, x = layer(kind).eval(), maps(3, 8, 4, 4)
    program = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    assert not [node for node in program.graph.nodes if "slice" in str(node.target) or "split" in str(node.target)]
    wider = maps(5, 8, 4, 4)
    assert_close(program.module()(wider), norm(wider))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_computed_on_meta(kind: EvoNormKind) -> None:
    out = evonorm(kind, 8, groups=4).to("meta")(torch.empty(2, 8, 4, 4, device="meta"))
    assert out.is_meta and out.shape == (2, 8, 4, 4)


@pytest.mark.parametrize("form", ["kernels", "graph", "expression"])
@pytest.mark.parametrize("kind", [EvoNormKind.S0, EvoNormKind.S1, EvoNormKind.S2])
def test_an_image_of_zeros_passes_no_gradient_on_and_changes_no_other_s(kind: EvoNormKind, form: str) -> None:
    """Else it would grow by 1 / sqrt(eps) = 316 in every layer, and overflow after sixteen."""
    gate = {"kernels": SigmoidGate.apply, "graph": GraphSigmoidGate.apply, "expression": sigmoid_gate}[form]
    v = torch.ones(8) if kind is EvoNormKind.S0 else None

    def deep(x: torch.Tensor) -> torch.Tensor:
        for _ in range(20):
            x = gate(x, torch.ones(8), torch.zeros(8), v, 4, 1e-5, kind is not EvoNormKind.S2, True)
        return x

    images = torch.randn(3, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    images[1] = 0
    images.requires_grad_()
    (found,) = torch.autograd.grad(deep(images).sum(), images)
    assert not found[1].any()
    others = images[[0, 2]].detach().requires_grad_()
    (alone,) = torch.autograd.grad(deep(others).sum(), others)
    torch.testing.assert_close(found[[0, 2]], alone)
