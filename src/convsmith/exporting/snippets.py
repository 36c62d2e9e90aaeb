"""Lines of Python that ask an exported file about a picture without this package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .metadata import Metadata, describe

__all__ = ["ORT", "Asked", "snippet"]


@dataclass(frozen=True)
class Asked:
    """How a runtime is asked in Python: what is imported beside json and NumPy, the lines that open {file} as `net`, and the
    expression for all that it puts out of {given}. `told` reads what the file says of itself, None where it has to be told.
    """

    imports: str
    opened: str
    run: str
    told: str | None = None

    def opening(self, file: Path, given: Metadata) -> str:
        """The lines from the file to `net` and `told`."""
        written = {key: text for key, text in describe(given).items() if key in (*_SHOWN, "classes")}
        opened = self.opened.replace("{file}", json.dumps(str(file)))
        return f"{opened}\n{self.told or f'told = {written!r}'}"

    def answers(self, given: str) -> str:
        """The expression for what `net` puts out of the images that are called `given`."""
        return self.run.replace("{given}", given)


_SHOWN = ("resolution", "mean", "std")
ORT = Asked(
    "import json, numpy, onnxruntime",
    'net = onnxruntime.InferenceSession({file}, providers=["CPUExecutionProvider"])',
    "net.run(None, {net.get_inputs()[0].name: {given}})",
    "told = net.get_modelmeta().custom_metadata_map",
)


def _whole(file: Path, given: Metadata, asked: Asked) -> str:
    """From the file to `found`, what the network finds in a picture that is shown whole."""
    prepared = "pixels[None]"
    if not given.raw:
        prepared = '((pixels / 255 - mean) / std).transpose(2, 0, 1)[None].astype("float32")'
    return f'''\
{asked.imports}
from PIL import Image, ImageOps

{asked.opening(file, given)}
{_told(given)}
image = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("{"L" if given.channels == 1 else "RGB"}")
w, h = image.size
size = ((2 * high * w + h) // (2 * h), high) if h * wide >= w * high else (wide, (2 * wide * h + w) // (2 * w))
shown = Image.new(image.mode, (wide, high))
shown.paste(image.resize(size, Image.Resampling.BILINEAR))
pixels = numpy.array(shown).reshape(high, wide, -1)
found = (one[0] for one in {asked.answers(prepared)})
'''


def _of_points(file: Path, given: Metadata, asked: Asked) -> str:
    label = "names[i]" if given.classes else "i"
    return f"""\
{_whole(file, given, asked)}points, likelihood = found
points = (points + 0.5) * numpy.divide(image.size, size) - 0.5  # in the picture's own pixels
for i, (x, y) in enumerate(points):
    print({label}, round(float(x), 1), round(float(y), 1), round(float(likelihood[i]), 4))
"""


def _of_objects(file: Path, given: Metadata, asked: Asked) -> str:
    label = "names[labels[i] - 1]" if given.classes else "labels[i]"
    masks = ", masks" if len(given.outputs) > 3 else ""
    said = "; masks[i] lies over the box" if masks else ""
    return f"""\
{_whole(file, given, asked)}boxes, scores, labels{masks} = found
boxes *= numpy.tile(numpy.divide(image.size, size), 2)  # x1, y1, x2, y2 in the picture's own pixels{said}
for i in range((scores >= 0.5).sum()):
    print({label}, round(float(scores[i]), 4), boxes[i].astype(float).round(1).tolist())
"""


def _of_clips(file: Path, given: Metadata) -> str:
    label = "names[i]" if given.classes else "i"
    return f"""\
import av, json, numpy, onnxruntime
from PIL import Image

