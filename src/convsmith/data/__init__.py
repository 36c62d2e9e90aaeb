"""Images for classification: found, checked, split, augmented, and served in batches.

| file        | what                                                              |
| ----------- | ----------------------------------------------------------------- |
| `load`      | `load_data`: a name, a folder or a file becomes `ImageData`       |
| `folder`    | class-per-folder directories                                      |
| `npz`       | arrays                                                            |
| `named`     | `digits` and torchvision's sets                                   |
| `pictures`  | decoding, and finding what cannot be decoded                      |
| `split`     | images in memory, encoded, or on disk, behind one small interface |
| `cache`     | images decoded once, and mapped by all processes that train       |
| `sample`    | random numbers by address                                         |
| `augment`   | what may happen to a training image                               |
| `given`     | images as a user hands them over: paths, globs, pictures, arrays  |
| `batches`   | streams of batches that can start anywhere                        |
| `normalise` | bytes to floats on the device                                     |
"""

from .batches import Batch, eval_batches, held, least_side, steps_per_epoch, train_batches
from .cache import Cache, CachedSplit
from .load import NAMES, ImageData, Skipped, divided, load_data
from .normalise import Normalise
from .split import ArraySplit, EncodedSplit, FileSplit, JoinedSplit, Split

__all__ = [
    "NAMES",
    "ArraySplit",
    "Batch",
    "Cache",
    "CachedSplit",
    "EncodedSplit",
    "FileSplit",
    "ImageData",
    "JoinedSplit",
    "Normalise",
    "Skipped",
    "Split",
    "divided",
    "eval_batches",
    "held",
    "least_side",
    "load_data",
    "steps_per_epoch",
    "train_batches",
]
