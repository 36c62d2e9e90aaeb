"""Images and what should come of them: found, checked, split, augmented, and served in batches.

| file        | what                                                              |
| ----------- | ----------------------------------------------------------------- |
| `load`      | `load_data`: a name, a folder or a file becomes `ImageData`       |
| `scored`    | `load_to_score`: images that a trained network is tried on        |
| `found`     | what a user can name, found, in its parts                         |
| `dividing`  | what is set aside of images that are not divided yet              |
| `how`       | what is said of points in pictures beside the name of the data    |
| `oddities`  | what is told of images: all but black, there twice                |
| `readers`   | what can be named: folders, arrays, known sets                    |
| `moving`    | moving digits that are drawn                                      |
| `quad`      | walking animals that are drawn                                    |
| `images`    | `ImageData`: what loading makes of it                             |
| `split`     | inputs and targets of one part                                    |
| `inputs`    | images in memory, encoded, or on disk, behind one small interface |
| `targets`   | what should come out, behind another                              |
| `moves`     | where the network's pixels lie in the picture                     |
| `pictures`  | decoding, and finding what cannot be decoded                      |
| `films`     | films, frame by frame                                             |
| `reels`     | where each frame of a film lies in its file                       |
| `spans`     | which frames of a film make a clip                                |
| `resize`    | resizing                                                          |
| `cache`     | images decoded once, and mapped by all processes that train       |
| `sample`    | random numbers by address                                         |
| `augment`   | what may happen to a training image                               |
| `given`     | images as a user hands them over: paths, globs, pictures, arrays  |
| `showing`   | how an image is shown to a network                                |
| `batches`   | streams of batches that can start anywhere                        |
| `normalise` | bytes to floats on the device                                     |
| `transform` | one image as a network is shown it                                |
"""

from .batches import Batch, check_channels, eval_batches, held, least_side, steps_per_epoch, train_batches
from .cache import Cache
from .dividing import divided, folded
from .found import NAMES
from .images import ImageData, Skipped
from .inputs import Arrays, Boxed, Cached, Corrupted, Encoded, Files, Films, Inputs, Items, Joined, MapStyle
from .load import load_data
from .moves import Move
from .normalise import Normalise
from .scored import NotDivided, ToScore, load_to_score
from .spans import Span, Views, span_of
from .split import Split
from .targets import Answers, Body, Instances, Joints, Labels, ManyLabels, Objects, Points, Targets, Truth
from .transform import Transform

__all__ = [
    "NAMES",
    "Answers",
    "Arrays",
    "Batch",
    "Body",
    "Boxed",
    "Cache",
    "Cached",
    "Corrupted",
    "Encoded",
    "Files",
    "Films",
    "ImageData",
    "Inputs",
    "Instances",
    "Items",
    "Joined",
    "Joints",
    "Labels",
    "ManyLabels",
    "MapStyle",
    "Move",
    "Normalise",
    "NotDivided",
    "Objects",
    "Points",
    "Skipped",
    "Span",
    "Split",
    "Targets",
    "ToScore",
    "Transform",
    "Truth",
    "Views",
    "check_channels",
    "divided",
    "eval_batches",
    "folded",
    "held",
    "least_side",
    "load_data",
    "load_to_score",
    "span_of",
    "steps_per_epoch",
    "train_batches",
]
