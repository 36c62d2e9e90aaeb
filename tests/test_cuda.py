"""What holds on a CPU holds on a CUDA device: the same numbers, and every verb from the weights that lie there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.cli import main
from convsmith.codec import to_json
from convsmith.jobs.options import Options
from convsmith.jobs.search.begin import SearchOptions
from convsmith.jobs.timing.doctor import examine
from convsmith.layers import EvoNormKind, LambdaLayer, ScaledWSConv2d
from convsmith.layers.evonorm import evonorm
from convsmith.model import build
from convsmith.runs import RunFolder
from convsmith.supernet import Supernet, drawn, sandwich
from convsmith.training import Moment, Single, fit
from convsmith.watcher import StepDone
from specs import specs
from supernets import CLASSIFY, PLAIN, TINY, Feed, noise, stirred, train_supernet, undropped

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
    # The first product of a thread of autograd's, as torch says once.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]

CUDA = torch.device("cuda")


def on_both(model: nn.Module, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Output and gradients of a model in training, on the CPU and on the device, both brought back, in float64."""

    def found(where: torch.device) -> dict[str, Tensor]:
        own = undropped(model.double().to(where).train())
        own.zero_grad(set_to_none=True)
        given = x.double().to(where).requires_grad_()
        out = own(given)
        out.backward(torch.linspace(-1, 1, out.numel(), dtype=torch.float64, device=where).view_as(out))
        grads = {name: one.grad for name, one in own.named_parameters() if one.grad is not None}
        return {name: one.detach().cpu() for name, one in ({"out": out, "x": given.grad} | grads).items()}

    state = {name: one.clone() for name, one in model.state_dict().items()}
    here = found(torch.device("cpu"))
    model.load_state_dict(state)
    return here, found(CUDA)


def assert_same(here: dict[str, Tensor], there: dict[str, Tensor], tolerance: float) -> None:
    """Each tensor by the norm of the difference, since sums are added in another order.

    What is 0 but for rounding, such as the gradient of a bias before a norm, by the largest of them all.
    """
    assert here.keys() == there.keys()
    most = max(float(one.norm()) for one in here.values())
    for name, one in here.items():
        assert (one - there[name]).norm() <= tolerance * max(float(one.norm()), 1e-3 * most), name


# ---- numbers ---------------------------------------------------------------------------------------------------------


@given(specs)
@settings(max_examples=40)
def test_any_network_and_its_gradients_are_the_cpus(arch: ArchSpec) -> None:
    model = build(arch.with_style(drop_path=0.0), seed=0)
    x = torch.randn(4, arch.input.channels, arch.input.resolution, arch.input.resolution)
    assert_same(*on_both(model, x), 1e-6)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    **{kind.value: (lambda kind=kind: evonorm(kind, 32)) for kind in EvoNormKind},  # type: ignore[misc]
    "lambda, scope 5": lambda: LambdaLayer(32, scope=5, heads=4),
    "lambda, global": lambda: LambdaLayer(32, scope=15, size=8, heads=4),
    "scaled weight standardisation": lambda: ScaledWSConv2d(32, 32, 3),
}


@pytest.mark.parametrize("name", LAYERS)
def test_our_layers_are_the_cpus_and_near_it_in_bfloat16(name: str) -> None:
    torch.manual_seed(0)
    layer, x = LAYERS[name](), torch.randn(4, 32, 8, 8)
    assert_same(*on_both(layer, x), 1e-9)
    layer, x = layer.float().to(CUDA), x.to(CUDA, memory_format=torch.channels_last)
    exact = layer(x)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        low = layer(x)
    # Eight bits of mantissa: 0.4 % a rounding, of which some add up.
    assert (low.float() - exact).norm() < 0.02 * exact.norm()
    low.float().square().mean().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in layer.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("name", LAYERS)
def test_our_layers_compile(name: str) -> None:
    torch.manual_seed(0)
    layer, x = LAYERS[name]().to(CUDA), torch.randn(4, 32, 8, 8, device=CUDA)
    fast = torch.compile(layer, fullgraph=True, dynamic=False)
    # A lambda layer is a convolution for a compiler, and a device's convolutions have 10 bits unless they are told otherwise.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        torch.testing.assert_close(fast(x), layer(x), rtol=1e-4, atol=1e-4)  # fused sums are added in another order


# ---- supernets -------------------------------------------------------------------------------------------------------


def on_device(supernet: Supernet) -> Supernet:
    supernet.model.to(CUDA)
    return supernet


def floats(images: Tensor) -> Tensor:
    return images.to(CUDA).float() / 255


def there(folder: Path) -> dict[str, Any]:
    """How a loop trains on the device, with its checkpoint in `folder`."""
    return {
        "prepare": floats,
        "evaluate": lambda trained: {},
        "checkpoint": folder / "last.pt",
        "device": CUDA,
        "seed": 0,
    }


