"""What Windows and macOS lack is asked for where it is used and not before; text is read and written the same everywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import convsmith
from convsmith.runs import RunFolder

PACKAGE = Path(convsmith.__file__).parent
POSIX = ("fcntl", "grp", "posix", "pwd", "resource", "termios", "tty")
WINDOWS = """
import importlib, signal, os, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {posix}:
            raise ModuleNotFoundError(name)

for name in sys.argv[1:]:
    if "torch" not in sys.modules:
        import torch, onnxruntime, scipy.optimize, matplotlib.figure, rich.console, cyclopts  # theirs to answer for
        for gone in {posix}:
            sys.modules.pop(gone, None)
        sys.meta_path.insert(0, Absent())
        for lacking in ("fork", "getuid", "geteuid", "getppid_", "sched_getaffinity", "getloadavg", "sysconf"):
            if hasattr(os, lacking):
                delattr(os, lacking)
        for lacking in ("SIGKILL", "SIGHUP", "SIGCHLD", "SIGALRM"):
            delattr(signal, lacking)
    importlib.import_module(name)

from convsmith.machine import peak_bytes, this_machine
assert this_machine().cores >= 1 and peak_bytes() is None
"""


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_module_is_imported_without_what_windows_lacks() -> None:
    dotted = [".".join(("convsmith", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in sources()]
    names = [name.removesuffix(".__init__") for name in dotted if not name.endswith("__main__")]
    script = WINDOWS.replace("{posix}", repr(POSIX))
    found = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]


def _says_encoding(call: ast.Call) -> bool:
    mode = next((arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)), "")
    return "b" in mode or any(word.arg == "encoding" for word in call.keywords)


def test_text_is_opened_with_its_encoding_told() -> None:
    for path in sources():
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            owner = call.func.value if isinstance(call.func, ast.Attribute) else None
            others = isinstance(owner, ast.Name) and (
                owner.id[:1].isupper() or owner.id in ("cls", "zipfile", "webbrowser")
            )
            if name in ("read_text", "write_text", "open") and owner is not None and not others:
                assert _says_encoding(call) or len(call.args) == 2, f"{path}:{call.lineno}"


def test_ways_between_folders_are_written_with_slashes() -> None:
    """What is kept in a file is read on another system, where a backslash is a letter of a name."""
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        turned = {id(inner) for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "as_posix"
                  for inner in ast.walk(call)}  # fmt: skip
        for call in calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("relpath", "relative_to"):
                assert id(call) in turned, f"{path}:{call.lineno}"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("CON", "run-CON"),
        ("nul.x", "run-nul.x"),
        ("a:b", "a-b"),
        ("photos. .", "photos"),
        ("...", "run"),
        ("console", "console"),
    ],
)
def test_a_run_folder_has_a_name_that_windows_takes(tmp_path: Path, name: str, made: str) -> None:
    assert RunFolder.create(tmp_path, name).path.name == made
