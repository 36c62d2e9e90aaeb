"""Parts of one's own beside `PARTS`: made known by `register`, found in plugins, read from files.

Code is run only where its user names it: an installed package by the entry point group `convsmith.parts`, a file or module by
`plug_in`. A run folder says where its parts are written, and is never asked to run them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from .arch import ArchSpec, OwnPart, Part
from .codec import from_json, kinds_in, readable
from .errors import UserError, first_line
from .parts import PARTS

__all__ = [
    "GROUP",
    "origins",
    "plug_in",
    "plug_in_all",
    "plugged",
    "read",
    "refuse_unreadable",
    "register",
    "registered",
]

GROUP = "convsmith.parts"  # of entry points: each a part, or a module that registers its own
T = TypeVar("T")
P = TypeVar("P", bound=type[Part])


# Of this process: the parts by kind, and what `plug_in` was given, for processes that are to know the same.
_parts: dict[str, tuple[type[Part], OwnPart]] = {}
_plugged: dict[str, None] = {}


def register(part: P) -> P:
    """Make a part of one's own known, so that files with its `kind` can be read; a class decorator, too.

    Any part may be one: a block, a stem, a norm (with its activation), a convolution, a mixer, a neck, a head. A class that is
    defined anew, as when its module is loaded again, takes the place of the old one.

    Raises:
        UserError: no frozen dataclass that is a `Part`, one that cannot be built or read from JSON, or a `kind` that is taken.

    >>> from dataclasses import dataclass
    >>> @register
    ... @dataclass(frozen=True)
    ... class Plain(Part):
    ...     kind = "plain_example"
    >>> registered()[-1] is Plain
    True
    """
    if problem := _problem(part):
        name = getattr(part, "__name__", repr(part))
        raise UserError(f"{name} cannot be registered: {problem}")
    origin = _origin(part)
    taken = {own.kind: own for own in PARTS} | {kind: own for kind, (own, _) in _parts.items()}
    other = taken.get(part.kind)
    if other is not None and not (part.kind in _parts and _same(part, origin, *_parts[part.kind])):
        raise UserError(
            f"the kind '{part.kind}' is taken by {other.__module__}.{other.__qualname__}; give {part.__name__} another"
        )
    _parts[part.kind] = part, origin
    return part


def registered() -> tuple[type[Part], ...]:
    """The parts of one's own that are known by now."""
    return tuple(part for part, _ in _parts.values())


def origins(kinds: Iterable[str]) -> tuple[OwnPart, ...]:
    """Where those of one's own among these kinds are written."""
    return tuple(_parts[kind][1] for kind in sorted(kinds) if kind in _parts)


def read(cls: type[T], text: str, *, source: str, made_of: Sequence[OwnPart] = ()) -> T:
    """The value that JSON text says in terms of parts. `made_of` is where its parts of one's own were written.

    Raises:
        UserError: whatever is wrong with it; a part that is not known here, or is not what it was, with the remedy.
    """
    unknown = kinds_in(text) - {part.kind for part in PARTS} - _parts.keys()
    if unknown:
        _find_installed()
    for origin in made_of:
        _refuse_other(origin, source)
    try:
        return from_json(cls, text, (*PARTS, *registered()), source=source)
    except UserError as error:
        if unknown - _parts.keys():
            raise UserError(
                f"{error}\na part of your own is made known by --plugin FILE.py, in Python by cs.register"
            ) from None
        raise


def refuse_unreadable(spec: ArchSpec) -> None:
    """Refuse a network that a run folder could not give back, since a part of it is not registered, or was defined anew."""
    if read(ArchSpec, spec.to_json(), source=f"the network {spec.name}") != spec:
        raise UserError(
            f"{spec.name} is made of a part that has been defined anew since, or that does not equal what its fields say; make the "
            "spec again"
        )


def _refuse_other(origin: OwnPart, source: str) -> None:
    """Refuse to go on where a part is not the one that `origin` says."""
    what, place = f"{source} has a part of your own, '{origin.kind}'", origin.file or origin.module
    if origin.kind not in _parts:
        here = origin.file is None or Path(origin.file).is_file()
        line = f"--plugin {shlex.quote(place)}" if here else "--plugin FILE with the place where it is now"
        gone = "" if here else ", which is no longer there"
        raise UserError(f"{what}, of {place}{gone}: add {line}; in Python import it first")
    known = _parts[origin.kind][1]
    if origin.digest not in (None, known.digest):
        raise UserError(
            f"{what}, whose source in {known.file or known.module} is not what it was when the run was begun: give that of then by "
            "--plugin FILE, or take it as it is now by `convsmith resume RUN --force`"
        )


