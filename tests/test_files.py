"""A file is whole or not there, is read by whom the umask lets, and has its folder made; whoever writes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from convsmith import plot
from convsmith.errors import UserError
from convsmith.files import append_line, check_writable, write_json, write_text
from convsmith.weights import write as write_weights
from test_survival import largest_file


def draw(path: Path) -> None:
    plot.save(plot.confusion([[3, 1], [0, 4]], ["a", "b"]), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.txt": lambda path: write_text(path, "a" * 100_000),
    "a.json": lambda path: write_json(path, ["a"] * 100_000),
    "a.safetensors": lambda path: write_weights(path, {"a": torch.zeros(100_000)}),
    "a.svg": draw,
    "a.png": draw,
}


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.usefixtures("umask")
def test_every_file_has_the_mode_that_the_umask_leaves_in_a_folder_that_is_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / name
    WRITERS[name](path)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_by_the_path_and_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("before")
    with largest_file(2000), pytest.raises(UserError, match=rf"cannot write .*{name}: .*before is untouched"):
        WRITERS[name](path)
    assert [file.name for file in tmp_path.iterdir()] == [name] and path.read_text() == "before"


def test_a_line_that_cannot_be_written_is_told_by_the_path(tmp_path: Path) -> None:
    append_line(tmp_path / "lines", "one")
    with largest_file(2), pytest.raises(UserError, match=r"cannot write .*lines"):
        append_line(tmp_path / "lines", "two")
    assert (tmp_path / "lines").read_bytes() == b"one\n"


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder" / "file")
    (tmp_path / "file").touch()
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "file" / "below", "is a file and not a folder")):
        with pytest.raises(UserError, match=said):
            check_writable(path)
