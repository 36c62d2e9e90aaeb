"""A device that is not here: calibrated from what a kit brought back, and then what milliseconds are of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convsmith as cs
from convsmith.arch import ArchSpec
from convsmith.cli import main
from convsmith.codec import to_data
from convsmith.errors import UserError
from convsmith.jobs.scale import met, scale
from convsmith.jobs.search.options import SearchOptions
from convsmith.jobs.search.request import Request
from convsmith.jobs.timing.devices import Aim, clock, in_two, model_of, named
from convsmith.jobs.timing.pick import pick
from convsmith.jobs.train.begin import design_job
from convsmith.kit import Asked, File, Manifest
from convsmith.runs import Limit
from convsmith.speed import Device, DeviceModel, Observed, kernels, members
from convsmith.speed.features import convolutions
from convsmith.watcher import Watcher

NETWORKS = members(10, np.random.default_rng(3), shallow=True)
WATTS = 4.0


def conv_ms(shape: tuple[int, ...]) -> float:
    """A made-up device: 20 MACs a nanosecond for dense convolutions, 4 for depthwise ones, and a start of 3 microseconds."""
    c_in, c_out, kernel, _, groups, rows, columns = shape
    macs = c_out * (c_in // groups) * kernel**2 * rows * columns
    return 0.003 + macs / (4e6 if groups == c_in and groups > 1 else 20e6)


def observe(made: ArchSpec) -> Observed:
    found = kernels(made)
    shapes, times = convolutions(found)
    convs = tuple((shape, conv_ms(shape)) for shape, n in zip(shapes, times, strict=True) for _ in range(int(n)))
    rest = sum(kernel.written * n for kernel, n in found.items() if not kernel.shape and kernel.kind[0] != "+")
    return Observed(made, sum(ms for _, ms in convs) + 3e-7 * rest, convs)


def shown(spec: ArchSpec, batch: int, share: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a profile would say of a batch that takes `share` of the time of as many single ones, and the filters of the file."""
    convs, filters = [], {}
    for at, (shape, ms) in enumerate(observe(spec).convs):
        c_in, c_out, kernel, stride, groups, rows, columns = shape
        dims = (c_out, c_in // groups, kernel, kernel)
        filters[f"conv{at}"] = (dims, groups)
        taken = [[batch, c_in, rows * stride, columns * stride], list(dims)]
        convs.append({"name": f"conv{at}_kernel_time", "ms": ms * batch * share, "taken": taken,
                      "given": [batch, c_out, rows, columns]})  # fmt: skip
    total = observe(spec).ms * batch * share
    return {"convolutions": convs, "ms": total, "kernels": len(convs)}, filters


def put(folder: Path, *, change: Callable[[dict[str, Any]], object] = lambda result: None, **manifest: Any) -> Path:
    """A kit's folder as it is when the result has come back from the made-up device, with batches of one and of four."""
    folder.mkdir(exist_ok=True)
    file, settings = File("networks/none.onnx", "0"), ((2, 1), (2, 4))
    asked = [
        Asked(f"n{at}", one.name, {"1": file, "4": file}, one.input.shape.dims, to_data(one), shown(one, 1, 1.0)[1])
        for at, one in enumerate(NETWORKS)
    ]
    reference = replace(asked[0], id="r0", name="anchor@64")
    made = Manifest(
        runtime="ort", settings=settings, rounds=5, seconds=20.0, group=8, calibrates=True, references=("r0",),
        networks=(reference, *asked), convsmith="1",
    )  # fmt: skip
    made = replace(made, **manifest)
    made.write(folder)
    specs = {"r0": NETWORKS[0]} | {one.id: spec for one, spec in zip(asked, NETWORKS, strict=True)}
    rounds, networks = [], []
    for threads, batch in settings:
        share = 1.0 if batch == 1 else 0.75
        for group, ids in enumerate(made.groups()):
            ms = {id: observe(specs[id]).ms * share for id in ("r0", *ids)}
            rounds += [{"kind": "round", "threads": threads, "batch": batch, "group": group, "ms": ms, "mhz": None,
                        "seconds": 1.0}] * 5  # fmt: skip
        for id, spec in specs.items():
            networks.append({"kind": "network", "threads": threads, "batch": batch, "network": id,
                             "mj": WATTS * observe(spec).ms * share, "profile": shown(spec, batch, share)[0]})  # fmt: skip
    device = {"processor": "Cortex-A72", "system": "Linux aarch64", "cores": 4, "python": "3.9.2",
              "package": "onnxruntime", "version": "1.19.2"}  # fmt: skip
    result = {"kit": Manifest.of(folder)[1], "device": device, "settings": settings, "too_many": [], "slower": 1.0,
              "throttled": False, "rounds": rounds, "networks": networks}  # fmt: skip
    change(result)
    path = folder / "result.json"
    path.write_text(json.dumps(result))
    return path


@pytest.fixture(scope="module", autouse=True)
def _few_to_choose_scales_on() -> Iterator[None]:
    """The process's scales are chosen on sixty convolutions, in a fraction of the time: the laws here hold for any scales."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("convsmith.speed.model._TRIED", 60)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pi4 is calibrated."""
    place = tmp_path_factory.mktemp("store")
    made, path = cs.calibrate_from(put(place / "kit"), "pi4", folder=place)
    assert path == place / "speed" / "devices" / "pi4.json" and len(made.models) == 2
    return place


@pytest.fixture
def kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the user's own cache."""
    monkeypatch.setattr("convsmith.jobs.timing.devices.CACHE", store)
    return store


def test_a_kit_s_model_is_the_one_that_calibrating_there_would_have_made(store: Path) -> None:
    """Two ways to one model: through a result's profiles and groups, and from the times themselves."""
    device = Device("Cortex-A72", "Linux aarch64", "ort", "1.19.2", 2, 1, "pi4")
    direct = DeviceModel.fitted([observe(one) for one in NETWORKS], device, anchors=(), made="", minutes=0.0)
    found = named("pi4", store).at(2, 1)
    assert found.device == device and found.shapes == direct.shapes
    assert found.ln_ms == pytest.approx(direct.ln_ms, rel=1e-9)
    base = cs.spec("mobilenetv2_100").with_resolution(128)
    assert found.ms(base) == pytest.approx(direct.ms(base), rel=1e-6)
    # Of a network that it has seen, the made-up device's own time: what is left is the process's noise term.
    assert found.ms(NETWORKS[2]) == pytest.approx(observe(NETWORKS[2]).ms, rel=0.1)


def test_milliseconds_are_of_an_image_in_a_batch_too(store: Path) -> None:
    one, four = (cs.estimate("resnet18", threads=2, batch=batch, device="pi4", folder=store) for batch in (1, 4))
    # The made-up device takes three quarters of the time for each of four images; the model of each is fitted by itself.
    assert four.ms == pytest.approx(0.75 * one.ms, rel=0.05)
    assert one.low < one.ms < one.high and one.estimated_for == "pi4" and "pi4 (Cortex-A72" in one.told


def test_energy_is_power_over_time(store: Path) -> None:
    assert named("pi4", store).watts == pytest.approx((WATTS, WATTS))
    assert named("pi4", store).millijoules(2, 4, 3.0) == pytest.approx(3 * WATTS)


def test_a_device_without_a_counter_has_no_energy(tmp_path: Path) -> None:
    def without(result: dict[str, Any]) -> None:
        result["networks"] = [one | {"mj": None} for one in result["networks"]]
        result["settings"], result["too_many"] = [[2, 1]], [[2, 4]]  # as of a device of too few cores
        result["rounds"] = [one for one in result["rounds"] if one["batch"] == 1]

    made, _ = cs.calibrate_from(put(tmp_path / "kit", change=without), "bare", folder=tmp_path)
    assert made.watts == (None,) and made.millijoules(2, 1, 3.0) is None
    with pytest.raises(
        UserError, match="bare was not measured with --threads 2 and --batch 4; its kit measured threads x batch 2 x 1"
    ):
        made.at(2, 4)


def test_a_runtime_that_times_no_kernels_is_calibrated_by_whole_networks(tmp_path: Path) -> None:
    def silent(result: dict[str, Any]) -> None:
        result["networks"] = [one | {"profile": None} for one in result["networks"]]

        single(result)

    kit = put(tmp_path / "kit", change=silent, settings=((1, 1),), runtime="litert")
    made, _ = cs.calibrate_from(kit, "phone", folder=tmp_path)
    assert made.runtime == "litert" and made.models[0].device.runtime == "litert"
    new = members(12, np.random.default_rng(11), shallow=True)
    errors = [abs(made.at(1).ms(one) / observe(one).ms - 1) for one in new]
    assert float(np.median(errors)) < 0.3
    found = cs.estimate("resnet18", runtime="litert", device="phone", folder=tmp_path)
    assert found.device.runtime == "litert"


# ---- results that are not believed -----------------------------------------------------------------------------------


def spoil(result: dict[str, Any]) -> None:
    result["rounds"][3]["ms"]["n1"] = float("nan")


def spoil_profile(result: dict[str, Any]) -> None:
    result["networks"][2]["profile"]["convolutions"][0]["ms"] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda result: result.update(kit="f" * 64), r"is of another kit \(ffffffff\) than the one in"),
        (
            lambda result: result.update(throttled=True, slower=1.4),
            "throttled: its last quarter took 1.40 times as long",
        ),
        (spoil, "took nan ms: time it again"),
        (spoil_profile, "a convolution of .* took nan ms: time it again"),
        (lambda result: result["rounds"].pop(), None),  # five rounds are enough without the last
        (lambda result: result.update(rounds=result["rounds"][:-5]), "is cut off or damaged: copy it again"),
        (lambda result: result["networks"].pop(), "is cut off or damaged: copy it again"),
        (lambda result: result.pop("device"), r"is cut off or damaged \(device: Field required\)"),
    ],
)
def test_a_result_that_cannot_be_believed_is_refused_in_one_line(
    change: Callable[[dict[str, Any]], object], said: str | None, tmp_path: Path
) -> None:
    path = put(tmp_path / "kit", change=change)
    if said is None:
        assert cs.confirm(path).rows
        return
    with pytest.raises(UserError, match=said) as refused:
        cs.calibrate_from(path, "pi4", folder=tmp_path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "speed").exists()


