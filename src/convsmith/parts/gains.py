"""Gains of activations: gamma = Var[g(x)] ** -1/2 for x ~ N(0, 1) (Brock et al., 2021).

`EXACT` is computed by quadrature; ReLU's is sqrt(2 / (1 - 1/pi)). `RELEASED` are the constants that the authors' code and timm
multiply with: sampled, and so a few parts in ten thousand too high. Weights trained with these need these.
"""

from __future__ import annotations

from ..arch import Act

__all__ = ["EXACT", "RELEASED"]

# fmt: off
EXACT: dict[Act, float] = {
    Act.NONE:         1.0,
    Act.RELU:         1.71285855,
    Act.RELU6:        1.71285856,
    Act.SILU:         1.78718722,
    Act.HARD_SWISH:   1.81387147,
    Act.GELU:         1.70092624,
    Act.SIGMOID:      4.80131337,
    Act.HARD_SIGMOID: 6.01503449,
}

# The authors have none for the hard ones; their exact gains stand in.
RELEASED: dict[Act, float] = EXACT | {
    Act.RELU:    1.7139588594436646,
    Act.RELU6:   1.7131484746932983,
    Act.SILU:    1.7881293296813965,
    Act.GELU:    1.7015043497085571,
    Act.SIGMOID: 4.803835391998291,
}
# fmt: on
