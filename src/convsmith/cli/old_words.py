"""Options that had another name once, which still work and say what they are called now; and verbs of other packages."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["renamed", "verb_elsewhere"]

OLD_WORDS = {
    "fit-scaling": {"--workers": "--jobs"},
    "ladder": {"--workers": "--jobs"},
    "search": {"--per-round": "--per-generation", "--rounds": "--generations", "--scorers": "--jobs"},
}

# What other packages, or our own functions, call a verb that has another name on this command line.
_ELSEWHERE = {
    "predict": ("classify", "infer", "inference", "label", "synthesise", "generate", "sample"),
    "evaluate": ("test", "val", "validate", "eval", "robustness"),
    "export --int8": ("quantize", "quantise"),
    "measure": ("benchmark", "time"),
    "doctor": ("check", "checks"),
    "--version": ("version",),
}


def verb_elsewhere(word: str) -> str:
    """What a verb is called here that another package calls `word`; empty where it is no such word.

    >>> verb_elsewhere("benchmark")
    "unknown verb 'benchmark'; here it is `convsmith measure`"
    """
    ours = next((ours for ours, theirs in _ELSEWHERE.items() if word in theirs), "")
    return f"unknown verb '{word}'; here it is `convsmith {ours}`" if ours else ""


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
