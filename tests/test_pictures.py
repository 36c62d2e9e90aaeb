"""Every kind of picture becomes RGB, upright, the first frame, and no smaller than was asked for."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convsmith.data.pictures import decoded, dim_and_deep, plain, why
from data_food import noise


def picture(kind: str) -> Image.Image:
    rgb = Image.fromarray(noise(6, 9, 3))
    match kind:
        case "alpha":
            rgb.putalpha(255)
            return rgb
        case "palette":
            return rgb.quantize(16)
        case "16-bit":
            return Image.fromarray(np.arange(54, dtype=np.uint16).reshape(6, 9) * 1236)
        case "cmyk" | "grey":
            return rgb.convert("CMYK" if kind == "cmyk" else "L")
    return rgb


@pytest.mark.parametrize("kind, suffix", [
    ("rgb", ".png"), ("alpha", ".png"), ("palette", ".png"), ("palette", ".gif"), ("16-bit", ".png"),
    ("16-bit", ".tiff"), ("cmyk", ".jpg"), ("grey", ".jpg"), ("rgb", ".webp"), ("rgb", ".bmp"),
])  # fmt: skip
def test_every_kind_of_picture_becomes_rgb(tmp_path, kind, suffix):
    source = picture(kind)
    source.save(tmp_path / f"x{suffix}", lossless=True)
    image = decoded(str(tmp_path / f"x{suffix}"))
    assert image.shape == (6, 9, 3) and image.dtype == np.uint8
    assert decoded(str(tmp_path / f"x{suffix}"), channels=1).shape == (6, 9, 1)
    if kind == "16-bit":
        assert np.array_equal(image[..., 1], np.rint(np.asarray(source) / 257).astype(np.uint8))
    elif suffix not in (".jpg", ".gif"):
        assert np.array_equal(image, np.asarray(source.convert("RGB")))


def test_the_orientation_of_the_camera_is_honoured(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    Image.fromarray(noise(4, 8, 3)).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(decoded(str(tmp_path / "x.png")), np.rot90(noise(4, 8, 3), 3))


def test_an_animation_shows_its_first_frame(tmp_path):
    first, second = Image.new("L", (5, 5), 0), Image.new("L", (5, 5), 255)
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second])
    assert decoded(str(tmp_path / "x.gif")).max() == 0


def test_a_shrunk_jpeg_keeps_the_pixels_asked_for(tmp_path):
    Image.fromarray(noise(400, 640, 3)).save(tmp_path / "x.jpg")
    assert decoded(str(tmp_path / "x.jpg"), least=100).shape == (100, 160, 3)
    assert decoded(str(tmp_path / "x.jpg"), least=101).shape == (200, 320, 3)
    assert decoded(str(tmp_path / "x.jpg")).shape == (400, 640, 3)


# ---- transparency, depth and channels ----


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_is_laid_on_white_and_its_hidden_colours_are_not_seen(tmp_path, mode):
    picture = Image.fromarray(noise(6, 9, 3)).convert("RGBA")
    alpha = np.full((6, 9), 255, np.uint8)
    alpha[:, :4], alpha[:, 4] = 0, 128
    picture.putalpha(Image.fromarray(alpha))
    if mode == "P":
        picture = picture.quantize(8)
    elif mode != "RGBA":
        picture = picture.convert(mode)
    picture.save(tmp_path / ("x.tif" if mode == "PA" else "x.png"))
    image = decoded(str(next(tmp_path.iterdir())))
    assert (image[:, :4] == 255).all() and not (image[:, 5:] == 255).all()
    assert np.array_equal(plain(picture)[:, 5:, 0], image[:, 5:, 0])
    if mode == "RGBA":
        assert np.array_equal(image[:, 5:], noise(6, 9, 3)[:, 5:])
        assert np.abs(image[:, 4] - (noise(6, 9, 3)[:, 4] / 2 + 127.5)).max() < 1.5


def png(path: Path, pixels: np.ndarray) -> str:
    """A PNG of 16 bits a channel in colour, which Pillow cannot write; the channels of a pixel lie side by side."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", pixels.shape[1] // 3, pixels.shape[0], 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return str(path)


