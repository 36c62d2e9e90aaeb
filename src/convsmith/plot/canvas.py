"""What every picture shares: colours, style, and its way into an SVG or PNG.

Figures are made without pyplot, so nothing global changes and no display is needed. They are narrow (about
4.4 inches) with 9-point text, which stays readable on a phone and may grow on a desk. Every figure's label says
in one sentence what it shows; `svg` makes it the picture's title, for those who listen instead of look.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..files import whole, write_text
from ..scores import Metric, Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "ORANGE",
    "SOFT",
    "WIDTH",
    "alone",
    "axis_of",
    "blank",
    "logarithmic",
    "png",
    "round_numbers",
    "save",
    "short",
    "svg",
]

# Blue and vermilion after Okabe and Ito: apart under every common colour blindness, on white as on near-black.
# Text is in ink or soft: in SVG the page's own, so that it can be read on light as on dark. Grey is for lines and marks.
SOFT = "#5b636d"
INK, GREY, BLUE, ORANGE = "#1d2126", "#828a94", "#0b7fc2", "#d55e00"
WIDTH = 4.4


def svg(figure: Figure, *, key: str = "") -> str:
    """`figure` as one `<svg>` element: no prolog, no outside reference, text as text, equal bytes every time.

    Its ids begin with a hash of what is drawn, so figures on one page do not collide; `key` tells apart two that
    look the same. It fills its container between a smallest readable and a largest pleasant width.
    """
    written = io.StringIO()
    with _style(), warnings.catch_warnings():
        # The reader's browser chooses the font, and has the letters that matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    text = written.getvalue()
    prefix = "f" + hashlib.sha256((key + text).encode()).hexdigest()[:10]

    root = ET.fromstring(text)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {_local(name): _own(_local(name), value, prefix) for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(attributes)
    for metadata in root.findall("metadata"):
        root.remove(metadata)
    for style in root.iter("style"):
        # A style element inside an SVG holds for the whole page it stands in.
        style.text = f"#{prefix} {(style.text or '').strip()}"

    width = float(root.attrib["viewBox"].split()[2])
    outer = {
        "viewBox": root.attrib["viewBox"],
        "id": prefix,
        "role": "img",
        "aria-labelledby": f"{prefix}-title",
        "width": "100%",
        "style": f"min-width:{0.9 * width:.0f}px;max-width:{1.75 * width:.0f}px",
    }
    root.attrib.clear()
    root.attrib.update(outer)
    title = ET.Element("title", id=f"{prefix}-title")
    title.text = str(figure.get_label())
    root.insert(0, title)
    return ET.tostring(root, encoding="unicode")


def png(figure: Figure, path: Path) -> None:
    """Writes `figure` as a PNG on white, 200 dots per inch; whole or not at all."""
    with _style(), whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=200, facecolor="white")


def save(figure: Figure, path: Path) -> None:
    """Writes `figure` as what the path's ending says: .svg or .png."""
    if path.suffix == ".png":
        png(figure, path)
    elif path.suffix == ".svg":
        write_text(path, alone(svg(figure, key=path.stem)))
    else:
        raise UserError(f"a picture is a .svg or a .png; got {path.name}")


def alone(drawing: str) -> str:
    """An SVG that was drawn for a page, as a file by itself: without its namespace it would be no picture."""
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    settings: dict[Any, Any] = {  # matplotlib types its keys as one Literal of three hundred
        "svg.fonttype": "none",
        "svg.hashsalt": "convsmith",
        "text.parse_math": False,  # a class may be called $5$
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": GREY,
        "grid.alpha": 0.3,
        "grid.linewidth": 0.6,
    }
    with matplotlib.rc_context(settings):
        yield


@contextmanager
def blank(height: float, *, width: float = WIDTH) -> Iterator[Figure]:
    """An empty figure of so many inches, to draw on in the house's style while the block lasts."""
    from matplotlib.figure import Figure

    with _style():
        yield Figure(figsize=(width, height), layout="constrained")


def round_numbers(low: float, high: float) -> list[float]:
    """At most six of 1, 2, 5 times a power of ten within [low, high]; only the powers where the range is wide."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high < 100 * low else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    return ticks[:: math.ceil(len(ticks) / 6)] if ticks else [low, high]


def logarithmic(axes: Axes, values: Sequence[float], form: Callable[[float], str]) -> None:
    """Make the horizontal axis a logarithmic one that has room for `values`, its ticks at round numbers written by `form`."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = min(values) / 1.6, max(values) * 1.6
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    # Powers of ten alone leave a narrow range without a single tick.
    axes.set_xticks(round_numbers(low, high))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value).replace(".00", "")))
    axes.xaxis.set_minor_formatter(NullFormatter())


def axis_of(metric: Metric) -> tuple[str, float]:
    """What an axis of such scores is called, and what a value is multiplied by to stand on it.

    >>> axis_of(Metric("top1", 0.9, label="top-1"))
    ('top-1, %', 100)
    """
    match metric.unit:
        case Unit.SHARE:
            return f"{metric.words}, %", 100
        case Unit.NONE:
            return metric.words, 1
        case unit:
            return f"{metric.words}, {unit.value}", 1


def short(text: str, most: int) -> str:
    """`text` in at most `most` characters, its middle left out; letters that no XML can hold become marks."""
    whole = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
    if len(whole) <= most:
        return whole
    tail = most // 3
    return f"{whole[: most - tail - 1]}…{whole[len(whole) - tail :]}"


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _own(attribute: str, value: str, prefix: str) -> str:
    """An attribute's value with ids prefixed, the colours of text made the page's and fonts the page's."""
    if attribute == "id":
        return f"{prefix}-{value}"
    if attribute == "href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    value = value.replace("url(#", f"url(#{prefix}-").replace(INK, "currentColor").replace(SOFT, f"var(--soft, {SOFT})")
    return re.sub(r"\bfont: ([^;]*?px) [^;]*", r"font: \1 system-ui, sans-serif", value)
