"""What a package index is told: pyproject.toml, CITATION.cff, and the README as an index shows it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOLD = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_extra_is_of_packages_that_the_code_imports() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    extras = TOLD["project"]["optional-dependencies"]
    for extra in extras.keys() - {"dev", "docs"}:
        for need in extras[extra]:
            package = re.split(r"[^\w-]", need)[0].replace("-", "_")
            names = rf"{package.split('_')[0]}|{package}"
            assert re.search(rf"\b(import|from) (\w+\.)*({names})\b", code), f"nothing imports {package} of '{extra}'"


def test_the_citation_is_of_this_version_and_licence() -> None:
    cited = dict(re.findall(r"^([a-z-]+): (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    assert (cited["version"], cited["license"]) == (TOLD["project"]["version"], TOLD["project"]["license"])
    assert cited["title"] == TOLD["project"]["name"]


def test_the_readme_of_an_index_refers_to_nothing_that_an_index_lacks() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](docs/" in shown
    for change in TOLD["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(change["pattern"], change["replacement"], shown)
    assert re.findall(r"\]\((?!https?:)[^)]*\)", shown) == []
    assert "tutorial (`docs/tutorial.md`)" in shown
