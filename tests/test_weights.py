"""Weights in and out: every package's names, what a state dict does not hold, and files that do not fit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file

import convsmith as cs
from convsmith.arch import Padding
from convsmith.errors import UserError
from convsmith.families import names, spec
from convsmith.model import build
from convsmith.weights import Dialect, Numerics, fitted, read
from convsmith.weights.maps import dialects
from convsmith.weights.maps import names as key_names
from convsmith.weights.origins import Origin
from peers import on_meta

timm = pytest.importorskip("timm")


def state_of(name: str, **options: object) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return timm.create_model(name, **options).state_dict()


# ---- names ----


@pytest.mark.parametrize("name", names())
def test_every_dialect_names_every_key_once(name):
    arch = spec(name)
    for dialect in dialects(arch):
        found = key_names(arch, dialect)
        assert list(found) == list(key_names(arch, Dialect.OURS)) and len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", [name for name in names() if timm.is_model(name)])
def test_a_network_with_timms_name_has_timms_keys_and_shapes(name):
    theirs = {key: tensor.shape for key, tensor in on_meta(name).state_dict().items()}
    arch = spec(name)
    ours = build(arch, device="meta").state_dict()
    mapped = {there: ours[here] for here, there in key_names(arch, Dialect.TIMM).items()}
    assert mapped.keys() == theirs.keys()
    for key, tensor in mapped.items():
        assert [n for n in tensor.shape if n != 1] == [n for n in theirs[key] if n != 1], key


def test_what_goes_out_to_timm_comes_back(tmp_path):
    net = cs.create("tinynet_e", seed=3)
    save_file(cs.to_timm(net), tmp_path / "out.safetensors")
    back = cs.create("tinynet_e", weights=tmp_path / "out.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), back.state_dict().values(), strict=True))
    peer = timm.create_model("tinynet_e")
    peer.load_state_dict(cs.to_timm(net))
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        # float32; only the order of summation differs.
        torch.testing.assert_close(net.eval()(x), peer.eval()(x), rtol=1e-4, atol=1e-5)


# ---- what a state dict does not hold ----


def test_numerics_of_the_origin_replace_those_of_the_spec():
    arch = spec("efficientnet_b0")
    theirs = Numerics(eps=1e-5, padding=Padding.SAME, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    fit = fitted(arch, Origin("there", state_of("efficientnet_b0"), theirs))
    assert fit.dialect is Dialect.TIMM and fit.spec.style.norm.eps == 1e-5
    assert fit.spec.style.conv.padding is Padding.SAME and fit.spec.input.mean == (0.5, 0.5, 0.5)
    assert fitted(arch, Origin("a file of ours", build(arch, seed=0).state_dict())).spec == arch


# ---- classes and channels ----


def test_without_a_wish_the_files_classes_are_taken(tmp_path):
    save_file(state_of("tinynet_e", num_classes=12), tmp_path / "twelve.safetensors")
    assert cs.create("tinynet_e", weights=tmp_path / "twelve.safetensors").num_classes == 12


def test_another_number_of_classes_gets_a_fresh_classifier_and_keeps_the_rest(tmp_path):
    state = state_of("tinynet_e")
    save_file(state, tmp_path / "thousand.safetensors")
    net = cs.create("tinynet_e", classes=7, weights=tmp_path / "thousand.safetensors", seed=1)
    assert net.head.fc.weight.shape == (7, 1280) and torch.equal(net.stem.conv.conv.weight, state["conv_stem.weight"])


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_another_number_of_channels_is_what_timm_makes_of_it(channels, tmp_path):
    state = state_of("tinynet_e")
    save_file(state, tmp_path / "rgb.safetensors")
    net = cs.create("tinynet_e", channels=channels, weights=tmp_path / "rgb.safetensors")
    from timm.models._manipulate import adapt_input_conv

    expected = adapt_input_conv(channels, state["conv_stem.weight"])
    torch.testing.assert_close(net.stem.conv.conv.weight.detach(), expected, rtol=1e-6, atol=1e-7)
    assert len(net.spec.input.mean) == channels


def test_a_grey_image_gives_what_it_gave_in_colour(tmp_path):
    save_file(state_of("tinynet_e"), tmp_path / "rgb.safetensors")
    colour, grey = (
        cs.create("tinynet_e", channels=channels, weights=tmp_path / "rgb.safetensors").eval() for channels in (3, 1)
    )
    x = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(x), colour(x.expand(1, 3, 64, 64)), rtol=1e-4, atol=1e-5)  # float32 sums


# ---- files ----


def test_checkpoints_of_training_scripts_are_opened(tmp_path):
    state = state_of("tinynet_e")
    other = {key: torch.zeros_like(tensor) for key, tensor in state.items()}
    wrapped = {f"module.{key}": tensor for key, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": other, "state_dict_ema": wrapped}, tmp_path / "last.pth.tar")
    net = cs.create("tinynet_e", weights=tmp_path / "last.pth.tar")
    assert torch.equal(net.stem.conv.conv.weight, state["conv_stem.weight"])


def test_half_precision_files_are_used_in_full(tmp_path):
    save_file(
        {key: t.half() if t.is_floating_point() else t for key, t in state_of("tinynet_e").items()},
        tmp_path / "h.safetensors",
    )
    assert cs.create("tinynet_e", weights=tmp_path / "h.safetensors").stem.conv.conv.weight.dtype == torch.float32


def test_counters_that_old_files_lack_start_at_zero(tmp_path):
    state = {key: t for key, t in state_of("resnet18").items() if "num_batches" not in key}
    torch.save(state, tmp_path / "old.pth")
    net = cs.create("resnet18", weights=tmp_path / "old.pth")
    assert net.state_dict()["stem.conv.norm.bn.num_batches_tracked"] == 0


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_a_file_that_would_run_code_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(UserError, match="never code"):
        read(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        (None, ".pth", "does not exist"),
        (b"", ".pth", "cannot be read as plain weights"),
        (b"PK\x03\x04 cut", ".pth", "cannot be read as plain weights"),
        (b"not at all", ".safetensors", "no safetensors file that can be read"),
    ],
)
def test_damaged_files_are_named(content, suffix, message, tmp_path):
    path = tmp_path / f"weights{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        cs.create("tinynet_e", weights=path)


def test_a_file_that_is_no_state_dict_is_told(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(UserError, match="holds no state dict"):
        read(tmp_path / "list.pt")


# ---- what does not fit ----


def test_another_variants_file_names_the_variant_that_fits(tmp_path):
    save_file(state_of("resnet34"), tmp_path / "w.safetensors")
    with pytest.raises(UserError) as caught:
        cs.create("resnet18", weights=tmp_path / "w.safetensors")
    message = str(caught.value)
    assert "does not fit resnet18: unknown layer" in message and "shapes are those of resnet34" in message


def test_another_variant_with_other_classes_is_still_recognised(tmp_path):
    save_file(state_of("tinynet_e", num_classes=5), tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="But for the classifier its shapes are those of tinynet_e"):
        cs.create("tinynet_a", weights=tmp_path / "w.safetensors")


def test_an_unknown_network_is_told_by_its_size(tmp_path):
    torch.save({"blob": torch.zeros(11_000_000)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"holds 11,000,000 weights before the classifier; nearest is resnet18"):
        cs.create("resnet50", weights=tmp_path / "w.pth")


# ---- packages and hubs ----


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("timm:tinynet_f", "did you mean 'tinynet_"),
        ("tv:resnet5O", "did you mean 'resnet50'"),
        ("hub:owner/repo", "not pinned"),
        ("hub:owner/repo@main", "not pinned"),
    ],
)
def test_a_wrong_origin_is_told_before_anything_is_fetched(weights, message):
    with pytest.raises(UserError, match=message):
        cs.create("resnet50", weights=weights)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """A model hub with one repository of one file, whose stated hash is `stated`."""

    content = b""
    stated = ""

    def do_GET(self) -> None:
        found = self.path.split("?")[0] == f"/owner/net/resolve/{COMMIT}/model.safetensors"
        self.send_response(200 if found else 404)
        if not found:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{self.stated}"')
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()
        if found and self.command == "GET":
            self.wfile.write(self.content)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("honest", [True, False])
def test_a_hubs_file_is_pinned_by_its_commit_and_checked_by_its_hash(honest, tmp_path):
    pytest.importorskip("huggingface_hub")
    save_file(state_of("tinynet_e"), tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    stated = hashlib.sha256(content if honest else b"other").hexdigest()
    handler = type("OneHub", (Hub,), {"content": content, "stated": stated})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import convsmith as cs\n"
        "try:\n"
        f"    net = cs.create('tinynet_e', weights='hub:owner/net@{COMMIT}')\n"
        "    print(float(net.stem.conv.conv.weight.sum()))\n"
        "except cs.UserError as error:\n"
        "    print(error)\n"
    )
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    server.shutdown()
    server.server_close()
    if honest:
        expected = float(load_file(tmp_path / "w.safetensors")["conv_stem.weight"].sum())
        assert float(done.stdout) == pytest.approx(expected, abs=1e-5), done.stderr
    else:
        assert "is not what the hub states" in done.stdout, done.stdout + done.stderr
