"""Files for other runtimes: held against torch where they run, refused in a line where they cannot be made.

What every runtime promises is shown on one that is written here; those of others are tested where they are installed.
"""

from __future__ import annotations

import json
import shutil
import signal
import tomllib
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from numpy.typing import NDArray

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.cli import export as export_verb
from convsmith.cli import options
from convsmith.cli.app import main
from convsmith.errors import UserError
from convsmith.exporting import export_onnx
from convsmith.exporting.compared import Run, compared
from convsmith.exporting.errors import ExportDiffers, ExportError
from convsmith.exporting.metadata import Metadata
from convsmith.exporting.prepared import Prepared, prepared
from convsmith.exporting.runtimes import RUNTIMES, FileRuntime, export_file, runtime_named, that_runs
from convsmith.exporting.runtimes.runtime import expressed
from convsmith.jobs.timing.subjects import ready
from convsmith.latency import Runtime, interleave
from convsmith.parts import SE, MBConv

FOLDERS = Path(__file__).parent / "folders-0.1"
TINY = cs.from_json((FOLDERS / "tiny.json").read_text())


def named(name: str) -> Any:
    """A runtime, skipped where it is not installed."""
    missing = pytest.mark.skipif(not RUNTIMES[name].installed, reason=f"{name} is not installed: it is an extra")
    return pytest.param(RUNTIMES[name], id=name, marks=missing)


RUNNING = [named(one.name) for one in RUNTIMES.values() if not one.unrun]
OTHERS = [one for one in RUNNING if one.id != "onnx"]


# ---- one vocabulary ------------------------------------------------------------------------------------------------------


def test_the_command_line_knows_the_runtimes_that_there_are() -> None:
    (to,) = (hint for name, hint in typing.get_type_hints(export_verb.export).items() if name == "to")
    assert typing.get_args(to) == tuple(RUNTIMES)
    assert set(typing.get_args(options.RuntimeName)) == set(Runtime)
    own = {Runtime.EAGER, Runtime.COMPILE}
    assert {one for one in Runtime if that_runs(one) is not None} == set(Runtime) - own
    assert len({one.suffix for one in RUNTIMES.values()}) == len(RUNTIMES)


def test_each_runtime_is_an_extra_of_its_name_in_a_window_of_versions() -> None:
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for one in RUNTIMES.values():
        if one.extra:
            assert one.extra == one.name
            assert any(need.startswith(one.package) for need in extras[one.extra])
            assert all(">=" in need and "<" in need for need in extras[one.extra]), one.name


def test_a_runtime_that_is_not_known_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"not to 'openvno'.*openvino"):
        runtime_named("openvno")


