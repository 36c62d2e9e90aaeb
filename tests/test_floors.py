"""Imports run downwards only: a floor may be deleted with all above it and what remains still works."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import convsmith

PACKAGE = Path(convsmith.__file__).parent

# Each floor may import the floors below it; docs/how-it-works.md draws this table. A name is a module or a folder of them.
FLOORS: list[set[str]] = [
    {"errors", "units", "machine", "tagged", "ranges", "shown"},
    {
        "codec",
        "files",
        "firstbytes",
        "locks",
        "watcher",
        "scores",
        "arch",
        "recipe",
        "evolution",
        "graphs",
        "corruptions",
        "progress",
        "settings",
        "rle",
    },
    {"layers", "threads", "ambient"},
    {"parts"},
    {"model", "costs", "latency", "registry"},
    {"stages", "families", "ledger", "scaling"},
    {"data", "training", "evals", "exporting", "weights", "speed", "signal"},
    {"tasks", "recipes", "supernet", "surgery", "plot", "runs"},
    {"reports", "resolve", "kit"},
    {"jobs.source", "jobs.feed", "jobs.fitting"},
    {"jobs.options", "jobs.objects", "jobs.timing", "jobs.diagnose", "jobs.convert", "jobs.synthesis"},
    {"jobs.examiner"},
    {"jobs.scale", "jobs.ship", "jobs.evaluate", "jobs.predict", "jobs.pseudo"},
    {"jobs.train", "jobs.robustness", "jobs.ood", "jobs.points"},
    {"jobs.studies", "jobs.passport"},
    {"jobs.search"},
    {"jobs.norms"},
    {"jobs.folders"},
    {"api"},
    {"cli"},
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
# Floors on which one may import another, in one direction: the rest of the rooms of a floor have never heard of each other.
NEIGHBOURS = {
    "ranges": {"errors"},
    "units": {"errors", "ranges"},
    "recipe": {"arch"},
    "arch": {"codec"},  # a value knows how to write itself
    "ledger": {"families"},
    "progress": {"scores", "watcher"},
}
WITHOUT_TORCH = {name for floor in FLOORS[:2] for name in floor} | {"ledger", "plot", "runs", "reports", "cli"}


@cache
def modules() -> tuple[Path, ...]:
    return tuple(sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name[:2] != "__"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@cache
def names_of_files() -> frozenset[str]:
    return frozenset(dotted(path) for path in modules())


def room(module: str) -> str:
    """The room that a dotted name below the package belongs to; "" where it has none, as the package itself."""
    words = module.split(".")
    return next((name for n in (2, 1) if (name := ".".join(words[:n])) in FLOOR_OF), "")


@cache
def imported(path: Path, *, only_at_start: bool = False) -> frozenset[str]:
    """What a module imports, by full dotted name below the package, or as `/name` from elsewhere. Imports for types do
    not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = [ast.Pass()]
        if only_at_start and isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    found = set()
    package = list(path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {f"/{alias.name.split('.')[0]}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(f"/{(node.module or '').split('.')[0]}")
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            target = ".".join(word for word in base if word)
            names = {f"{target}.{alias.name}".lstrip(".") for alias in node.names}
            found |= {name if name in names_of_files() else target for name in names}
    return frozenset(found)


def test_every_module_has_a_floor() -> None:
    homeless = {dotted(path) for path in modules() if not room(dotted(path))} - {"jobs"}
    assert homeless == set()
    empty = {name for name in FLOOR_OF if not any(room(dotted(path)) == name for path in modules())}
    assert empty == set()


def test_imports_run_downwards() -> None:
    wrong = []
    for path in modules():
        here = room(dotted(path))
        for name in imported(path):
            there = room(name)
            if not there or there == here:
                continue
            if FLOOR_OF[there] > FLOOR_OF[here] or (
                FLOOR_OF[there] == FLOOR_OF[here] and there not in NEIGHBOURS.get(here, set())
            ):
                wrong.append(f"{dotted(path)} imports {name}")
    assert wrong == []


def test_no_module_leads_back_to_itself() -> None:
    """Late imports count: one inside a function is a circle all the same."""
    files = names_of_files()
    graph = {
        dotted(path): {name for name in imported(path) if name in files and name != dotted(path)} for path in modules()
    }
    # A package is its files' shelf: a file may name a sibling, the shelf lists all of them.
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"imports go round: {' -> '.join(reversed(error.args[1]))}") from None
    assert set(order) == files


def test_values_and_tables_need_no_torch() -> None:
    for path in modules():
        if room(dotted(path)) in WITHOUT_TORCH:
            assert not imported(path, only_at_start=True) & {"/torch", "/torchvision"}, path


def test_no_module_needs_unix_to_be_imported() -> None:
    unix = {"/resource", "/fcntl", "/grp", "/pwd", "/pty", "/syslog", "/termios"}
    for path in modules():
        assert not imported(path, only_at_start=True) & unix, path


def test_no_file_outgrows_one_idea() -> None:
    long = {str(path.relative_to(PACKAGE)): n for path in modules() if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}
