"""Imports run downwards only: a floor may be deleted with all above it and what remains still works."""

from __future__ import annotations

import ast
from pathlib import Path

import convsmith

PACKAGE = Path(convsmith.__file__).parent

# Each floor may import the floors below it, and itself where it says so. docs/how-it-works.md draws this table.
FLOORS: list[tuple[set[str], str]] = [
    (
        {
            "errors",
            "units",
            "arch",
            "plans",
            "codec",
            "machine",
            "recipe",
            "schedules",
            "policies",
            "sized",
            "evolution",
        },
        "values",
    ),
    ({"layers"}, "modules"),
    ({"parts"}, "parts"),
    ({"model", "costs", "stages", "latency"}, "readers of a plan"),
    ({"families", "ledger", "scaling"}, "tables and rules"),
    ({"data", "training", "evals", "exporting", "weights", "speed", "signal"}, "work on models"),
    ({"runs", "resolve", "recipes", "plot", "reports", "supernet", "surgery", "doctor"}, "edges"),
    (
        {
            "feed",
            "jobs",
            "checks",
            "rehearsal",
            "ladder",
            "climbing",
            "stopwatch",
            "farm",
            "trials",
            "scoring",
            "searching",
            "searching_page",
            "searching_stages",
            "foils",
            "choosing",
            "search_options",
            "search_request",
            "searching_rehearsal",
            "timing",
            "fitting",
            "fitting_page",
            "fitting_time",
            "picking",
            "profiling",
            "calibrating",
            "carrying",
            "diagnosing",
            "shrinking",
            "labelling",
            "feeding",
            "converting",
        },
        "verbs",
    ),
    ({"cli"}, "command line"),
]
FLOOR_OF = {name: floor for floor, (names, _) in enumerate(FLOORS) for name in names}
# Siblings that are layers of one floor; on the fifth floor (data, training, evals, exporting, weights) there are none.
SIBLINGS_MAY_MEET = {0, 3, 6, 7}
WITHOUT_TORCH = FLOORS[0][0] | {"ledger", "plot", "reports"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name[:2] != "__")


def top(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path, *, only_at_start: bool = False) -> set[str]:
    """Top-level names that a module imports: our own as `.name`, others as `name`. Imports for types do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = [ast.Pass()]
    if only_at_start:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node.body = [ast.Pass()]
    found = set()
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            if node.level == 0:
                found.add((node.module or "").split(".")[0])
            elif node.level == depth:
                names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
                found |= {f".{name}" for name in names}
    return found


def test_every_module_has_a_floor() -> None:
    assert {top(path) for path in modules()} == set(FLOOR_OF)


def test_imports_run_downwards() -> None:
    wrong = []
    for path in modules():
        here = FLOOR_OF[top(path)]
        for name in imported(path):
            if not name.startswith(".") or name[1:] == top(path):
                continue
            there = FLOOR_OF[name[1:]]
            if there > here or (there == here and here not in SIBLINGS_MAY_MEET):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name[1:]}")
    # arch.to_json reads the codec late: a value knows how to write itself.
    assert wrong == []


def test_values_and_tables_need_no_torch() -> None:
    for path in modules():
        if top(path) in WITHOUT_TORCH:
            assert not imported(path, only_at_start=True) & {"torch", "torchvision"}, path


def test_no_file_outgrows_one_idea() -> None:
    long = {str(path.relative_to(PACKAGE)): n for path in modules() if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}