@pytest.mark.parametrize("name", [name for name, one in RUNTIMES.items() if one.extra])
def test_what_is_not_installed_is_one_line_that_says_what_would_do(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("convsmith.exporting.runtimes.runtime.find_spec", lambda name: None)
    commands = [["export", "resnet18", "--to", name]]
    if RUNTIMES[name].timed is not None:
        commands += [
            ["measure", "resnet18", "--runtime", name],
            ["scale", "resnet18", "--to", "5ms", "--runtime", name],
        ]
    for command in commands:
        assert main(command) == 2
        said = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert f"pip install 'convsmith[{name}]'" in said[-1], command
    assert not list(tmp_path.iterdir())


# ---- what every runtime promises -----------------------------------------------------------------------------------------


class Saved(FileRuntime):
    """A runtime for tests: torch's own, from a file that it saved."""

    name: ClassVar[str] = "saved"
    title: ClassVar[str] = "Saved"
    package: ClassVar[str] = "torch"
    modules: ClassVar[tuple[str, ...]] = ("torch",)
    extra: ClassVar[str] = "saved"
    suffix: ClassVar[str] = ".saved"
    timed: ClassVar[Runtime | None] = Runtime.EAGER
    off: ClassVar[float] = 0.0

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        torch.save(network.network, path)

    def load(self, path: Path, *, threads: int) -> Run:
        module = torch.load(path, weights_only=False)

        @torch.no_grad()
        def run(given: tuple[NDArray, ...]) -> list[NDArray]:
            return [module(*map(torch.from_numpy, given)).numpy() + self.off]

        return run


class Wrong(Saved):
    """Another number than the network's."""

    off: ClassVar[float] = 1.0


class Missing(Saved):
    """A converter that does not know an operator, and says so at length."""

    def write(self, network: Prepared, path: Path, *, batch: int | None, says: Metadata | None = None) -> None:
        path.write_bytes(b"half a file")
        with expressed(self.title):
            raise NotImplementedError("\n  no lowering for aten.erf\nat 0x7f\nat 0x80")


class Unrun(Saved):
    """Files that nothing here can run."""

    timed: ClassVar[Runtime | None] = None
    unrun: ClassVar[str] = "there is nothing here to run it"

    def load(self, path: Path, *, threads: int) -> Run:
        raise AssertionError("it was run")


def decided(spec: ArchSpec) -> cs.Model:
    """A network in which nothing begins at zero: neither the last norm of a block nor the classifier."""
    model = cs.build(spec, seed=0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    torch.nn.init.normal_(model.head.fc.weight, generator=torch.Generator().manual_seed(0))
    return model


def tiny() -> cs.Model:
    return decided(TINY).eval()


def exported(runtime: FileRuntime, path: Path, **more: Any) -> Any:
    return export_file(tiny(), path, runtime, input_shape=(3, 12, 12), **more)


@pytest.mark.parametrize("batch", [1, 3])  # eight inputs are no multiple of three
def test_a_file_is_run_compared_and_then_in_its_place(batch: int, tmp_path: Path) -> None:
    made = exported(Saved(), tmp_path / "net.saved", batch=batch)
    assert made.n == 8 and made.agreement == 1 and made.relative_difference <= 1e-5 and made.batch == batch
    assert made.bytes == (tmp_path / "net.saved").stat().st_size and made.folded > 0
    assert [path.name for path in tmp_path.iterdir()] == ["net.saved"]
    assert made.to_record()["file"] == "net.saved" and "8 inputs run by Saved" in made.summary[-1]


@pytest.mark.parametrize(
    ("runtime", "error", "said"),
    [
        (Wrong(), ExportDiffers, "differs from the model by"),
        (Missing(), ExportError, "^Saved cannot express this network: NotImplementedError: no lowering for aten.erf$"),
    ],
)
def test_a_file_that_is_wrong_or_cannot_be_made_leaves_what_was_there(
    runtime: FileRuntime, error: type[Exception], said: str, tmp_path: Path
) -> None:
    (tmp_path / "net.saved").write_text("before")
    with pytest.raises(error, match=said):
        exported(runtime, tmp_path / "net.saved")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_what_cannot_be_run_here_is_written_and_says_so(tmp_path: Path) -> None:
    made = exported(Unrun(), tmp_path / "net.saved")
    assert made.relative_difference is None and "there is nothing here to run it" in made.summary[-1]
    assert made.to_record()["not_run"] == Unrun.unrun
    with pytest.raises(UserError, match=Unrun.unrun):
        Unrun().subject("net", tmp_path / "net.saved", (), threads=1)


def test_a_file_has_the_name_that_its_runtime_asks_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"for Saved is called NAME\.saved, not net\.onnx"):
        exported(Saved(), tmp_path / "net.onnx")
    with pytest.raises(UserError, match="--raw-input"):
        Saved().export(tiny(), tmp_path / "net.saved", input_shape=(3, 12, 12), raw_input=True)


def test_onnx_is_one_of_them_and_writes_what_it_always_wrote(tmp_path: Path) -> None:
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    export_file(tiny(), one, RUNTIMES["onnx"], input_shape=(3, 12, 12), batch=None)
    export_onnx(tiny(), other, input_shape=(3, 12, 12))
    assert one.read_bytes() == other.read_bytes()


# ---- those that are installed --------------------------------------------------------------------------------------------


def squeezing() -> ArchSpec:
    """Depthwise convolutions, squeeze and excitation, SiLU, 24 px."""
    stages = tuple(replace(stage, block=MBConv(kernel=3, expand=2, se=SE(ratio=0.25))) for stage in TINY.stages)
    return replace(TINY, name="squeezing", stages=stages).with_resolution(24)


def seen(spec: ArchSpec) -> tuple[cs.Model, torch.Tensor]:
    """A network whose norms have seen the images."""
    model, images = decided(spec), spec.input.example(8, seed=0)
    with torch.no_grad():
        for _ in range(5):
            model.train()(images)
    return model.eval(), images


@pytest.mark.parametrize("runtime", OTHERS)  # onnxruntime's are in tests/test_int8.py
def test_every_runtime_gives_torch_s_answers_and_those_of_eight_bits_are_near(
    runtime: FileRuntime, tmp_path: Path
) -> None:
    model, images = seen(squeezing())
    network = prepared(model, input_shape=(3, 24, 24), samples=images)
    whole, small = tmp_path / f"float{runtime.suffix}", tmp_path / f"int8{runtime.suffix}"
    made = export_file(network, whole, runtime, input_shape=(3, 24, 24))
    assert made.agreement == 1 and made.relative_difference <= made.tolerance <= 1e-2
    counted = runtime.shrink(network, whole, small, [images.numpy()])
    near = compared(network, runtime.load(small, threads=1))
    # Steps of a 127th of each range through six layers; a scale that is wrong gives a half and more.
    assert 0 < near.relative < 0.2
    assert counted is None or 0 < counted[0] <= counted[1]
    shown = (images[:1].numpy(),)
    subjects = [runtime.subject(name, path, shown, threads=1) for name, path in (("float", whole), ("int8", small))]
    rows = interleave(subjects, threads=1, rounds=5).rows
    assert [row.runtime for row in rows] == [runtime.timed] * 2 and all(row.median_ms > 0 for row in rows)


@pytest.mark.parametrize("runtime", OTHERS)
def test_a_batch_of_several_is_timed_by_its_image(runtime: FileRuntime, tmp_path: Path) -> None:
    assert runtime.timed is not None
    subject = ready("tiny", tiny(), runtime.timed, tmp_path / "0", input_shape=(3, 12, 12), threads=1, batch=4)
    assert (subject.batch, subject.runtime) == (4, runtime.timed)
    subject.run()


def finished(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDERS / "trained", tmp_path / "trained"))