def test_a_sandwich_is_the_cpus() -> None:
    space = replace(TINY, base=replace(TINY.base, head=replace(TINY.base.head, dropout=0.0)))  # type: ignore[call-arg]
    here, device = stirred(space), on_device(stirred(space))
    images, labels = noise(16, 12), torch.arange(16) % 3
    children = drawn(space, seed=0, step=0, randoms=2)
    one = sandwich(here, CLASSIFY, images, labels, children, PLAIN, Moment(0, 1, 0, torch.device("cpu")))
    other = sandwich(device, CLASSIFY, images.to(CUDA), labels.to(CUDA), children, PLAIN, Moment(0, 1, 0, CUDA))
    torch.testing.assert_close(other.loss.cpu(), one.loss, rtol=1e-4, atol=1e-5)
    ours, theirs = (
        {name: one.grad.cpu() for name, one in net.model.named_parameters() if one.grad is not None}
        for net in (here, device)
    )
    # Single precision through a dozen layers, and the device's is of 10 bits in convolutions.
    assert_same(ours, theirs, 1e-2)


def test_a_child_is_calibrated_from_bytes_in_main_memory() -> None:
    here, device = stirred(TINY), on_device(stirred(TINY))
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 256, (size, 3, 12, 12), generator=generator, dtype=torch.uint8) for size in (40, 24)]
    spec = TINY.smallest()
    one, other = (net.calibrated(spec, batches, prepare=lambda bytes: bytes.float() / 255) for net in (here, device))
    assert next(other.parameters()).is_cuda
    x = noise(8, spec.input.resolution)
    with torch.inference_mode():
        torch.testing.assert_close(other(x.to(CUDA)).cpu(), one(x), rtol=1e-3, atol=1e-3)


def test_a_supernet_learns_in_bfloat16_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    def steps(supernet: Supernet, stop: Callable[[], bool] = lambda: False) -> list[int]:
        records = train_supernet(supernet, PLAIN, Feed(), **there(tmp_path), stop=stop)
        return [record.step for record in records if isinstance(record, StepDone)]

    calls = iter(range(100))
    with pytest.raises(cs.errors.Stopped):
        steps(Supernet(TINY, seed=0), stop=lambda: next(calls) == 9)
    supernet = Supernet(TINY, seed=0)
    first, *_, last = steps(supernet)
    assert 1 < first <= 10 and last == 24
    child = supernet.calibrated(TINY.biggest(), [floats(batch.images) for batch in Feed().batches(0, 4)])
    right = 0
    for batch in Feed().batches(100, 110):
        right += int((child(floats(batch.images)).argmax(1).cpu() == batch.answers).sum())
    assert right > 0.5 * 160, "brightness tells three classes apart"


# ---- training and the verbs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["auto", "fp32", "fp16", "bf16"])
def test_training_learns_in_every_precision(tmp_path: Path, precision: str) -> None:
    recipe = replace(PLAIN, precision=cs.recipe.Precision(precision))
    model = build(TINY.biggest(), seed=0)
    records = fit(Single(model, CLASSIFY, recipe), recipe, Feed(), **there(tmp_path))
    losses = [record.loss for record in records if isinstance(record, StepDone) and not math.isnan(record.loss)]
    assert losses[-1] < losses[0]
    assert all(parameter.is_cuda and parameter.isfinite().all() for parameter in model.parameters())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("cuda")
    options = Options(parent=folder, name="run", settings=("epochs=5",))
    return cs.train("mobilenetv2_035", "digits", resolution=32, options=options)


def test_a_run_is_trained_evaluated_exported_and_measured(trained: RunFolder) -> None:
    scores = trained.read("scores.json")
    assert scores["n"] == 359 and scores["top1"] > 0.2
    assert trained.has("model.onnx") and trained.has("report.html")


@pytest.mark.parametrize(
    "verb", [("evaluate",), ("export", "--int8"), ("diagnose",), ("measure", "--runtime", "eager"), ("measure",)]
)
def test_verbs_take_the_run(trained: RunFolder, verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    main([verb[0], str(trained.path), *verb[1:]])
    assert capsys.readouterr().out


def test_a_search_hands_over_its_children(tmp_path: Path) -> None:
    spec = tmp_path / "small.json"
    stages = tuple(replace(stage, width=w, depth=2) for stage, w in zip(TINY.base.stages, (24, 32), strict=True))
    spec.write_text(to_json(replace(TINY.base, name="small", stages=stages)))
    # A device plans each new shape anew, longest in bfloat16: few and small ones keep this short.
    options = Options(parent=tmp_path, name="found", settings=("epochs=2", "batch=256", "precision=fp32"))
    run = cs.search(
        "digits", to="450k-macs,1000ms", options=options, how=SearchOptions(space=str(spec), rounds=1, per_round=3)
    )
    for name in ("450k-macs", "1000ms"):
        child = RunFolder.open(run.file("children") / name)
        assert child.read("scores.json")["n"] == 359
        assert child.has("model.onnx") and child.has("report.html")
    main(["export", str(run.path), "--child", "1"])


def test_the_doctor_names_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine().cuda == torch.cuda.get_device_name(0)
    main(["doctor", "--json"])
    assert torch.cuda.get_device_name(0) in json.dumps(json.loads(capsys.readouterr().out))
