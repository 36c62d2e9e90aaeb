"""What is known of layers, kept on disk: a verdict is asked for once, whatever ends the search that asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ...errors import UserError
from ...files import append_line, write_text
from .trying import BROKEN, Tried

__all__ = ["LayerStore", "Seen"]


@dataclass(frozen=True)
class Seen:
    """What a layer by itself came to: why it is not worth a network, and the fingerprints of what it computes."""

    refused: str = ""
    exact: str = ""
    standardised: str = ""


# What every line begins with.
FIRST = '{"key": "'


class LayerStore:
    """Verdicts by the text of a layer, one a line in `path`, under `key`: a digest of all that they depend on beside the layer.

    Lines of other keys are left alone, so that one file may serve several searches. A line that a killed process left half
    written is dropped.

    Raises:
        UserError: the file is there and holds something else.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.seen: dict[str, Seen] = {}
        self.tried: dict[str, Tried] = {}
        self._path, self._key = path, key
        kept = []
        text = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
        if not (text.startswith(FIRST) or FIRST.startswith(text)):
            raise UserError(
                f"{path} holds something else than scores of layers, and is left as it is: name another file"
            )
        for line in text.splitlines():
            try:
                own = json.loads(line)
                if own["key"] == key:
                    self._take(own)
            except (ValueError, KeyError, TypeError):
                continue
            kept.append(line)
        whole = "".join(f"{line}\n" for line in kept)
        if whole != text:
            write_text(path, whole)

    def see(self, layer: str, seen: Seen) -> Seen:
        """Keep what a layer by itself came to."""
        self.seen[layer] = seen
        self._write({"layer": layer, "seen": {name: value for name, value in asdict(seen).items() if value}})
        return seen

    def try_(self, layer: str, came_to: Tried) -> None:
        """Keep what a layer came to in networks; one that broke, as where memory was short, is tried again another time."""
        self.tried[layer] = came_to
        if came_to.refused != BROKEN:
            self._write({"layer": layer, "tried": {name: value for name, value in asdict(came_to).items() if value}})

    def _take(self, line: dict[str, object]) -> None:
        layer = str(line["layer"])
        if isinstance(own := line.get("seen"), dict):
            self.seen[layer] = Seen(**own)
        elif isinstance(own := line.get("tried"), dict):
            self.tried[layer] = Tried(**(own | {"scores": tuple(own.get("scores", ()))}))
        else:
            raise ValueError("it says nothing of the layer")

    def _write(self, line: dict[str, object]) -> None:
        append_line(self._path, json.dumps({"key": self._key} | line))