@pytest.mark.parametrize("runtime", OTHERS[:1])  # the way is the same for all
def test_a_run_is_shipped_and_shrunk(runtime: FileRuntime, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finished(tmp_path)
    assert main(["export", str(run), "--to", runtime.name, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    record = json.loads((run / f"export_{runtime.name}.json").read_text())
    assert record["n"] == said["n"] == 64 and record["agreement"] == 1 and record["takes"]["resolution"] == "[12, 12]"
    assert (run / f"model{runtime.suffix}").is_file() and record["weights"]
    of_onnx = run / "model.int8.blocks.json"
    of_onnx.write_text("{}")
    assert main(["export", str(run), "--to", runtime.name, "--int8", "--must", "drop<=20,top1>=10"]) == 0
    assert of_onnx.exists()  # what is known of another runtime's file stays
    assert "the same class first as torch" in capsys.readouterr().out
    found = json.loads((run / f"export_{runtime.name}_int8.json").read_text())
    assert runtime.title in found["runtime"] and found["n"] > 300
    assert (run / f"model.int8{runtime.suffix}").is_file() and not (run / "export_int8.json").exists()
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    signal.raise_signal(signal.SIGUSR1)  # OpenVINO's compiler had freed the stack that this is heard on
    signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


@pytest.mark.skipif(not RUNTIMES["openvino"].installed, reason="openvino is not installed: it is an extra")
def test_openvino_s_files_say_what_they_take(tmp_path: Path) -> None:
    import openvino

    says = Metadata((12, 12), (0.5,) * 3, (0.25,) * 3, classes=("cat", "dög"))
    RUNTIMES["openvino"].export(tiny(), tmp_path / "net.xml", input_shape=(3, 12, 12), metadata=says)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.xml"]
    model = openvino.Core().read_model(tmp_path / "net.xml")
    assert json.loads(str(model.get_rt_info(["convsmith", "classes"]).value)) == ["cat", "dög"]
    assert model.input(0).partial_shape[0].is_dynamic


@pytest.mark.skipif(not RUNTIMES["coreml"].installed, reason="coremltools is not installed: it is an extra")
def test_core_ml_is_converted_says_that_it_was_not_run_and_takes_the_place_of_the_last(tmp_path: Path) -> None:
    for _ in range(2):
        made = RUNTIMES["coreml"].export(tiny(), tmp_path / "net.mlpackage", input_shape=(3, 12, 12))
    assert (tmp_path / "net.mlpackage").is_dir() and "was not run" in made.summary[-1] and made.bytes > 10_000
    with pytest.raises(UserError, match="leave out --int8"):
        cs.export(finished(tmp_path), to="coreml", int8=True)
