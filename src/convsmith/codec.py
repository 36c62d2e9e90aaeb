"""Values to JSON and back, strictly.

Writing walks the dataclasses; a part carries its `kind`. Reading is pydantic's: for each dataclass a strict model is
derived once, in which an abstract part stands for the tagged union of its concrete kinds. An error names the field, the
value and the legal choices. This module is handed the table of kinds and imports none.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from .errors import UserError, nearest
from .ranges import leaves
from .tagged import Tagged

__all__ = ["from_data", "from_json", "kinds_in", "readable", "to_data", "to_json"]

T = TypeVar("T")
Kinds = tuple[type[Tagged], ...]


def to_data(value: Any, *, whole: bool = False) -> Any:
    """A frozen value as plain dicts, lists, numbers and strings, in the order of its fields.

    Fields that files of it may lack (`LATER`) are there where they differ from their defaults, or where the `whole` is
    wanted.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        tag = {"kind": value.kind} if isinstance(value, Tagged) else {}
        return tag | {name: to_data(item, whole=whole) for name, item in _written(value, whole)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [to_data(item, whole=whole) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 6 and 6.0 are equal values; they must be equal texts
    return value


def _written(value: Any, whole: bool) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if whole or not (field.metadata.get("later") and item == field.default):
            yield field.name, item


def to_json(value: Any) -> str:
    """A frozen value as indented JSON text."""
    return json.dumps(to_data(value), indent=1) + "\n"


def from_json(cls: type[T], text: str, kinds: Sequence[type[Tagged]], *, source: str = "spec") -> T:
    """The value of type `cls` that `text` says, or a `UserError` that lists everything wrong with it."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits
        raise UserError(f"{source} is not JSON: {error}") from None
    return from_data(cls, data, kinds, source=source)


def from_data(cls: type[T], data: Any, kinds: Sequence[type[Tagged]], *, source: str = "spec") -> T:
    """As `from_json`, from plain data."""
    try:
        # Through text again, because strict JSON mode is the one that reads lists as tuples and names as enums.
        parsed = _reader(typing.cast(type, cls), tuple(kinds)).validate_json(json.dumps(data))
    except pydantic.ValidationError as error:
        lines = [_explain(detail, cls, tuple(kinds)) for detail in error.errors()]
        raise UserError(
            "\n".join([f"{source} is not a valid {cls.__name__}:", *(f"  {line}" for line in lines)])
        ) from None
    try:
        return typing.cast(T, _revive(parsed))
    except ValueError as error:
        raise UserError(f"{source} is not a valid {cls.__name__}: {error}") from None


def kinds_in(text: str) -> set[str]:
    """The kinds that JSON text names."""
    return set(re.findall(r'"kind"\s*:\s*"([^"]*)"', text))


def readable(cls: type[Tagged], kinds: Sequence[type[Tagged]]) -> None:
    """Raise TypeError, with the reason, where JSON cannot say the fields of `cls`, or where they can change."""
    try:
        hints = typing.get_type_hints(cls)
        _model(cls, tuple(kinds))
    except (pydantic.errors.PydanticUserError, NameError) as error:
        raise TypeError(str(error)) from None
    for field in dataclasses.fields(cls):
        if any((typing.get_origin(hint) or hint) in (dict, list, set) for hint in _types_in(hints[field.name])):
            raise TypeError(f"{field.name} is of {hints[field.name]}, which can change: use a tuple")


@cache
def _reader(cls: type, kinds: Kinds) -> pydantic.TypeAdapter[Any]:
    """Of an abstract class, whichever of its kinds the tag names."""
    return pydantic.TypeAdapter(_annotation(cls, kinds))


@cache
def _model(cls: type, kinds: Kinds) -> type[pydantic.BaseModel]:
    hints = typing.get_type_hints(cls)
    fields: dict[str, Any] = {}
    if issubclass(cls, Tagged):
        fields["kind"] = (Literal[cls.kind], cls.kind)
    for field in dataclasses.fields(cls):
        default = ... if field.default is dataclasses.MISSING else field.default
        fields[field.name] = (_annotation(hints[field.name], kinds), default)
    model: type[pydantic.BaseModel] = pydantic.create_model(
        cls.__name__, __config__=pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False), **fields
    )
    model.__doc__ = cls.__doc__
    _ORIGIN[model] = cls
    return model


# Written only by `_model`, whose results it describes: derived model -> the dataclass it was derived from.
_ORIGIN: dict[type[pydantic.BaseModel], type] = {}


def _annotation(hint: Any, kinds: Kinds) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if plain := _plain(hint):
            members = tuple(Annotated[_model(one, kinds), pydantic.Tag(_tag(one))] for one in plain)
            return Annotated[typing.Union[members], pydantic.Discriminator(lambda data: _fitting(plain, data))]  # noqa: UP007
        items = (_annotation(item, kinds) for item in typing.get_args(hint))
        return typing.Union[tuple(item for item in items if item is not None)]  # noqa: UP007
    if origin is tuple:
        return tuple[tuple(item if item is ... else _annotation(item, kinds) for item in typing.get_args(hint))]  # type: ignore[misc]
    if not (inspect.isclass(hint) and dataclasses.is_dataclass(hint)):
        return hint
    if not issubclass(hint, Tagged):
        return _model(hint, kinds)
    choices = tuple(_model(kind, kinds) for kind in kinds if issubclass(kind, hint))
    if not choices:
        return None  # a base without a kind: nothing can be read as one
    union: Any = typing.Union[choices]  # noqa: UP007
    return Annotated[union, pydantic.Discriminator("kind")] if len(choices) > 1 else choices[0]


def _plain(hint: Any) -> tuple[type, ...]:
    """The members of a union of dataclasses that carry no word to tell them apart; () of any other."""
    members = typing.get_args(hint)
    classes = all(
        inspect.isclass(one) and dataclasses.is_dataclass(one) and not issubclass(one, Tagged) for one in members
    )
    return members if classes and len(members) > 1 else ()


def _fitting(members: tuple[type, ...], data: Any) -> str:
    """The tag of the member of which most fields that must be there are, then of which most of all are: the first of equals."""
    given = set(data) if isinstance(data, dict) else set()

    def there(one: type) -> tuple[int, int]:
        own = dataclasses.fields(one)
        needed = {field.name for field in own if field.default is dataclasses.MISSING}
        return len(needed & given), len({field.name for field in own} & given)

    return _tag(max(members, key=there))


def _tag(member: type) -> str:
    return f"<{member.__name__}>"


def _revive(value: Any) -> Any:
    if isinstance(value, pydantic.BaseModel):
        cls = _ORIGIN[type(value)]
        return cls(**{field.name: _revive(getattr(value, field.name)) for field in dataclasses.fields(cls)})
    if isinstance(value, tuple):
        return tuple(_revive(item) for item in value)
    return value


def _explain(detail: Any, cls: type, kinds: Kinds) -> str:
    """One pydantic error as `field: what is wrong, what is allowed`."""
    tags = {kind.kind for kind in kinds} | {_tag(one) for one in _ORIGIN.values()}
    # Tags of unions stand in the location between a field and its own fields; they are no names a user wrote.
    path = [item for item in detail["loc"] if item not in tags]
    where = "".join(f"[{item}]" if isinstance(item, int) else f".{item}" for item in path).lstrip(".") or cls.__name__
    given = detail.get("input")
    match detail["type"]:
        case "extra_forbidden":
            allowed = _fields_at(detail["loc"][:-1], cls, kinds)
            names = f"; allowed are {', '.join(allowed)}{nearest(str(path[-1]), allowed)}" if allowed else ""
            return f"{where}: no such field{names}"
        case "missing":
            return f"{where}: missing"
        case "union_tag_invalid":
            expected = [tag.strip(" '") for tag in detail["ctx"]["expected_tags"].split(",")]
            tag = detail["ctx"]["tag"]
            return f"{where}.kind: '{tag}' is none of {', '.join(expected)}{nearest(tag, expected)}"
        case "union_tag_not_found":
            return f'{where}: needs a "kind"'
        case "enum" | "literal_error":
            expected = [tag.strip(" '") for tag in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
            return f"{where}: '{given}' is none of {', '.join(expected)}{nearest(str(given), expected)}"
        case _:
            message = detail["msg"][0].lower() + detail["msg"][1:]
            return f"{where}: {json.dumps(given, default=str)[:60]}: {message}"


def _fields_at(location: tuple[Any, ...], cls: type, kinds: Kinds) -> list[str]:
    """The fields of the dataclass that `location` leads to."""
    by_kind = {kind.kind: kind for kind in kinds} | {_tag(one): one for one in _ORIGIN.values()}
    here: Any = cls
    for item in location:
        if isinstance(item, int):
            continue
        if item in by_kind:
            here = by_kind[item]
            continue
        hint = typing.get_type_hints(here).get(item)
        here = next((h for h in leaves(hint) if inspect.isclass(h) and dataclasses.is_dataclass(h)), None)
        if here is None:
            return []
    return [field.name for field in dataclasses.fields(here)]


def _types_in(hint: Any) -> list[Any]:
    """A type and those that it is made of."""
    return [hint, *(one for item in typing.get_args(hint) for one in _types_in(item))]
