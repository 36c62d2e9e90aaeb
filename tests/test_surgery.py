"""Normaliser surgery: the variance is kept where plain removal loses it, or the function is, and nothing passes in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import convsmith as cs
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.layers import ScaledWSConv2d
from convsmith.resolve import foreign
from convsmith.signal import Trace, trace
from convsmith.surgery import NormName, operate, restyled

SHAPE = (3, 96, 96)
LIVE = ("timm:resnet50", "timm:efficientnet_b0", "tv:resnet18", "tv:mobilenet_v2", "timm:resnetv2_50")


def noise() -> Tensor:
    return torch.randn((4, *SHAPE), generator=torch.Generator().manual_seed(0))


def traced(module: nn.Module) -> Trace:
    return trace(module, input_shape=SHAPE, draws=1, branches_on=True)


def norms(module: nn.Module) -> int:
    return sum(isinstance(child, nn.BatchNorm2d) for child in module.modules())


@pytest.mark.parametrize("name", LIVE)
def test_without_norms_every_block_keeps_its_variance(name: str) -> None:
    model = foreign(name)
    done = operate(model, "nf", images=noise())
    assert norms(done.module) == 0 and done.replaced == norms(model) and not done.left
    # The signal of images that the scales were not set on.
    variances = [point.out.var for point in traced(done.module).points if point.index]
    assert 0.1 < min(variances) <= max(variances) < 10


def test_plain_removal_loses_what_the_conversion_keeps() -> None:
    model = foreign("timm:efficientnet_b0")
    plain = operate(model, "nf", images=noise(), keep_function=True)  # untrained statistics: folding is removal
    assert min(point.out.var for point in traced(plain.module).points) < 1e-4


@pytest.mark.parametrize("name", ["timm:resnet50", "tv:mobilenet_v2"])
def test_folding_keeps_the_function_of_a_trained_network(name: str) -> None:
    model = foreign(name)
    with torch.no_grad():
        model.train()(noise())  # statistics of their own
    done = operate(model.eval(), "nf", images=noise(), keep_function=True)
    assert norms(done.module) == 0
    # Float32 through fifty layers.
    assert done.difference is not None and done.difference < 1e-3
    fresh = torch.randn((2, *SHAPE), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert torch.allclose(model(fresh), done.module(fresh), atol=1e-3 * float(model(fresh).std()))


def test_standardised_filters_keep_the_directions_of_the_old_ones() -> None:
    model = foreign("tv:resnet18")
    done = operate(model, "nf", images=noise()).module
    old, new = model.get_parameter("layer2.0.conv1.weight"), done.get_submodule("layer2.0.conv1")
    assert isinstance(new, ScaledWSConv2d) and torch.equal(new.weight, old)
    assert not any(isinstance(m, ScaledWSConv2d) and m.groups == m.in_channels for m in done.modules())


def test_a_converted_network_learns() -> None:
    model = operate(foreign("tv:resnet18"), "nf", images=noise()).module.train()
    images, labels = noise(), torch.arange(4)
    optim = torch.optim.SGD(model.parameters(), 0.02)
    losses = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(model(images), labels)
        optim.zero_grad()
        loss.backward()
        optim.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("norm", ["group", "evonorm-s0", "evonorm-b0"])
def test_norms_with_their_activation_are_replaced_and_inherit_scale_and_shift(norm: str) -> None:
    model = foreign("timm:mobilenetv3_small_100")
    nn.init.constant_(model.get_parameter("bn1.weight"), 3.0)
    done = operate(model, norm, images=noise())  # type: ignore[arg-type]
    assert norms(done.module) == 0 and not done.left
    scales = [p for n, p in done.module.named_parameters() if n.startswith("bn1.") and n.endswith("weight")]
    assert any(torch.equal(scale.flatten(), torch.full((16,), 3.0)) for scale in scales)
    assert bool(torch.isfinite(done.module(noise())).all())


def test_an_activation_that_is_shared_is_left_and_said() -> None:
    done = operate(foreign("tv:resnet18"), "evonorm-s0", images=noise())
    assert done.replaced + len(done.left) == 20 and done.left
    assert all("cannot be taken out" in why for _, why in done.left)


def test_what_cannot_be_converted_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match="no batch norm to replace"):
        operate(foreign("tv:squeezenet1_1"), "nf", images=noise())
    with pytest.raises(UserError, match="only nf can keep the function"):
        operate(foreign("tv:resnet18"), "group", images=noise(), keep_function=True)
    with pytest.raises(UserError, match="has no normaliser-free form as a spec"):
        restyled(cs.spec("mobilenetv2_100"), "nf")
    with pytest.raises(UserError, match="say which"):
        restyled(cs.spec("resnetv2_50d_evos"), "nf")


def test_what_a_network_without_batch_norms_has_is_said() -> None:
    with pytest.raises(UserError, match="mine has no batch norm to replace: it has no norms"):
        operate(foreign("tv:squeezenet1_1"), "nf", images=noise(), name="mine")
    with pytest.raises(UserError, match="its norms are 17 LayerNorm2d, and only batch norms are replaced"):
        operate(foreign("timm:convnext_atto"), "group", images=noise())


@pytest.mark.parametrize(
    ("name", "norm"), [("nf_regnet_b0", "nf"), ("resnet18", "batch"), ("resnetv2_50d_evos", "evonorm-s0")]
)
def test_a_spec_that_has_the_norm_already_is_left_alone(name: str, norm: NormName) -> None:
    with pytest.raises(UserError, match="already"):
        restyled(cs.spec(name), norm)


def test_double_precision_is_converted_in_double_precision() -> None:
    model = foreign("tv:resnet18").double()
    with torch.no_grad():
        model.train()(noise().double())
    folded = operate(model.eval(), "nf", images=noise(), keep_function=True)
    assert folded.difference is not None and folded.difference < 1e-11  # float64 through twenty layers
    free = operate(model, "nf", images=noise()).module
    assert all(parameter.dtype is torch.float64 for parameter in free.parameters())


def test_groups_that_do_not_divide_a_width_are_told() -> None:
    said = cs.convert("tv:shufflenet_v2_x1_0", "group", resolution=32).says
    assert "29 for 58 channels" in said and "24 for 24 channels" in said
    assert "groups" not in cs.convert("tv:resnet18", "group", resolution=32).says  # 64 channels and more


def test_a_run_without_weights_is_not_taken_for_its_random_ones(tmp_path: Path) -> None:
    spec = cs.spec("resnet18")
    (tmp_path / "config.json").write_text('{"verb": "train"}')
    (tmp_path / "spec.json").write_text(spec.to_json())
    for verb in (cs.diagnose, lambda run: cs.convert(run, "group")):
        with pytest.raises(UserError, match=r"has no weights yet .*`convsmith resume"):
            verb(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--out", "pyproject.toml/x.json"], "is a file and not"), (["--plot", "pyproject.toml/x.svg"], "is a file and not"),
     (["--plot", "x.gif"], "a picture is"), (["--out", "x.txt"], "a .json for the spec"),
     (["--live", "--out", "x.json"], "written to a .pt2"), (["--resolution", "0"], "Must be >= 1")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_to_is_told_before_any_work(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("convsmith.jobs.convert.build", None)  # nothing is built
    assert main(["convert", "resnet18", "--norm", "group", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_spec_goes_there_and_back() -> None:
    spec = cs.spec("resnetv2_50")
    free = restyled(spec, "nf")
    assert {stage.block.kind for stage in free.stages} == {"nf_bottleneck"}
    back = restyled(free, "batch")
    assert back.stages == spec.stages and back.style == spec.style
    assert norms(cs.build(free, seed=0)) == 0


def test_the_verb_writes_what_can_be_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, program, picture = tmp_path / "nf.json", tmp_path / "nf.pt2", tmp_path / "nf.svg"
    wide = ["--resolution", "48"]
    assert main(["convert", "resnetv2_50", "--norm", "nf", *wide, "--out", str(spec), "--plot", str(picture)]) == 0
    assert cs.spec(spec).stages[0].block.kind == "nf_bottleneck" and picture.exists()
    assert main(["convert", "tv:resnet18", "--norm", "nf", *wide, "--out", str(program)]) == 0
    assert b"torchvision/models" not in program.read_bytes()  # nor any other path of the machine it was made on
    loaded = torch.export.load(program).module()
    assert loaded(torch.zeros(3, 3, 48, 48)).shape == (3, 1000)
    assert main(["convert", "resnet18", "--norm", "group", *wide, "--out", str(tmp_path / "x.txt")]) == 2
    assert "a .json for the spec" in capsys.readouterr().err