net = onnxruntime.InferenceSession({json.dumps(str(file))}, providers=["CPUExecutionProvider"])
told = net.get_modelmeta().custom_metadata_map
{_told(given)}
count, stride = json.loads(told["frames"]), json.loads(told["stride"])
clip = []
for at, frame in enumerate(av.open("film.mp4").decode(video=0)):  # the film's first clip
    if at % stride == 0:
        image = frame.to_image().convert("{"L" if given.channels == 1 else "RGB"}")
        w, h = image.size
        size = (high * w // h, high) if h * wide <= w * high else (wide, wide * h // w)
        image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = (image.width - wide) // 2, (image.height - high) // 2
        clip.append(numpy.array(image.crop((left, top, left + wide, top + high))).reshape(high, wide, -1))
    if len(clip) == count:
        break
images = ((numpy.stack(clip) / 255 - mean) / std).transpose(3, 0, 1, 2)[None].astype("float32")
logits = net.run(None, {{net.get_inputs()[0].name: images}})[0][0]
shares = {_ACTIVATIONS[given.activation]}
for i in shares.argsort()[:-6:-1]:
    print({label}, round(float(shares[i]), 4))
"""


def _of_images(file: Path, given: Metadata) -> str:
    mode = "L" if given.channels == 1 else "RGB"
    return f"""\
import numpy, onnxruntime
from PIL import Image

net = onnxruntime.InferenceSession({json.dumps(str(file))}, providers=["CPUExecutionProvider"])
z = numpy.random.default_rng(0).standard_normal((4, net.get_inputs()[0].shape[1]), "float32")
y = numpy.zeros(4, "int64")  # the class of each
for i, image in enumerate(net.run(None, {{"z": z, "y": y}})[0]):
    pixels = ((image + 1) * 127.5).round().astype("uint8").transpose(1, 2, 0)
    Image.fromarray(pixels.squeeze(), "{mode}").save(f"made-{{i}}.png")
"""


_ACTIVATIONS = {
    "softmax": "numpy.exp(logits - logits.max()) / numpy.exp(logits - logits.max()).sum()",
    "sigmoid": "1 / (1 + numpy.exp(-logits))",
}


def snippet(file: Path, given: Metadata, asked: Asked = ORT) -> str:
    """A few lines of Python, ready to paste, that ask the exported file `file` about a picture without this package: with its
    runtime, NumPy and Pillow alone. ONNX files of clips they ask about a film, those that make images for four of them."""
    if given.outputs[0] == "images":
        return _of_images(file, given)
    if given.outputs[0] == "boxes":
        return _of_objects(file, given, asked)
    if given.frames:
        return _of_clips(file, given)
    if given.view == "whole":
        return _of_points(file, given, asked)
    label = "names[i]" if given.classes else "i"
    return f'''\
{asked.imports}
from PIL import Image, ImageOps

{asked.opening(file, given)}
{_told(given)}
image = Image.open("photo.jpg")
image.draft(None, [2 * max(high, wide)] * 2)  # of a large JPEG, no more pixels are decoded than are needed
image = ImageOps.exif_transpose(image).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("{"L" if given.channels == 1 else "RGB"}")
w, h = image.size
size = (high * w // h, high) if h * wide <= w * high else (wide, wide * h // w)
image = image.resize(size, Image.Resampling.BILINEAR)
left, top = (image.width - wide) // 2, (image.height - high) // 2
pixels = numpy.array(image.crop((left, top, left + wide, top + high))).reshape(high, wide, -1)
{_shares(given, asked)}
for i in shares.argsort()[:-6:-1]:
    print({label}, round(float(shares[i]), 4))
'''


def _told(given: Metadata) -> str:
    """The lines that read what the file says of itself."""
    if given.raw:
        names = '\nnames = json.loads(told["classes"])' if given.classes else ""
        return f'high, wide = json.loads(told["resolution"]){names}'
    wanted = (*_SHOWN, "classes")[: 4 if given.classes else 3]
    names = ", names" if given.classes else ""
    keys = json.dumps(wanted).replace("[", "(").replace("]", ")")
    return f"(high, wide), mean, std{names} = (json.loads(told[key]) for key in {keys})"


def _shares(given: Metadata, asked: Asked) -> str:
    """The lines from the pixels to the probabilities."""
    if given.raw:
        return f"shares = {asked.answers('pixels[None]')}[0][0]"
    return f"""\
images = ((pixels / 255 - mean) / std).transpose(2, 0, 1)[None].astype("float32")
logits = {asked.answers("images")}[0][0]
shares = {_ACTIVATIONS[given.activation]}"""
