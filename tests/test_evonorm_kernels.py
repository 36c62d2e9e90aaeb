"""How EvoNorm is reckoned: layouts, dtypes, what waits for the backward pass, compilers and exporters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convsmith.layers import EvoNormKind
from convsmith.layers.evonorm import evonorm
from evonorms import B0, B1, KINDS, S0, S1, TIMM, close, gradients, layer, maps


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_agree_and_the_output_keeps_the_inputs(kind: EvoNormKind) -> None:
    norm, grad = layer(kind), torch.randn(3, 8, 4, 5, dtype=torch.float64)
    plain = maps(3, 8, 4, 5).requires_grad_()
    last = plain.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    strange = torch.empty(4, 5, 8, 3, dtype=torch.float64).permute(3, 2, 0, 1).copy_(plain.detach()).requires_grad_()
    assert norm(last).is_contiguous(memory_format=torch.channels_last)
    for x in (last, strange):
        close(norm(x), norm(plain))
        for ours, expected in zip(
            gradients(norm(x), x, norm, grad), gradients(norm(plain), plain, norm, grad), strict=True
        ):
            close(ours, expected)
    expanded = torch.autograd.grad(norm(last).sum(), [last])[0]  # a gradient with strides of 0
    close(expanded, torch.autograd.grad(norm(plain), [plain], torch.ones_like(plain))[0])


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
    close(out.float(), expected, step)  # one rounding, at the end
    found, truth = (
        gradients(out, x, norm, out.detach() * 0 + 1),
        gradients(expected, exact, norm, exact.detach() * 0 + 1),
    )
    for mine, other in zip(found, truth, strict=True):
        assert mine.isfinite().all()
        torch.testing.assert_close(mine.float(), other, rtol=2 * step, atol=2 * step)


def saved_bytes(module: nn.Module, x: Tensor) -> int:
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    return sum(sizes.values())


@pytest.mark.parametrize("kind", KINDS)
def test_one_map_waits_for_the_backward_pass(kind: EvoNormKind) -> None:
    x = torch.randn(4, 64, 16, 16, requires_grad=True)
    one = x.numel() * x.element_size()
    batch_norm = saved_bytes(nn.Sequential(nn.BatchNorm2d(64), nn.SiLU()), x)
    assert 2 * one <= batch_norm  # the input and the normalised map
    ours = saved_bytes(evonorm(kind, 64), x)
    assert one <= ours < 1.05 * one < batch_norm + one
    assert saved_bytes(TIMM[kind](64), x) >= 3 * one


@pytest.mark.parametrize("kind", (S0, S1, B0, B1))
def test_a_layer_compiles_to_itself_without_breaks(kind: EvoNormKind) -> None:
    norm, x = layer(kind), maps(3, 8, 4, 4).requires_grad_()
    out = norm(x)
    compiled = torch.compile(norm, backend="aot_eager", fullgraph=True)(x)
    close(compiled, out)
    grad = torch.randn_like(out)
    for ours, expected in zip(gradients(compiled, x, norm, grad), gradients(out, x, norm, grad), strict=True):
        close(ours, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_program_holds_the_expression(kind: EvoNormKind) -> None:
    norm, x = layer(kind).eval(), maps(3, 8, 4, 4)
    program = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    assert not [node for node in program.graph.nodes if "slice" in str(node.target) or "split" in str(node.target)]
    wider = maps(5, 8, 4, 4)
    close(program.module()(wider), norm(wider))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_computed_on_meta(kind: EvoNormKind) -> None:
    out = evonorm(kind, 8, groups=4).to("meta")(torch.empty(2, 8, 4, 4, device="meta"))
    assert out.is_meta and out.shape == (2, 8, 4, 4)
