"""What a runtime's profile says of its kernels: which convolution each is, and what each took once watching is taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Filters", "conv_shape", "shared_out"]

# What watching a kernel is taken to cost at most; beyond this, a profile that is slower than the network is slower in all.
_WATCHING_MS = 0.005
_LEAST_MS = 3e-4  # of a convolution: what is left of a small one is rounding

Convolutions = tuple[tuple[tuple[int, ...], float], ...]
# By the names that a profile may give a file's convolutions: the dimensions of the filters, and the groups.
Filters = Mapping[str, tuple[Sequence[int], int]]


def conv_shape(
    name: str, image: Sequence[int], weight: Sequence[int], out: Sequence[int], own: Filters, batch: int = 1
) -> tuple[int, ...]:
    """(channels in, out, kernel, stride, groups, rows, columns) for one image of a `batch`, rows and columns from the types that a
    profile notes, those of several maps one below the other.

    A blocked layout pads channels, of filters too, to its blocks: 8 with AVX2, 16 with AVX-512. So the numbers of channels
    are the file's own, and the profile's only where it calls a convolution by a name that the file has not.
    """
    stride, rows = max(1, round(image[2] / out[2])), out[0] // batch * out[2]
    if known := own.get(name.removesuffix("_kernel_time").removesuffix("_nchwc")):
        dims, groups = known
        return (dims[1] * groups, dims[0], dims[2], stride, groups, rows, out[3])
    groups = max(1, image[1] // weight[1]) if weight[1] > 1 or image[1] == 1 else weight[0]
    if weight[1] * groups != image[1] and weight[1] != 1:
        groups = 1
    return (weight[1] * groups, weight[0], weight[2], stride, groups, rows, out[3])


def shared_out(convs: Convolutions, total: float, kernels: int, ms: float) -> Convolutions:
    """The ms of each convolution, such that all `kernels` together, which took `total` while they were watched, took `ms`.

    Watching costs time: as much for a small kernel as for a large one, and then a share.
    """
    watching = min(max((total - ms) / max(kernels, 1), 0.0), _WATCHING_MS)
    scale = ms / max(total - watching * kernels, 1e-9)
    return tuple((shape, max((took - watching) * scale, _LEAST_MS)) for shape, took in convs)