def test_the_whole_range_of_a_depth_is_that_from_black_to_white_whatever_a_picture_holds(tmp_path):
    ramp = np.linspace(0, 65535, 54).reshape(6, 9)
    for name, values, expected in (
        ("a.png", ramp.astype(np.uint16), ramp / 257),
        ("b.tif", ramp.astype(np.uint16) // 16, ramp / 257 / 16),
        ("c.tif", ramp.astype(np.int32), ramp / 257),
        ("d.tif", (ramp / 65535).astype(np.float32), ramp / 257),
    ):
        Image.fromarray(values).save(tmp_path / name)
        assert np.abs(decoded(str(tmp_path / name))[..., 0] - expected).max() <= 0.51
    (tmp_path / "e.pgm").write_bytes(b"P5 9 6 4095\n" + (ramp // 16).astype(">u2").tobytes())
    assert np.abs(decoded(str(tmp_path / "e.pgm"))[..., 0] - ramp / 257).max() <= 1  # the file says what white is
    colours = np.stack([ramp, ramp[::-1], ramp / 2], 2).reshape(6, 27)
    assert np.abs(decoded(png(tmp_path / "f.png", colours)) - colours.reshape(6, 9, 3) / 257).max() <= 1


def test_pictures_that_use_a_sixteenth_of_16_bits_are_known_and_dark_ones_of_8_are_none(tmp_path):
    deep = np.arange(54, dtype=np.uint16).reshape(6, 9) * 75
    Image.fromarray(deep).save(tmp_path / "grey.png")
    Image.fromarray(deep.astype(np.int32)).save(tmp_path / "grey.tif")
    Image.fromarray(deep * 16).save(tmp_path / "whole.png")
    Image.fromarray((deep // 257).astype(np.uint8)).save(tmp_path / "dark.png")
    (tmp_path / "none.png").write_bytes(b"x")
    png(tmp_path / "colours.png", deep.repeat(3, 1))
    found = {path.name for path in tmp_path.iterdir() if dim_and_deep(str(path))}
    assert found == {"grey.png", "grey.tif", "colours.png"}


def refused(path: Path) -> str:
    with pytest.raises(OSError) as error:
        decoded(str(path))
    return why(error.value)


def test_pixels_that_do_not_say_what_is_white_are_refused(tmp_path):
    for name, values, words in (
        ("a.tif", np.full((3, 4), 70_000, np.int32), "70000: integers beyond 16 bits do not say what is white"),
        ("b.tif", np.full((3, 4), -1, np.int32), "pixels from -1"),
        ("c.tif", np.full((3, 4), 255, np.float32), "floating-point pixels outside 0 to 1"),
        ("d.tif", np.full((3, 4), np.nan, np.float32), "floating-point pixels outside 0 to 1"),
    ):
        Image.fromarray(values).save(tmp_path / name)
        assert words in refused(tmp_path / name)


def test_a_fourth_channel_that_is_not_transparency_is_refused(tmp_path):
    Image.fromarray(noise(6, 9, 4)).convert("RGBX").save(tmp_path / "x.tif")
    assert refused(tmp_path / "x.tif") == "4 channels: pictures have 1 or 3, and one for transparency"


@pytest.mark.parametrize("content, words", [
    (b"", "an empty file"),
    (b"\n<!DOCTYPE html><html>404", "a web page: what was asked for was not sent, download it again"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS"),
    (b"404: Not Found", "a text that begins '404: Not Found'"),
    (b"\x1f\x8b\x08\x00", "compressed by gzip"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript drawing"),
    (b"%PDF-1.4", "a PDF"),
    (b"\0\0\0\x18ftypheic", "a HEIF picture"),
])  # fmt: skip
def test_a_file_that_is_no_image_is_called_what_it_is(tmp_path, content, words):
    (tmp_path / "x.jpg").write_bytes(content)
    assert refused(tmp_path / "x.jpg").startswith(f"not an image but {words}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    assert refused(tmp_path / "x.png") == "a named pipe, not a file"
