"""docs/tutorial.md can be followed by its own words: its scripts run, its commands succeed and print lines of the form shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from convsmith.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
NAMES = "zero|one|two|three|four|five|six|seven|eight|nine"


def form(line: str) -> str:
    """What is left of a line without its numbers and the names of the digits."""
    return " ".join(re.sub(rf"-?\d[\d.,:]*[kMG]?|\b({NAMES})\b", "#", line).split())


def shown(block: str) -> list[tuple[str, list[str]]]:
    """Each command of a block, with the lines printed below it."""
    return [(command, lines) for command, *lines in (part.splitlines() for part in block.split("$ ")[1:])]


@pytest.mark.slow
def test_the_tutorial_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    script = ""
    for language, block in re.findall(r"```(python|console)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if language == "python":
            script = block
            continue
        for command, lines in shown(block):
            program, *words = shlex.split(command)
            if program == "python":
                exec(compile(script, words[0], "exec"), {"__name__": "__main__"})
            else:
                # The page trains for a minute or two; whether it learns is not what is asked here.
                assert main([*words, "--epochs", "1"] if words[0] == "design" else words) == 0, command
            printed = capsys.readouterr()
            forms = {form(line) for line in (printed.out + printed.err).splitlines()}
            assert [line for line in lines if line != "..." and form(line) not in forms] == [], command
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"first"}
