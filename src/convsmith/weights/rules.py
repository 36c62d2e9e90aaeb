"""What a dialect is made of."""

from __future__ import annotations

__all__ = ["Rules"]

# (pattern for `re.fullmatch` on our key, template of their key); the first pattern that matches names the key.
Rules = tuple[tuple[str, str], ...]
