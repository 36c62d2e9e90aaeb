"""How a run folder's JSON becomes values and back: one reader and one writer for jobs, reports and the command line.

A field that is not known is ignored or kept in `more`, never fatal; one that is missing is as in version 0.1. `read` raises
what is wrong: a job refuses by it (`RunFolder`), a report leaves the file out and says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from ..codec import to_data
from ..errors import UserError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["Readable", "Record", "loaded", "parsed", "read", "value"]

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """Something that a run folder holds as a JSON object."""

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Self:
        """The value that JSON data says. Raises ValueError that names the first field that is wrong."""
        own = {one.name for one in fields(cls)}
        if "more" in own:
            data = {**data, "more": {key: item for key, item in data.items() if key not in own}}
        return parsed(cls, data)

    def to_record(self) -> dict[str, Any]:
        """The JSON data of this value."""
        own = {name: _plain(item) for name, item in vars(self).items() if name not in ("more", *self.left_out())}
        more: dict[str, Any] = vars(self).get("more", {})
        return own | more

    def left_out(self) -> Iterable[str]:
        """Fields that are not written, since they say nothing here."""
        return ()


class Readable(Protocol):
    """What `read` needs of a kind of file: `Record`s and `Scores`."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any], /) -> Self: ...


R = TypeVar("R", bound=Readable)


def read(path: Path, kind: type[R]) -> R:
    """The file `path` as a value of `kind`. Raises FileNotFoundError or, for whatever is wrong with it, ValueError."""
    return kind.from_record(loaded(path))


def loaded(path: Path) -> dict[str, Any]:
    """The JSON object in `path`, raising as `read`. What is no text, as in some file names, becomes a question mark."""
    try:
        data: object = _texts(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or "it could not be read") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(data, dict):
        raise ValueError("it holds no JSON object")
    return data


def value(kind: type[T], data: object, where: str) -> T:
    """Part of a record as a value of a class that lives above this floor. Raises UserError that says `where` it stands."""
    try:
        return parsed(kind, data)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # here, since most verbs that know of run folders read none

    return TypeAdapter(kind)


def parsed(kind: type[T], data: object) -> T:
    """Plain data as a value of the dataclass `kind`. Raises ValueError that names the first field that is wrong."""
    from pydantic import ValidationError

    try:
        found: T = _adapter(kind).validate_python(_texts(data))  # type: ignore[arg-type]  # a class can be hashed
        return found
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None


def _texts(data: object) -> Any:
    """The same with every text in valid UTF-8: a path on disk may hold bytes that are no text, kept as lone surrogates."""
    return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", errors="replace"))


def _plain(item: object) -> Any:
    if isinstance(item, Record):
        return item.to_record()
    if is_dataclass(item):
        return to_data(item)
    if isinstance(item, tuple):
        return [_plain(one) for one in item]
    if isinstance(item, Mapping):
        return {key: _plain(one) for key, one in item.items()}
    return item
