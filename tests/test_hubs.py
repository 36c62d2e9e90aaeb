"""Hubs out of reach: told once and soon; what was fetched before is read all the same."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import convsmith as cs
from convsmith.weights import hubs

COMMIT = "0123456789abcdef0123456789abcdef01234567"
constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a hub that is not there, empty caches, and no proxies."""
    with socket.socket() as held:  # bound and not listening: nobody else gets the port, and nobody answers
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))
        monkeypatch.setattr(hubs, "getproxies", dict)
        yield address


def cached(repo: str, content: Path, root: Path) -> None:
    """A file as the hub's client keeps it once it is fetched."""
    digest = hashlib.sha256(content.read_bytes()).hexdigest()
    folder = root / "cache" / f"models--{repo.replace('/', '--')}"
    for part in ("blobs", f"snapshots/{COMMIT}", "refs"):
        (folder / part).mkdir(parents=True)
    content.rename(folder / "blobs" / digest)
    (folder / "snapshots" / COMMIT / "model.safetensors").symlink_to(folder / "blobs" / digest)
    (folder / "refs" / "main").write_text(COMMIT)


@pytest.mark.parametrize("weights", ["timm:tinynet_e", "timm:tinynet_e.in1k", f"hub:owner/net@{COMMIT}"])
def test_a_hub_out_of_reach_is_told_once(weights: str, nowhere: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("timm")
    with pytest.raises(
        cs.UserError, match=f"{weights} could not be fetched: 127.0.0.1:.* cannot be reached .Connection refused"
    ):
        cs.create("tinynet_e", weights=weights)
    assert capfd.readouterr().err == ""


def test_torchvisions_too(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import ResNet18_Weights

    def fetched(*given: object, **named: object) -> None:
        raise AssertionError("nothing is to be fetched")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetched)
    monkeypatch.setattr(hubs, "_silence", lambda url: "no route" if url == ResNet18_Weights.DEFAULT.url else "")
    with pytest.raises(
        cs.UserError, match=r"tv:resnet18 could not be fetched: download\.pytorch\.org cannot be reached"
    ):
        cs.create("resnet18", weights="tv:resnet18")


def test_one_that_never_answers_is_waited_for_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "PATIENCE", 0.2)
    monkeypatch.setattr(hubs, "_silence", lambda url: time.sleep(5) or "")  # type: ignore[func-returns-value]
    with pytest.raises(cs.UserError, match=r"no answer within 0.2 s"):
        hubs.refuse_unreachable("https://example.com", "hub:x")
    assert hubs.PATIENCE <= 8


def test_any_answer_will_do(nowhere: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        from threading import Thread

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        Thread(target=answer, daemon=True).start()
        hubs.refuse_unreachable(f"http://127.0.0.1:{server.getsockname()[1]}", "hub:x")


def test_what_was_fetched_before_is_read_without_a_network(nowhere: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    state = timm.create_model("tinynet_e").state_dict()
    save_file(state, tmp_path / "w.safetensors")
    cached("timm/tinynet_e.in1k", tmp_path / "w.safetensors", tmp_path)
    for weights in ("timm:tinynet_e", f"hub:timm/tinynet_e.in1k@{COMMIT}"):
        net = cs.create("tinynet_e", weights=weights)
        assert torch.equal(net.state_dict()["stem.conv.conv.weight"], state["conv_stem.weight"])


def test_what_torchvision_fetched_before_too(nowhere: str, tmp_path: Path) -> None:
    from torchvision.models import ResNet18_Weights, resnet18

    folder = tmp_path / "torch" / "checkpoints"
    folder.mkdir(parents=True)
    state = resnet18(weights=None).state_dict()
    torch.save(state, folder / Path(ResNet18_Weights.DEFAULT.url).name)
    net = cs.create("resnet18", weights="tv:resnet18")
    assert torch.equal(net.state_dict()["stem.conv.conv.weight"], state["conv1.weight"])


def test_without_timm_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(cs.UserError, match=r"pip install 'convsmith\[timm\]'"):
        cs.create("resnet18", weights="timm:resnet18")
    with pytest.raises(cs.UserError, match=r"pip install 'convsmith\[timm\]'"):
        cs.measure(["timm:resnet18"])
