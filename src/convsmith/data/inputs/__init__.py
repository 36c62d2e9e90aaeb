"""What a network is shown, behind one small interface.

| file        | images ...                                           |
| ----------- | ---------------------------------------------------- |
| `arrays`    | of one size, in memory                               |
| `encoded`   | in memory, as the bytes of their files               |
| `files`     | on disk                                              |
| `joined`    | of several kinds, one after another                  |
| `cached`    | decoded once, and mapped by all processes that train |
| `clips`     | of films: some frames of each, or one                |
| `items`     | of a dataset of the user's own                       |
| `boxed`     | a box of each of others                              |
| `corrupted` | of any of these, spoilt                              |
"""

from .arrays import Arrays
from .boxed import Boxed
from .cached import Cached, CachedFilms, Pixels
from .clips import Clips, Films
from .corrupted import Corrupted
from .encoded import Encoded
from .files import Files
from .inputs import Inputs, as_channels
from .items import Items, MapStyle
from .joined import Joined

__all__ = [
    "Arrays",
    "Boxed",
    "Cached",
    "CachedFilms",
    "Clips",
    "Corrupted",
    "Encoded",
    "Files",
    "Films",
    "Inputs",
    "Items",
    "Joined",
    "MapStyle",
    "Pixels",
    "as_channels",
]
