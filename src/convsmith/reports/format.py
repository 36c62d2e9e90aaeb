"""How numbers are written in the report; each kind in one way."""

from __future__ import annotations

import calendar
import math
import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from ..scores import Metric, Unit
from ..units import count as parsed
from ..units import human

__all__ = ["amount", "coded", "count", "ends", "gain", "local", "megabytes", "ms", "percent", "plain", "rate", "when"]

# An absolute path, of POSIX or of Windows: in quotes with all that they hold, else up to the next space or mark.
_QUOTED = re.compile(r"""(?P<mark>['"])(?:/|[A-Za-z]:[\\/])(?P<path>[^'"\n]+)(?P=mark)""")
_BARE = re.compile(r"""(?<![\w./:<&-])(?:(?:/[^\s/'",;:<>]+){2,}/?|[A-Za-z]:[\\/][^\s'",;<>]+)""")
_TICKED = re.compile(r"`([^`\n]+)`")
_SPACE = "\N{NO-BREAK SPACE}"


def count(number: float) -> str:
    """A count with its suffix set off; trailing zeros only where the number was rounded to them.

    >>> [count(n).replace("\\N{NO-BREAK SPACE}", " ") for n in (1_990_123, 2_000_000, 385_814_752, 950)]
    ['1.99 M', '2 M', '385.8 M', '950']
    """
    text = human(number)
    digits, suffix = re.fullmatch(r"(.*?)([kMGT]?)", text).groups()  # type: ignore[union-attr]  # always matches
    if "." in digits and parsed(text.lstrip("-")) == abs(number):
        digits = digits.rstrip("0").rstrip(".")
    return f"{digits}{_SPACE}{suffix}" if suffix else digits


def percent(share: float, digits: int = 1) -> str:
    """A share between 0 and 1 as a percentage.

    >>> percent(0.98056).replace("\\N{NO-BREAK SPACE}", " ")
    '98.1 %'
    """
    return f"{100 * share:.{digits}f}{_SPACE}%" if math.isfinite(share) else "not finite"


def amount(metric: Metric) -> str:
    """The value of a metric in its unit.

    >>> amount(Metric("error", 3.4567, unit=Unit.PIXELS)).replace("\\N{NO-BREAK SPACE}", " ")
    '3.46 px'
    """
    match metric.unit:
        case Unit.SHARE:
            return percent(metric.value)
        case Unit.PIXELS:
            return f"{metric.value:.2f}{_SPACE}px"
        case Unit.NONE:
            return f"{metric.value:.4f}"
        case Unit.NATS:
            return f"{metric.value:.2f}" if metric.value >= 0.1 else f"{metric.value:.2g}"


def ends(metric: Metric) -> str:
    """The interval of a metric as one range in its unit; a dash where there is none."""
    if metric.interval is None:
        return "–"
    unit = {Unit.SHARE: f"{_SPACE}%", Unit.PIXELS: f"{_SPACE}px"}.get(metric.unit, "")
    return f"{metric.ends('–')}{unit}"


def local(text: str) -> str:
    """`text` with every absolute path cut down to its last part: a page is mailed, and names no folder of the machine.

    >>> local("convsmith train resnet18 /home/ada/photos --val '/home/ada/my photos/val'")
    "convsmith train resnet18 photos --val 'val'"
    """
    quoted = _QUOTED.sub(lambda found: found["mark"] + _last(found["path"]) + found["mark"], text)
    return _BARE.sub(lambda found: _last(found[0]), quoted)


def coded(text: str) -> Markup:
    """`text` for a page, with what stands between backticks as code.

    >>> coded("start with `design --weights auto` & wait")
    Markup('start with <code>design --weights auto</code> &amp; wait')
    """
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(local(text)))))


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def gain(metric: Metric) -> str:
    """A difference of two values of a metric, with its sign.

    >>> gain(Metric("top1", -0.0321)).replace("\\N{NO-BREAK SPACE}", " ")
    '-3.2 points'
    """
    if metric.unit is Unit.SHARE:
        return f"{100 * metric.value:+.1f}{_SPACE}points"
    return f"{metric.value:+.4g}{_SPACE}px" if metric.unit is Unit.PIXELS else f"{metric.value:+.4f}"


def ms(milliseconds: float, unit: bool = True) -> str:
    """Milliseconds with three significant digits.

    >>> ms(1.2345).replace("\\N{NO-BREAK SPACE}", " "), ms(123.4, unit=False)
    ('1.23 ms', '123')
    """
    digits = 2 if milliseconds < 9.995 else 1 if milliseconds < 99.95 else 0
    digits = 3 if milliseconds < 0.9995 else digits
    return f"{milliseconds:.{digits}f}" + (f"{_SPACE}ms" if unit else "")


def megabytes(size: int) -> str:
    """A file's size in decimal units, as shops and file managers count.

    >>> megabytes(1_234_567).replace("\\N{NO-BREAK SPACE}", " ")
    '1.23 MB'
    """
    return f"{size / 1e6:.2f}{_SPACE}MB" if size >= 1e6 else f"{size / 1e3:.1f}{_SPACE}kB"


def plain(value: object) -> str:
    """A value out of a file as a cell of a table: no Python quotes, no brackets.

    >>> plain(None), plain(True), plain([224, 224]), plain(0.9), plain("sgd")
    ('none', 'yes', '224, 224', '0.9', 'sgd')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def rate(value: float) -> str:
    """A learning rate: two digits that count.

    >>> rate(2.93377e-06), rate(0.05)
    ('2.9e-06', '0.05')
    """
    return f"{value:.2g}"


def when(moment: str) -> str:
    """A moment in ISO 8601 as people write it, in UTC; as it is where it is none.

    >>> when("2026-11-27T05:29:07+00:00"), when("2026-11-23"), when("once")
    ('27 November 2026, 05:29 UTC', '23 November 2026', 'once')
    """
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    at = at.astimezone(UTC) if at.tzinfo else at
    day = f"{at.day} {calendar.month_name[at.month]} {at.year}"
    if len(moment) <= len("2026-11-23"):
        return day
    return f"{day}, {at:%H:%M}" + (" UTC" if at.tzinfo else "")
