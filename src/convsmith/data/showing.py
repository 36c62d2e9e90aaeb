"""How an image is shown to a network of some sides, and many of them as one batch.

There are two ways. Of what an image is as a whole, its middle says most: it is resized until it just covers the network's sides,
and the middle is cut out. Targets that lie somewhere in it (`moved`) may lie anywhere: it is resized to fit into the sides, both
alike, stands at the top left, and the rest is black.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .inputs import Arrays, Boxed, Corrupted, Encoded, Files, Films, Inputs, Items, Joined
from .moves import Move
from .pictures import unwarned
from .resize import central, covering, fitting, resized
from .split import Split

__all__ = [
    "Sides", "alone", "centred", "enough", "move_shown", "move_whole", "shares", "shown", "shown_of", "stacked", "threads_for",
]  # fmt: skip

# The height and the width of what a network is shown.
Sides = tuple[int, int]


def shown_of(split: Split, indices: np.ndarray, sides: Sides, channels: int, crop: float) -> tuple[Tensor, np.ndarray]:
    """Images as evaluation shows them, and the positions in `indices` of those that could be read."""
    inputs, whole = split.inputs, split.targets.moved
    if isinstance(inputs, Arrays):
        seen = _seen(inputs.several(indices, channels), sides, crop, whole)
        # Grey shown as RGB is one plane seen three times, which nothing may write to.
        return seen.contiguous(memory_format=torch.channels_last), np.arange(len(indices))

    def decode(j: int, least: int) -> Tensor:
        return inputs.decode(indices[j], channels=channels, least=least)

    return shown(
        decode, len(indices), sides=sides, channels=channels, crop=crop, threads=threads_for(inputs), whole=whole
    )


def shown(
    picture: Callable[[int, int], Tensor],
    n: int,
    *,
    sides: Sides,
    channels: int,
    crop: float = 1.0,
    threads: int = 1,
    whole: bool = False,
) -> tuple[Tensor, np.ndarray]:
    """`n` images as evaluation shows them, uint8 (n, channels, height, width), and the numbers of those that could be read:
    the others are left out. `whole` images fit into the sides, for heads that find something in them (`Head.whole`).

    `picture(j, least)` is image j as uint8 (channels, height, width) whose short side keeps `least` pixels where it had as
    many; it raises OSError where it cannot be read, and is called by `threads` threads.
    """
    least = enough(sides, crop)

    def image(j: int) -> Tensor:
        return _seen(alone(picture(j, least)), sides, crop, whole)

    return stacked(n, image, sides, channels, threads=threads)


def move_whole(size: Sides, sides: Sides) -> Move:
    """Where the pixels of a whole picture of `size`, shown to a network of `sides`, lie in it."""
    return Move.crop_resize((0, 0, *size), fitting(sides, *size))


def move_shown(inputs: Inputs, i: int, sides: Sides, crop: float, *, whole: bool) -> Move:
    """Where the pixels of image `i`, as `shown_of` shows it, lie in its picture."""
    height, width = inputs.size(i, least=enough(sides, crop))
    origin = inputs.origin(i, height, width)
    if whole:
        return origin.then(move_whole((height, width), sides))
    part = central(_around(sides, crop), height, width)
    around = covering(_around(sides, crop), *part[2:])
    resize = Move.crop_resize(part, around)
    return origin.then(resize).then(Move.crop_resize((*_middle(around, sides), *sides), sides))


def stacked(
    n: int, image: Callable[[int], Tensor], sides: Sides, channels: int, *, threads: int, frames: int = 0
) -> tuple[Tensor, np.ndarray]:
    """`image(0)` to `image(n - 1)`, each a batch of one, as one batch without those that cannot be read; and the numbers of the
    others. With `frames` each is as many of a film, which are held together: (n, channels, frames, height, width)."""
    # Channels last, and laid out here, by a worker where there are workers, rather than by the loop that trains. Filled by
    # NumPy: torch would wake its own threads for every image.
    batch = np.empty((n, *((frames,) if frames else ()), *sides, channels), np.uint8)

    def filled(j: int) -> bool:
        try:
            pixels = image(j).permute(0, 2, 3, 1).numpy()
            batch[j] = pixels if frames else pixels[0]
        except OSError:  # a file vanished since it was checked: its batch counts it
            return False
        return True

    def every(first: int) -> list[bool]:
        return [filled(j) for j in range(first, n, threads)]

    read = np.zeros(n, dtype=bool)
    with unwarned():
        if threads == 1:
            read[:] = every(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for first, part in enumerate(pool.map(every, range(threads))):
                    read[first::threads] = part
    kept = np.flatnonzero(read)
    return torch.from_numpy(batch if len(kept) == n else batch[kept]).movedim(-1, 1), kept


def threads_for(inputs: Inputs) -> int:
    """How many threads make a batch: of images to be decoded, torch's own number up to eight, one in a worker; else one."""
    if isinstance(inputs, Corrupted):  # work for threads wherever the images lie, but that a user's dataset may mind
        return 1 if isinstance(inputs.inputs, Items) else min(8, torch.get_num_threads())
    return min(8, torch.get_num_threads()) if isinstance(inputs, Files | Encoded | Joined | Boxed | Films) else 1


def alone(image: Tensor) -> Tensor:
    """An image as a batch of one, of which torch can see that a pixel's channels lie together: its answer does, too."""
    return image.permute(1, 2, 0)[None].permute(0, 3, 1, 2)


def _seen(images: Tensor, sides: Sides, crop: float, whole: bool) -> Tensor:
    """A batch of one size as a network of `sides` is shown it."""
    return _fitted(images, sides) if whole else centred(images, sides, crop)


def _fitted(images: Tensor, sides: Sides) -> Tensor:
    """A batch of one size, made to fit into `sides`, at the top left of black."""
    height, width = fitting(sides, *images.shape[2:])
    images = resized(images, height, width)
    return images if (height, width) == sides else pad(images, (0, sides[1] - width, 0, sides[0] - height))


def centred(images: Tensor, sides: Sides, crop: float, share: float = 0.5) -> Tensor:
    """A batch of one size, made to cover round(sides / crop), then its middle; or what has a `share` of the rest before it."""
    around = _around(sides, crop)
    top, left, height, width = central(around, images.shape[2], images.shape[3])
    images = resized(images[:, :, top : top + height, left : left + width], *covering(around, height, width))
    top, left = _middle((images.shape[2], images.shape[3]), sides, share)
    return images[:, :, top : top + sides[0], left : left + sides[1]]


def _around(sides: Sides, crop: float) -> Sides:
    """What the middle of `sides` is cut out of."""
    return round(sides[0] / crop), round(sides[1] / crop)


def _middle(whole: Sides, sides: Sides, share: float = 0.5) -> Sides:
    """Where the middle begins, from the top and from the left; along the longer side, what has a `share` of the rest before it."""
    rest = [whole[0] - sides[0], whole[1] - sides[1]]
    along = int(whole[1] * sides[0] >= whole[0] * sides[1])
    begins = [one // 2 for one in rest]
    begins[along] = int(share * rest[along])
    return begins[0], begins[1]


def shares(crops: int) -> list[float]:
    """Where crops lie side by side, from one end to the other."""
    return [0.5] if crops == 1 else [k / (crops - 1) for k in range(crops)]


def enough(sides: Sides, crop: float) -> int:
    """Twice the pixels needed: the quick reduction inside the JPEG decoder then does not show after the resize."""
    return 2 * max(_around(sides, crop))