# ---- plugins -----------------------------------------------------------------------------------------------------------


def plug_in(what: str) -> None:
    """Run the file `what` (.py), or import the module of that name, for the parts that it registers.

    Raises:
        UserError: there is none, it does not run, or it registers nothing.
    """
    path = Path(what)
    try:
        if path.suffix == ".py":
            _run(path.resolve())
        else:
            _reach(os.getcwd())
            importlib.import_module(what)
    except UserError as error:
        raise UserError(f"--plugin {what}: {error}") from None
    except FileNotFoundError:
        raise UserError(f"--plugin {what}: there is no such file") from None
    except ModuleNotFoundError as error:
        hint = f"; a file is named with its ending, {what}.py" if error.name == what else ""
        raise UserError(f"--plugin {what}: {error}{hint}") from None
    except Exception as error:  # whatever its author's code raises
        raise UserError(f"--plugin {what} does not run: {type(error).__name__}: {first_line(error)}") from error
    if not _parts:
        raise UserError(f"--plugin {what} registers no part: write @cs.register above a class")
    _plugged[str(path.resolve()) if path.suffix == ".py" else what] = None


def plugged() -> tuple[str, ...]:
    """What this process was told to plug in: for `plug_in_all` in processes that are given its networks."""
    return tuple(_plugged)


def plug_in_all(plugins: Sequence[str]) -> None:
    """`plug_in` each."""
    for one in plugins:
        plug_in(one)


def _run(path: Path) -> ModuleType:
    """The module of a file, under a name that its contents decide: processes that are sent its parts look for them there."""
    name = f"{path.stem}_{_digest(path.read_bytes())[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    _reach(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _reach(folder: str) -> None:
    """Let imports find what lies in `folder`, after all else."""
    if folder not in sys.path:
        sys.path.append(folder)


@cache
def _find_installed() -> None:
    """Load the entry points of installed packages, once; one that is broken is told and left out."""
    for point in entry_points(group=GROUP):
        try:
            found = point.load()
            if inspect.isclass(found):
                register(found)  # type: ignore[type-var]  # what is no part is refused
        except Exception as error:  # whatever its author's code raises
            warnings.warn(f"the plugin '{point.name}' ({point.value}) is left out: {error}", stacklevel=3)


# ---- what is registered --------------------------------------------------------------------------------------------------


def _problem(part: Any) -> str:
    """Why `part` is none that could be known by its kind; "" where nothing is wrong."""
    if not (inspect.isclass(part) and issubclass(part, Part)):
        return "it is no class that inherits from a part, such as cs.Block, cs.Norm, cs.Conv, cs.Stem or cs.Head"
    if "__dataclass_fields__" not in vars(part) or not part.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return "it is no frozen dataclass: write @cs.register above @dataclass(frozen=True)"
    if missing := sorted(getattr(part, "__abstractmethods__", ())):
        return f"it does not say {', '.join(missing)}"
    kind = vars(part).get("kind")
    if not (isinstance(kind, str) and re.fullmatch(r"[a-z][a-z0-9_]*", kind)):
        return 'it has no word of its own for files: give it kind: ClassVar[str] = "word", of a-z, 0-9 and _'
    try:
        readable(part, (*PARTS, *registered(), part))
    except TypeError as error:
        return f"JSON cannot say its fields: {first_line(error)}"
    return ""


def _origin(part: type[Part]) -> OwnPart:
    file = getattr(sys.modules.get(part.__module__), "__file__", None)
    try:
        digest = _digest(inspect.getsource(part).encode())
    except (OSError, TypeError):  # typed at a prompt
        digest = None
    return OwnPart(part.kind, part.__module__, None if file is None else str(Path(file).resolve()), digest)


def _same(part: type[Part], origin: OwnPart, other: type[Part], before: OwnPart) -> bool:
    """Whether both are one class, defined twice."""
    place = origin.module == before.module or (origin.file is not None and origin.file == before.file)
    return place and part.__qualname__ == other.__qualname__


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
