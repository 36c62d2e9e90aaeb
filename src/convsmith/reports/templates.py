"""The one environment that every page is filled in by."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from .. import plot
from ..units import plural
from . import format as form

__all__ = ["template"]


def template(name: str) -> jinja2.Template:
    """The template of that name: what it is given is text, escaped, unless it is `Markup`, and without
    the machine's folders; a missing value is an error."""
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: form.local(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        amount=form.amount,
        coded=form.coded,
        count=form.count,
        ends=form.ends,
        gain=form.gain,
        megabytes=form.megabytes,
        ms=form.ms,
        percent=form.percent,
        plain=form.plain,
        plural=plural,
        rate=form.rate,
    )
    environment.globals.update(most_printed=plot.MOST_PRINTED)
    return environment
