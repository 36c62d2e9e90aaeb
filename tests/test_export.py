"""A fold changes nothing but the number of layers; a file is written only if it agrees with the model."""

from __future__ import annotations

import errno
from pathlib import Path

import onnx
import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations

from convsmith.arch import Act
from convsmith.errors import UserError
from convsmith.exporting import Exported, ExportError, export_onnx, fold_batch_norm, ort_subject, session
from convsmith.exporting.prepared import prepared
from convsmith.latency import Runtime, interleave
from convsmith.parts.acts import activation

SMALL = (3, 32, 32)


def with_statistics(model: nn.Module) -> nn.Module:
    """`model` with batch norms that do something, as after training."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_var, module.weight):
                tensor.data.uniform_(0.7, 1.4, generator=generator)
            for tensor in (module.running_mean, module.bias):
                tensor.data.uniform_(-0.2, 0.2, generator=generator)
    return model


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def largest_difference(a: nn.Module, b: nn.Module, input_shape: tuple[int, int, int] = SMALL) -> float:
    """Relative to the largest output; both are run in eval mode."""
    images = torch.randn((2, *input_shape), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = a.eval()(images), b.eval()(images)
    return float((expected - found).abs().max() / expected.abs().max())


class Tiny(nn.Module):
    """Convolution, norm, activation, pool, linear."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.SiLU())
        self.head = nn.Linear(width, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.conv(images)).mean((2, 3)))


class Wired(nn.Module):
    """A convolution and a norm, wired by the test."""

    def __init__(self, wiring: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.wiring = wiring

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        match self.wiring:
            case "skip":
                return self.norm(y) + y
            case "view skip":
                return self.norm(y) + y.flatten(1).unflatten(1, y.shape[1:])
            case "between":
                return self.norm(torch.relu(y))
            case "conv twice":
                return self.norm(y) + self.conv(x * 2)
            case "norm twice":
                return self.norm(y) + self.norm(x)
            case "twice":
                return self.norm(self.conv(self.norm(y)))
            case "first":
                return self.conv(self.norm(x))
            case "in place":
                return self.norm(y.mul_(2))
            case "plain":
                return self.norm(y)
        raise AssertionError(self.wiring)


class Returned(Wired):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.conv(x)
        return {"logits": self.norm(y), "features": y}


class OddNorm(nn.BatchNorm2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2


@pytest.mark.parametrize(
    ("name", "count"), [("efficientnet_b0", 49), ("mobilenetv2_100", 52), ("tf_efficientnet_b0", 49)]
)
def test_every_batch_norm_of_a_timm_network_is_folded(name: str, count: int) -> None:
    model = with_statistics(timm.create_model(name, num_classes=10))
    folded, found = fold_batch_norm(model, input_shape=SMALL)
    assert (found, norms(folded), norms(model)) == (count, 0, count)
    assert largest_difference(model, folded) < 1e-5


def test_every_batch_norm_of_torchvisions_resnet18_is_folded() -> None:
    model = with_statistics(torchvision.models.resnet18())
    folded, found = fold_batch_norm(model, input_shape=SMALL)
    assert (found, norms(folded)) == (20, 0)
    assert largest_difference(model, folded) < 1e-5


def test_norms_that_follow_no_convolution_are_kept() -> None:
    model = with_statistics(timm.create_model("resnetv2_50", num_classes=10))  # pre-activation
    folded, found = fold_batch_norm(model, input_shape=SMALL)
    assert 0 < found < norms(model)
    assert norms(folded) == norms(model) - found
    assert largest_difference(model, folded) < 1e-5


@pytest.mark.parametrize(
    "wiring",
    ["skip", "view skip", "between", "conv twice", "norm twice", "twice", "first", "in place"],
)
def test_a_pair_that_shares_its_middle_or_itself_is_not_folded(wiring: str) -> None:
    model = with_statistics(Wired(wiring))
    folded, found = fold_batch_norm(model, input_shape=SMALL)
    assert found == 0
    assert largest_difference(model, folded) == 0


def test_a_plain_pair_is_folded() -> None:
    model = with_statistics(Wired("plain"))
    folded, found = fold_batch_norm(model, input_shape=SMALL)
    assert found == 1
    assert largest_difference(model, folded) < 1e-5


def test_a_convolution_whose_output_is_returned_is_not_folded() -> None:
    assert fold_batch_norm(Returned("plain"), input_shape=SMALL)[1] == 0


def test_weights_made_in_the_forward_and_unknown_norms_are_not_folded() -> None:
    standardised = Wired("plain")
    parametrizations.weight_norm(standardised.conv)
    assert fold_batch_norm(standardised, input_shape=SMALL)[1] == 0
    assert fold_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 1), OddNorm(4)), input_shape=SMALL)[1] == 0
    untracked = nn.BatchNorm2d(4, track_running_stats=False)
    assert fold_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 1), untracked), input_shape=SMALL)[1] == 0


