"""Which nodes of an exported graph compute which unit of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto

__all__ = ["units_of"]


def units_of(graph: GraphProto, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The names of the nodes that compute each unit of `paths`, those of a plan in order; without units that have none.

    A node belongs to the unit that its weights are named after. One without weights, such as an activation or the sum with a
    skip, belongs with the last of the units that it reads.
    """
    weights = {one.name for one in graph.initializer}
    found: dict[str, list[str]] = {path: [] for path in paths}
    places = {path: place for place, path in enumerate(paths)}
    made: dict[str, int] = {}  # by tensor, the place of the unit that puts it out
    for node in graph.node:
        own = [places[path] for name in node.input if name in weights and (path := _unit(name, places)) is not None]
        place = max(own or (made[name] for name in node.input if name in made), default=0)
        made.update(dict.fromkeys(node.output, place))
        found[paths[place]].append(node.name)
    return {path: tuple(nodes) for path, nodes in found.items() if nodes}


def _unit(name: str, places: dict[str, int]) -> str | None:
    """The unit that a weight is named after, be it by itself or inside what a head is wrapped in to be deployed."""
    rest = name
    while rest:
        path = rest
        while path and path not in places:
            path = path.rpartition(".")[0]
        if path:
            return path
        rest = rest.partition(".")[2]
    return None
