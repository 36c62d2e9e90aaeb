"""What is told while the words are read, before torch is imported: wrong budgets, names, recipes and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..units import Budget

__all__ = ["in_order", "known_budget", "known_budgets", "known_model", "known_rule", "known_run"]


def known_budget(_type: Any, text: str | None) -> None:
    """Refuse what is no budget. (The first argument is the validator's, here and below.)"""
    if text is not None:
        Budget.parse(text)


def known_budgets(_type: Any, text: str) -> None:
    """Refuse what is no list of budgets, `+` between the limits of one."""
    for one in text.split(","):
        Budget.parse(one.replace("+", ","))


def known_rule(_type: Any, name: str | None) -> None:
    """Refuse an unknown rule."""
    from ..scaling import rule

    if name is not None:
        rule(name)


def known_model(_type: Any, given: str | Sequence[str] | None) -> None:
    """Refuse a MODEL, or one of several, that is no name, and no file or folder that is there."""
    from ..ledger import INFLATED, unknown_model

    for text in [given] if isinstance(given, str) else given or ():
        path = Path(text)
        if not text:
            raise UserError("an empty name is no model")
        if path.suffix in (".json", ".onnx") and not path.exists():
            raise UserError(f"{path} does not exist")
        if not (text.startswith(("timm:", "tv:")) or _published(text.removeprefix(INFLATED)) or path.exists()):
            raise unknown_model(text)


def known_run(_type: Any, given: Path | Sequence[Path]) -> None:
    """Refuse what is no run folder, be it one or several."""
    from ..runs import RunFolder

    for path in [given] if isinstance(given, Path) else given:
        RunFolder.open(path)


def in_order(verb: str, model: str, data: str) -> None:
    """Refuse DATA before MODEL, and then a wrong MODEL."""
    if _published(data) and not _published(model) and not Path(data).exists():
        raise UserError(
            f"'{data}' is a network and no data: the order is MODEL DATA, `convsmith {verb} {data} {model}`"
        )
    known_model(str, model)


def _published(text: str) -> bool:
    from ..ledger import published

    name, _, side = text.rpartition("@")
    known = {row.name for row in published()}
    return text in known or (name in known and side.isdigit() and int(side) > 0)