def test_a_norm_without_scale_and_a_convolution_with_bias_and_groups_fold() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, affine=False))
    model[1].running_mean.data.fill_(0.3)
    model[1].running_var.data.fill_(2.0)
    folded, found = fold_batch_norm(model, input_shape=SMALL)
    assert found == 1
    assert largest_difference(model, folded) < 1e-5


def test_folding_leaves_the_model_as_it_was() -> None:
    model = with_statistics(Tiny()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fold_batch_norm(model, input_shape=SMALL)
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Overwritten(nn.Module):
    """What an activation in place changes is read again by a skip, or is not."""

    def __init__(self, *, skip: bool) -> None:
        super().__init__()
        self.conv, self.act, self.skip = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU6(inplace=True), skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.act(y) + 2 * y if self.skip else self.act(y)


@pytest.mark.parametrize("skip", [False, True])
def test_nothing_is_overwritten_in_a_file_unless_answers_rest_on_it(skip: bool) -> None:
    model = Overwritten(skip=skip).eval()
    ready = prepared(model, input_shape=SMALL)
    assert isinstance(ready.network, Overwritten) and ready.network.act.inplace is skip and model.act.inplace
    assert largest_difference(model, ready.network) == 0


@pytest.mark.parametrize("act", [Act.RELU, Act.RELU6, Act.SILU, Act.HARD_SWISH, Act.HARD_SIGMOID])
def test_activations_that_overwrite_say_so(act: Act) -> None:
    """And are told not to by it."""
    module = activation(act)
    for inplace in (True, False):
        module.inplace = inplace
        x = torch.randn(4, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert (module(x).data_ptr() == x.data_ptr()) is inplace


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """One export with a dynamic batch, made once because torch's exporter takes seconds."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    samples = torch.randn((5, *SMALL), generator=torch.Generator().manual_seed(2))
    return export_onnx(with_statistics(Tiny()), path, input_shape=SMALL, samples=samples)


def test_an_exported_file_agrees_and_says_so(exported: Exported) -> None:
    assert (exported.folded, exported.n, exported.bytes) == (1, 5, exported.path.stat().st_size)
    assert exported.max_abs_difference < 1e-5
    assert exported.relative_difference <= exported.tolerance == 1e-4
    graph = onnx.load(exported.path)
    assert exported.opset == graph.opset_import[0].version
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    assert b"test_export.py" not in exported.path.read_bytes()  # nor any other path of the machine it was made on
    assert [each.name for each in exported.path.parent.iterdir()] == ["model.onnx"]


def test_the_record_is_that_of_export_json(exported: Exported) -> None:
    record = exported.to_record()
    names = {"file", "bytes", "opset", "batch", "folded", "max_abs_difference", "relative_difference"}
    assert set(record) == names | {"tolerance", "n", "runtime"}
    assert (record["file"], record["batch"]) == ("model.onnx", "dynamic")


def test_a_static_batch_is_one_an_opset_is_kept_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    exported = export_onnx(Tiny(), path, input_shape=SMALL, dynamic_batch=False, opset=18, fold=False)
    assert capfd.readouterr() == ("", "")
    assert (exported.to_record()["batch"], exported.opset, exported.folded) == (1, 18, 0)
    assert session(path, threads=1).get_inputs()[0].shape == [1, *SMALL]
    with pytest.raises(UserError, match="exported for batches of 1, not 4"):
        ort_subject("tiny", path, batch=4, threads=1)


def test_a_model_that_differs_is_refused_and_the_older_file_survives(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("good")
    model = Tiny()
    model.head.bias.data.fill_(torch.nan)
    with pytest.raises(ExportError, match=r"^model\.onnx differs from the model by nan,"):
        export_onnx(model, path, input_shape=SMALL)
    assert path.read_text() == "good"
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]


def test_a_model_that_cannot_be_expressed_is_refused(tmp_path: Path) -> None:
    class Branching(Tiny):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) if images.sum() > 0 else images.mean((2, 3))

    with pytest.raises(ExportError, match="torch cannot express this model in ONNX"):
        export_onnx(Branching(), tmp_path / "model.onnx", input_shape=SMALL, fold=False)
    assert list(tmp_path.iterdir()) == []


def test_a_model_whose_outputs_differ_in_shape_is_refused(tmp_path: Path) -> None:
    class Bright(Tiny):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[images > 0][None]

    with pytest.raises(ExportError, match="torch cannot express this model in ONNX"):
        export_onnx(Bright(), tmp_path / "model.onnx", input_shape=SMALL, fold=False, dynamic_batch=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    assert export_onnx(Tiny(), tmp_path / "new" / "model.onnx", input_shape=SMALL).path.is_file()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot write .*file/model\.onnx"):
        export_onnx(Tiny(), tmp_path / "file" / "model.onnx", input_shape=SMALL)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(program: object, destination: object, *, external_data: bool) -> None:
        Path(str(destination)).write_bytes(b"half a file")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.onnx.ONNXProgram, "save", full)
    with pytest.raises(ExportError, match="No space left on device; the disk is full"):
        export_onnx(Tiny(), tmp_path / "model.onnx", input_shape=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_weights_over_two_gigabytes_are_refused_before_any_work(tmp_path: Path) -> None:
    huge = Tiny()
    huge.register_buffer("table", torch.zeros(1).expand(600_000_000))  # a view: no memory behind it
    with pytest.raises(ExportError, match=r"the weights are 2\.4 GB"):
        export_onnx(huge, tmp_path / "model.onnx", input_shape=SMALL)


def test_samples_of_another_shape_are_refused(tmp_path: Path) -> None:
    for shape in ((4, 3, 16, 16), (3, 32, 32), (0, 3, 32, 32)):
        with pytest.raises(ExportError, match="samples are of shape"):
            export_onnx(Tiny(), tmp_path / "model.onnx", input_shape=SMALL, samples=torch.zeros(shape))


def test_an_exported_file_is_a_subject(exported: Exported) -> None:
    subject = ort_subject("tiny", exported.path, batch=3, threads=1)
    row = interleave([subject], threads=1, rounds=5, seconds=1).rows[0]
    assert (row.name, row.runtime, row.batch, row.n) == ("tiny", Runtime.ORT, 3, 5)
    with pytest.raises(UserError, match="made for 1 threads, not for 2"):
        interleave([subject], threads=2)
    with pytest.raises(UserError, match="got batch=0"):
        ort_subject("tiny", exported.path, batch=0, threads=1)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(UserError, match=r"there is no file .*model\.onnx"):
        session(path, threads=1)
    for content, why in (
        (b"", "is an empty file"),
        (b"not a network", "is a text that begins .not a network."),
        (b"\x08\x07\x12\x04", "is not an ONNX file"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=why):
            session(path, threads=1)


def test_a_network_of_another_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    kinds = onnx.TensorProto
    for kind, shape, why in (
        (kinds.FLOAT, ["n", 7], "one float32 input NCHW"),
        (kinds.DOUBLE, ["n", 3, 8, 8], "one float32 input NCHW"),
        (kinds.FLOAT, ["n", 3, "h", "w"], "leaves the size of its images open"),
    ):
        value, out = (onnx.helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y"))
        graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out])
        opset = onnx.helper.make_opsetid("", 18)
        onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
        with pytest.raises(UserError, match=why):
            ort_subject("x", path, threads=1)


class Magnified(nn.Module):
    """Logits that are the small difference of large sums: rounding is magnified with it, in whatever order it is done."""

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3 * 32 * 32, 4), nn.Linear(3 * 32 * 32, 4)
        self.other.load_state_dict(self.one.state_dict())
        self.wrong = wrong

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        exact = flat.dtype == torch.float64 or not torch.onnx.is_in_onnx_export()
        return self.one(1000 * flat) / 1000 - self.other(flat) + 1e-4 + (0.0 if exact else self.wrong)


def test_a_network_that_magnifies_rounding_is_allowed_its_own_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    found = export_onnx(Magnified().eval(), path, input_shape=SMALL, fold=False)
    assert 1e-4 < found.tolerance <= 1e-2 and found.relative_difference <= found.tolerance
    with pytest.raises(
        ExportError, match=r"of the largest logit; allowed is 0\.0\d+, which is more than rounding does"
    ):
        export_onnx(Magnified(wrong=1e-4).eval(), path, input_shape=SMALL, fold=False)
