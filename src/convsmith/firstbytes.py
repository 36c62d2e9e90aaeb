"""What a file is, by its first bytes, whatever its name says; and text, whichever program wrote it."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from .errors import UserError

__all__ = ["HEAD", "begins_as_image", "disguise", "disguise_of", "no_file", "read_text"]

# How many bytes tell what a file is.
HEAD = 512

_AGAIN = "download it again"
_UNPACK = "unpack it first"

# How files of other kinds begin: the kind, by which a reader says that it expects it, and what there is to say.
_KINDS = (
    (b"version https://git-lfs", "lfs", "a pointer of Git LFS, not the file itself: fetch that with `git lfs pull`"),
    (b"\x1f\x8b", "gzip", f"compressed by gzip: {_UNPACK}"),
    (b"BZh91AY&SY", "bzip2", f"compressed by bzip2: {_UNPACK}"),
    (b"\xfd7zXZ\x00", "xz", f"compressed by xz: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", "zstd", f"compressed by zstd: {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", "7z", f"a 7z archive: {_UNPACK}"),
    (b"Rar!\x1a", "rar", f"a RAR archive: {_UNPACK}"),
    (b"PK\x03\x04", "zip", f"a zip archive: {_UNPACK}"),
    (b"PK\x05\x06", "zip", "an empty zip archive"),
    (b"%PDF", "pdf", "a PDF document"),
    (b"%!PS", "postscript", "a PostScript drawing"),
    (b"\xc5\xd0\xd3\xc6", "postscript", "a PostScript drawing"),
    (b"8BPS", "photoshop", "a Photoshop document"),
    (b"\x89HDF", "hdf5", "an HDF5 file"),
    (b"SQLite format 3", "sqlite", "an SQLite data base"),
    (b"PAR1", "parquet", "a Parquet table"),
)
_IMAGES = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
)
# Of files whose kind stands behind four bytes of length.
_HEIF = "a HEIF picture, which Pillow reads with pillow-heif alone: convert it to JPEG or PNG"
_BOXED = {
    b"ftypavif": ("image", "an AVIF picture"),
    b"ftypheic": ("heif", _HEIF),
    b"ftypheix": ("heif", _HEIF),
    b"ftypmif1": ("heif", _HEIF),
    b"ftypisom": ("video", "an MP4 video"),
    b"ftypmp42": ("video", "an MP4 video"),
}
_WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")
_XML = (b"<?xml", b"<svg")


def disguise(head: bytes, *expected: str) -> str:
    """What begins with these bytes, and what to do about it, where it is none of the kinds `expected` ("zip", "image",
    "text"); empty where the bytes do not tell."""
    if not head:
        return "an empty file"
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(_WEB_PAGE):
        return f"a web page: what was asked for was not sent, {_AGAIN}"
    kind, words = _kind(head)
    if not words and start.startswith(_XML):
        kind, words = "xml", "an XML text"
    if not words and "text" not in expected and (text := _printable(head)):
        words = f"a text that begins '{text[:40]}'"
    return "" if kind in expected else words


def disguise_of(path: Path, *expected: str) -> str:
    """As `disguise`, of a file; of what is no file, what it is. Empty where it cannot be read, which its reader will say."""
    if what := no_file(path):
        return what
    try:
        with path.open("rb") as file:
            return disguise(file.read(HEAD), *expected)
    except OSError:
        return ""


def no_file(path: Path | str) -> str:
    """What stands at `path`, where that is neither a file nor a folder: one that reads it may wait for ever."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    return "a named pipe, not a file" if stat.S_ISFIFO(mode) else "a device or a socket, not a file"


def begins_as_image(path: str) -> bool:
    """Whether a file begins as pictures of the usual kinds do."""
    try:
        if no_file(path):
            return False
        with open(path, "rb") as file:
            return _kind(file.read(HEAD))[0] == "image"
    except OSError:
        return False


def read_text(path: Path) -> str:
    """The text in a file: UTF-8, or UTF-16 and UTF-32 with the mark that programs put before them.

    Raises:
        UserError: it is no text, or in another encoding; with the line of the first byte that does not fit.
        OSError: it cannot be read.
    """
    if what := disguise_of(path, "text", "xml"):
        raise UserError(f"{path} is {what}")
    data = path.read_bytes()
    marks = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
             (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8-sig")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path} is not text in UTF-8: line {line} has the byte 0x{data[error.start]:02x}. Save it as UTF-8"
        ) from None


def _kind(head: bytes) -> tuple[str, str]:
    """The kind of what begins with these bytes, and its words; both empty where they do not tell."""
    if head[8:12] == b"WEBP":
        return "image", "a WebP picture"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image", "a BMP picture"
    if words := next((words for begin, words in _IMAGES if head.startswith(begin)), ""):
        return "image", words
    return _BOXED.get(head[4:12]) or next(
        ((kind, words) for begin, kind, words in _KINDS if head.startswith(begin)), ("", "")
    )


def _printable(head: bytes) -> str:
    """The first line of what is plain text, else nothing."""
    try:
        # The last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return ""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if all(one.isprintable() or one.isspace() for one in text) else ""
