"""Every kind of picture becomes RGB, upright, the first frame, and no smaller than was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from convsmith.data.pictures import decoded
from data_food import noise


def picture(kind: str) -> Image.Image:
    rgb = Image.fromarray(noise(6, 9, 3))
    match kind:
        case "alpha":
            rgb.putalpha(Image.fromarray(noise(6, 9)))
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
