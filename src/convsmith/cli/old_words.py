"""Options that had another name once: they still work, and say what they are called now."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["renamed"]

OLD_WORDS = {
    "fit-scaling": {"--workers": "--jobs"},
    "ladder": {"--workers": "--jobs"},
    "search": {"--per-round": "--per-generation", "--rounds": "--generations", "--scorers": "--jobs"},
}


def renamed(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command line with today's options, and a note for each that had an old name.

    >>> renamed(["ladder", "resnet18", "digits", "--workers=2"])
    (['ladder', 'resnet18', 'digits', '--jobs=2'], ['--workers of ladder is called --jobs now'])
    """
    old = OLD_WORDS.get(tokens[0], {}) if tokens else {}
    words, notes = [], []
    for token in tokens:
        option, equals, value = token.partition("=")
        if option in old:
            notes.append(f"{option} of {tokens[0]} is called {old[option]} now")
        words.append(old.get(option, option) + equals + value)
    return words, notes
