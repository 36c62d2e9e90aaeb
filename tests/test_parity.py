"""The same weights give the same logits and gradients as timm's and torchvision's networks.

`bench/parity.py` holds the pairs and writes the table of docs/parity.md.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("timm")
from convsmith.arch import Padding
from convsmith.model import build
from parity import PAIRS, apart, distance, twins


@pytest.mark.parametrize(("ours", "theirs", "side"), PAIRS, ids=lambda value: str(value))
def test_logits_and_gradients_are_theirs(ours: str, theirs: str, side: int) -> None:
    found = distance(ours, theirs, side)
    # float64: the order of summation may differ, and many layers amplify it.
    assert found.evaluation <= 1e-9 and found.training <= 1e-9 and found.gradients <= 1e-8


@pytest.mark.parametrize("wrong", ["padding", "eps"])
def test_what_a_state_dict_does_not_hold_shows(wrong: str) -> None:
    """The parity above would notice: with the same weights, another padding or epsilon is another network."""
    mine, _ = twins("tf_efficientnet_lite0", "timm:tf_efficientnet_lite0", torch.float64)
    style = mine.spec.style
    other = build(
        mine.spec.with_style(conv=replace(style.conv, padding=Padding.SYMMETRIC))
        if wrong == "padding"
        else mine.spec.with_style(norm=replace(style.norm, eps=1e-1))
    ).double()
    other.load_state_dict(mine.state_dict())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        assert apart([other.eval()(x)], [mine.eval()(x)]) > 1e-3