def test_a_result_that_was_cut_off_on_its_way_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "kit")
    path.write_text(path.read_text()[:-400])
    with pytest.raises(
        UserError, match=r"is cut off or damaged .*: copy it again, and if `run\.py` did not end start it again"
    ):
        cs.confirm(path)
    with pytest.raises(UserError, match=r"a kit's `run\.py` writes it at its end"):
        cs.confirm(tmp_path / "kit" / "other.json")
    (tmp_path / "kit" / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"is no kit, it has no manifest\.json"):
        cs.confirm(path)


def test_a_throttled_device_is_taken_where_somebody_says_so(tmp_path: Path) -> None:
    path = put(tmp_path / "kit", change=lambda result: result.update(throttled=True))
    assert cs.confirm(path, accept_throttled=True).rows


def test_a_kit_of_the_user_s_networks_does_not_calibrate(tmp_path: Path) -> None:
    path = put(tmp_path / "kit", calibrates=False)
    with pytest.raises(UserError, match="is of a kit of your own networks: `convsmith confirm` reads it"):
        cs.calibrate_from(path, "pi4", folder=tmp_path)


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "MPS"])
def test_what_torch_computes_on_is_no_name_of_a_device_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is what torch computes on here"):
        cs.calibrate_from(tmp_path / "result.json", name)


@pytest.mark.parametrize("name", ["", "../pi4", "a b", "-x", "x" * 65])
def test_a_name_is_a_file_s(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no name of a device"):
        cs.calibrate_from(tmp_path / "result.json", name)


def test_an_unknown_device_is_told_what_is_known(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no device 'pi5'; calibrated are pi4: .*; did you mean 'pi4'\?"):
        named("pi5", store)
    with pytest.raises(UserError, match="there is no device 'pi5'; none is calibrated yet"):
        named("pi5", tmp_path)


def test_two_devices_of_a_kind_are_one_too_many() -> None:
    assert in_two("cuda, pi4") == in_two("pi4,cuda") == ("cuda", "pi4")
    for given in ("pi4,pi5", "cpu,cuda", "pi4,"):
        with pytest.raises(UserError, match="one that torch computes on and one whose milliseconds are meant"):
            in_two(given)


def test_a_damaged_device_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speed" / "devices" / "pi4.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"name": "pi4"}')
    with pytest.raises(UserError, match="is not a calibrated device"):
        named("pi4", tmp_path)


def test_this_machine_s_calibration_is_of_one_image_and_another_runtime_is_refused(store: Path) -> None:
    with pytest.raises(UserError, match="--batch is of a device that a kit measured"):
        model_of(None, batch=2)
    with pytest.raises(UserError, match="pi4 was measured in ort, and --runtime eager is another"):
        model_of("pi4", "eager", 2, folder=store)


# ---- milliseconds of it, by every verb that has a budget ---------------------------------------------------------------


def test_scale_goes_by_the_device_s_estimate_and_says_so(kept: Path) -> None:
    base = cs.spec("mobilenetv2_100")
    limit = 0.6 * model_of("pi4", threads=2).ms(base)
    found = scale(base, to=f"{limit:.4g}ms", threads=2, device="pi4")
    assert found.latency is not None
    assert 0.9 * limit < found.latency.median_ms <= limit * 1.0001  # the limit is rounded to four digits
    assert found.latency.median_ms == cs.estimate(found.spec, threads=2, device="pi4").ms
    assert met(found)["ms"].estimated_for == "pi4"
    with pytest.raises(UserError, match="pi4 was not measured with --threads 1"):
        scale(base, to="5ms", device="pi4")
    with pytest.raises(UserError, match="--device is of milliseconds, and '20M-macs' limits none"):
        scale(base, to="20M-macs", device="pi4")


def test_pick_ranks_by_the_device_s_estimate(kept: Path) -> None:
    limit = model_of("pi4", threads=2).ms(cs.spec("mobilenetv2_100"))
    found = pick(f"{limit:.4g}ms", pattern="mobilenetv2*", threads=2, device="pi4", scaled=False)
    assert found.picks and all(
        one.latency is not None and one.latency.median_ms <= limit * 1.0001 for one in found.picks
    )
    assert any("estimated for pi4 (Cortex-A72" in note for note in found.notes)
    assert found.picks[0].to_record()["latency"]["estimated_for"].startswith("pi4")  # type: ignore[index]
    with pytest.raises(UserError, match="--counts-only shows none"):
        pick("20M-macs", timed=False, device="pi4")


def test_design_trains_here_for_a_device_elsewhere(kept: Path, tmp_path: Path) -> None:
    def designed(device: str, to: str) -> Any:
        options = cs.Options(device=device, parent=tmp_path)
        return design_job("digits", to, "mobilenetv2_035", None, options, Watcher())

    only = put(tmp_path / "kit", settings=((1, 1),), change=single)
    cs.calibrate_from(only, "single", folder=kept)
    job = designed("cpu,single", "5ms")
    assert job.options.device == "cpu"
    assert met(job.found)["ms"].estimated_for == "single" and met(job.found)["ms"].actual <= 5
    with pytest.raises(UserError, match=r"there is no device 'singel'; calibrated are .*; did you mean 'single'"):
        designed("singel", "5ms")


def single(result: dict[str, Any]) -> None:
    """The result as of one thread and one image."""
    result["settings"] = [[1, 1]]
    for kind in ("rounds", "networks"):
        result[kind] = [one | {"threads": 1} for one in result[kind] if one["batch"] == 1]


def test_search_estimates_for_a_device_elsewhere(kept: Path) -> None:
    asked = Request.of("digits", "5ms", cs.Options(device="cpu,pi4"), SearchOptions(threads=2))
    assert (asked.options.device, asked.how.aimed) == ("cpu", "pi4")
    assert to_data(asked.how)["aimed"] == "pi4" and "aimed" not in to_data(SearchOptions())
    with clock(Aim(threads=2, device="pi4"), Watcher()) as watch:
        assert watch(cs.spec("resnet18")) == cs.estimate("resnet18", threads=2, device="pi4")
    with pytest.raises(UserError, match="pi4 is of budgets in milliseconds, and none of these is"):
        Request.of("digits", "2M-macs", cs.Options(device="pi4"), SearchOptions())


def test_a_limit_says_whose_milliseconds_it_is_of_and_older_ones_stay_as_they_were() -> None:
    assert Limit(5, 4.0).to_record() == {"limit": 5, "is": 4.0, "slack": pytest.approx(0.2)}
    assert Limit(5, 4.0, "pi4").to_record()["estimated_for"] == "pi4"


# ---- the loop is closed ----------------------------------------------------------------------------------------------


def sent(folder: Path, limit: float) -> Path:
    """A kit of networks that were estimated for pi4, come back."""
    path = put(folder, calibrates=False, device="pi4")
    text = json.loads((folder / "manifest.json").read_text())
    for one in text["networks"][1:]:
        one |= {"limit": limit, "expected": [limit * 0.97, None]}
    (folder / "manifest.json").write_text(json.dumps(text))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kit": Manifest.of(folder)[1]}))
    return path


def test_what_comes_back_is_met_or_missed_by_how_much(store: Path, tmp_path: Path) -> None:
    usual = observe(NETWORKS[4]).ms
    found = cs.confirm(sent(tmp_path / "kit", 2 * usual), folder=store)
    row = found.rows[4]
    assert row.met and row.verdict == f"met {2 * usual:g} ms, 50.0% under it"
    assert row.expected == pytest.approx(1.94 * usual) and row.mj == pytest.approx(WATTS * usual)
    assert found.level == pytest.approx(1.0)  # the anchor takes what it took at the calibration
    assert found.device.startswith("pi4 (Cortex-A72")
    tight = cs.confirm(sent(tmp_path / "tight", usual / 1.25), folder=store).rows[4]
    # A quarter over the limit: as far below what was expected is what to ask for.
    assert tight.met is False and tight.next == pytest.approx(0.97 * usual / 1.25**2)
    assert tight.verdict == f"missed {usual / 1.25:g} ms by 25.0%: scale again with --to {tight.next:.3g}ms"


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line_says_whose_milliseconds_these_are(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str, code: int = 0) -> dict[str, Any]:
        assert main([*words, "--json"]) == code, capsys.readouterr().err
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    path = put(tmp_path / "kit", settings=((1, 1),), change=single)
    made = told("calibrate", "--from", str(path), "--device", "board", "--folder", str(tmp_path))
    assert made["name"] == "board" and [one["watts"] for one in made["models"]] == pytest.approx([WATTS])
    assert made["models"][0]["device"] == "board (Cortex-A72, ort 1.19.2, 1 thread)"
    found = told("estimate", "resnet18", "--device", "pi4", "--threads", "2", "--batch", "4")
    assert found["device"].startswith("pi4 (") and set(found["predictions"][0]) == {"model", "ms", "low", "high", "mj"}
    scaled = told("scale", "mobilenetv2_100", "--to", "1ms", "--device", "pi4", "--threads", "2")
    assert scaled["met"]["ms"]["estimated_for"] == "pi4" and scaled["latency"]["estimated_for"].startswith("pi4 (")
    missed = told("confirm", str(sent(tmp_path / "winner", 1e-3)), code=1)
    assert "missed 0.001 ms" in missed["error"] and not any(one["met"] for one in missed["networks"] if one["limit"])
    assert main(["estimate", "resnet18", "--device", "pi4", "--threads", "2"]) == 0
    assert "estimated for pi4 (Cortex-A72, ort 1.19.2, 2 threads)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("calibrate --device pi4", "--from and --device go together"),
        ("calibrate --from kit/result.json", "--from and --device go together"),
        ("calibrate --from kit/result.json --device pi4 --threads 4", "a kit has its own"),
        ("scale resnet18 --to 5ms --confirm kit", "--confirm is of a device that is elsewhere"),
        ("estimate resnet18 --device pi6 --threads 2", "did you mean 'pi4'?"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    words: str, said: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error and "Traceback" not in error
