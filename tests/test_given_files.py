"""What users hand over, as it comes: channels, depths, names, encodings, and files that are not what they are called."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convsmith as cs
from convsmith.data import eval_batches, load_data, train_batches
from convsmith.data.readers.pseudo import read_pseudo
from convsmith.errors import DataError, UserError
from convsmith.exporting import session
from convsmith.jobs.options import Options
from convsmith.jobs.predict import predict
from convsmith.jobs.search.options import space_of
from convsmith.jobs.source import contents, fingerprint
from convsmith.jobs.studies.climb import planned
from convsmith.jobs.train.begin import design_job, train_job
from convsmith.recipe import Augment
from convsmith.scaling import rule as named_rule
from convsmith.watcher import Watcher
from convsmith.weights import read as read_weights
from data_food import array_split, noise, write_classes

# ---- channels ----


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_a_network_of_other_channels_than_pictures_have_is_refused_before_data_is_read(tmp_path, channels):
    spec = cs.spec("mobilenetv2_035", classes=2, resolution=16).with_channels(channels)
    (tmp_path / "odd.json").write_text(spec.to_json())
    words = f"images of {channels} channels, and data is read as 1 .* or 3"
    for asked in (
        lambda: train_job(spec, tmp_path / "none", None, Options(), Watcher()),
        lambda: design_job(tmp_path / "none", "1M-macs", spec, "compound", Options(), Watcher()),
        lambda: planned(
            spec,
            tmp_path / "none",
            resolution=None,
            study_factors=False,
            grow=1.0,
            options=Options(),
            watcher=Watcher(),
        ),
        lambda: space_of(str(tmp_path / "odd.json")),
        lambda: eval_batches(array_split(), sides=(8, 8), batch=4, channels=channels),
        lambda: train_batches(
            array_split(),
            sides=(8, 8),
            batch=4,
            augment=Augment(),
            seed=0,
            first_step=0,
            last_step=1,
            channels=channels,
        ),
    ):
        with pytest.raises(UserError, match=words):
            asked()
    assert [path.name for path in tmp_path.iterdir()] == ["odd.json"]


# ---- files that are not what they are called ----

PAGE = b"\n<!DOCTYPE html><html><body>404</body></html>"
DISGUISES = [
    (PAGE, "is a web page: what was asked for was not sent, download it again"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 100\n", "is a pointer of Git LFS"),
    (b"", "is an empty file"),
    (b"\x1f\x8b\x08\x00\x00", "is compressed by gzip: unpack it first"),
    (b"\x89PNG\r\n\x1a\n", "is a PNG picture"),
]


@pytest.mark.parametrize(
    "name", ["x.npz", "x.csv", "x.pth", "x.safetensors", "x.onnx", "x.json", "rule.json", "pseudo.json"]
)
@pytest.mark.parametrize("content, words", DISGUISES)
def test_a_file_of_another_kind_is_called_what_it_is_by_every_reader(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name} {words}"):
        READERS[name](path)


READERS = {
    "x.npz": load_data,
    "x.csv": load_data,
    "x.pth": read_weights,
    "x.safetensors": read_weights,
    "x.onnx": lambda path: session(path, threads=1),
    "x.json": cs.spec,
    "rule.json": lambda path: named_rule(str(path)),
    "pseudo.json": read_pseudo,
}


@pytest.mark.parametrize("name", ["x.npz", "x.pth", "x.safetensors", "x.onnx"])
def test_an_answer_of_a_server_is_quoted(tmp_path, name):
    (tmp_path / name).write_bytes(b"404: Not Found")
    with pytest.raises(UserError, match="is a text that begins '404: Not Found'"):
        READERS[name](tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["x.npz", "x.csv"])
def test_a_pipe_in_the_place_of_data_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is a named pipe, not a file"):
        load_data(tmp_path / name)


def test_an_npz_that_was_cut_short_says_so(tmp_path):
    np.savez(tmp_path / "x.npz", images=noise(4, 5, 5), labels=[0, 1, 0, 1])
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"is damaged, or was cut short .*\. Copy or download it again"):
        load_data(tmp_path / "x.npz")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_spec_is_read_whichever_program_wrote_it(tmp_path, encoding):
    spec = cs.spec("mobilenetv2_035", classes=2)
    (tmp_path / "x.json").write_bytes(spec.to_json().encode(encoding))
    assert cs.spec(tmp_path / "x.json") == spec


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_whichever_spreadsheet_wrote_it(tmp_path, encoding, separator):
    write_classes(tmp_path, {"x": 4})
    rows = [("file", "label"), *((f"x/{i:03}.png", ("thé", "café")[i % 2]) for i in range(4))]
    (tmp_path / "x.csv").write_bytes("\r\n".join(separator.join(row) for row in rows).encode(encoding))
    data = load_data(tmp_path / "x.csv")
    assert data.classes == ("café", "thé") and len(data.train) + len(data.val) == 4


def test_a_table_in_another_encoding_is_told_by_its_line(tmp_path):
    (tmp_path / "x.csv").write_bytes("file,label\na.png,tea\nb.png,café\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not text in UTF-8: line 3 has the byte 0xe9"):
        load_data(tmp_path / "x.csv")


# ---- what is left out is said ----


def beside(folder: Path, n: int, *, suffix: str = ".png", seed: int = 100) -> None:
    """`n` images in a folder, unlike those of `write_classes`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.fromarray(noise(7, 7 + i, 3, seed=seed + i)).save(folder / f"{n}-{i}", "PNG")
        (folder / f"{n}-{i}").rename(folder / f"{n}-{i}{suffix}")


def seen(folder: Path) -> tuple[int, tuple[str, ...]]:
    data = load_data(folder)
    return len(data.train) + len(data.val), data.notes


def test_images_behind_links_and_without_an_ending_are_read_and_a_circle_ends(tmp_path):
    write_classes(tmp_path / "set", {"a": 3, "b": 3})
    beside(tmp_path / "elsewhere", 4)
    beside(tmp_path / "set/a", 2, suffix="", seed=200)
    beside(tmp_path / "set/b", 2, suffix=".jpe", seed=300)
    (tmp_path / "set/a/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set/b/circle").symlink_to(tmp_path / "set/b", target_is_directory=True)
    (tmp_path / "set/a/README").write_text("no image")
    assert seen(tmp_path / "set") == (14, ())


def test_a_class_may_begin_with_underscores(tmp_path):
    write_classes(tmp_path, {"a": 2, "__background__": 2, "__MACOSX": 2})
    assert load_data(tmp_path).classes == ("__background__", "a")


@pytest.mark.parametrize("put, words", [
    (lambda path: beside(path, 3), "3 images are left out, .*/3-0.png first: they lie beside the class folders of set/"),
    (lambda path: beside(path / "a", 1, suffix=".png.bak"), "1 image is left out, set/a/1-0.png.bak first: they lie hidden, or"),
    (lambda path: beside(path / "a/.old", 2), "2 images are left out, .*a/.old/2-0.png first"),
    (lambda path: (path / "a/002.png").rename(path / "a/.002.png"), r"1 image is left out, set/a/\.002\.png first"),
])  # fmt: skip
def test_images_that_are_left_out_are_counted(tmp_path, put, words):
    write_classes(tmp_path / "set", {"a": 4, "b": 3})
    put(tmp_path / "set")
    (note,) = load_data(tmp_path / "set").notes
    assert re.search(words, note)
    assert load_data(tmp_path / "set").to_record()["notes"] == [note]


def test_folders_beside_the_parts_are_counted(tmp_path):
    write_classes(tmp_path / "set/train", {"a": 3, "b": 3})
    beside(tmp_path / "set/val/a", 2, seed=200)
    beside(tmp_path / "set/eval/a", 4)
    beside(tmp_path / "set/docs", 0)
    (note,) = load_data(tmp_path / "set").notes
    assert "4 images are left out, eval/a/4-0.png first: they lie in eval/, and the parts are train/ and val/" in note


# ---- copies ----


def test_copies_are_told_of_with_their_number_and_the_first(tmp_path):
    write_classes(tmp_path / "train", {"a": 4, "b": 0})
    beside(tmp_path / "train/b", 3)
    shutil.copy(tmp_path / "train/a/001.png", tmp_path / "train/a/again.png")
    shutil.copy(tmp_path / "train/a/002.png", tmp_path / "train/b/other.png")
    beside(tmp_path / "val/b", 3, seed=500)
    shutil.copytree(tmp_path / "train/a", tmp_path / "val/a", ignore=shutil.ignore_patterns("again.png", "002.png"))
    assert load_data(tmp_path).notes == (
        "copies of training images among the 6 to validate on: 3 images, val/a/000.png of train/a/000.png first; their score is "
        "not one of new images",
        "copies in two classes: 1 image, train/b/other.png of train/a/002.png first; one of the two labels is wrong",
        "copies in one class: 1 image, train/a/again.png of train/a/001.png first",
    )


def test_copies_in_memory_are_told_of_and_other_images_are_not(tmp_path):
    images = noise(12, 6, 6)
    labels = [0, 1] * 6
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, x_val=images[:4], y_val=[0, 1, 0, 0])
    first, second = load_data(tmp_path / "x.npz").notes
    assert first.startswith(
        "copies of training images among the 4 to validate on: 4 images, validation image 0 of training"
    )
    assert second.startswith("copies in two classes: 1 image, validation image 3 of training image 3 first")
    np.savez(tmp_path / "y.npz", images=images, labels=labels)
    assert not load_data(tmp_path / "y.npz").notes


# ---- pixels that use little of their range ----


def test_images_that_are_all_but_black_are_told_of(tmp_path):
    for kind in "ab":
        (tmp_path / "deep" / kind).mkdir(parents=True)
        for i in range(3):
            deep = np.random.default_rng(ord(kind) + 9 * i).integers(0, 4096, (6, 6 + i)).astype(np.uint16)
            Image.fromarray(deep).save(tmp_path / "deep" / kind / f"{i}.png")
    (note,) = load_data(tmp_path / "deep").notes
    assert note.startswith("the 6 images of more than 8 bits are all but black: none uses more than 7% of the range")
    write_classes(tmp_path / "deep", {"a": 4, "b": 4})  # others do not hide them
    (note,) = load_data(tmp_path / "deep").notes[:1]
    assert note.startswith("the 6 images of more than 8 bits")
    np.savez(tmp_path / "x.npz", images=noise(12, 6, 6) % 2, labels=[0, 1] * 6)
    (note,) = load_data(tmp_path / "x.npz").notes
    assert note == "the 12 images are all but black: no pixel is above 1 of 255; white is 255"


@pytest.mark.parametrize("arrays, words", [
    ({"images": noise(4, 5, 5).astype(np.uint16) * 16}, "pixels go from .* images / 39.., if that is white"),
    ({"images": noise(4, 5, 5, 4)}, "1 or 3 channels"),
    ({"labels": [1, 2, 1, 2]}, "labels from 1 to 2: number the classes from 0, as by labels - 1"),
    ({"labels": np.eye(2)[[0, 1, 0, 1]]}, r"labels\.argmax\(1\)"),
])  # fmt: skip
def test_arrays_that_mean_something_else_are_refused_with_what_to_do(tmp_path, arrays, words):
    np.savez(tmp_path / "x.npz", **{"images": noise(4, 5, 5), "labels": [0, 1, 0, 1]} | arrays)
    with pytest.raises(DataError, match=words):
        load_data(tmp_path / "x.npz")


# ---- names ----


def latin(path: Path) -> str:
    """The path with every é as the byte that Latin-1 has for it, which is no UTF-8."""
    return os.fsdecode(str(path).encode("latin-1"))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_names_in_latin_1_become_text_and_data_is_known_again(tmp_path):
    write_classes(tmp_path / "set", {"café": 4, "thé": 4})
    for folder in (tmp_path / "set").iterdir():
        for file in folder.iterdir():
            file.rename(folder / os.fsdecode(b"\xe9" + os.fsencode(file.name)))
        folder.rename(latin(folder))
    data = load_data(tmp_path / "set")
    assert data.classes == ("café", "thé") and len(data.train) == 6
    json.dumps(data.to_record(), ensure_ascii=False).encode(errors="replace")
    assert fingerprint(data) == fingerprint(load_data(tmp_path / "set"))
    assert contents(data) == contents(load_data(tmp_path / "set"))
    np.savez(tmp_path / "x.npz", images=noise(4, 5, 5), labels=np.array([b"caf\xe9", b"tea"] * 2))
    assert load_data(tmp_path / "x.npz").classes == ("café", "tea")
    (tmp_path / "set/café").mkdir()
    beside(tmp_path / "set/café", 2)
    with pytest.raises(DataError, match=r"two folders of .* are called 'café', in two encodings"):
        load_data(tmp_path / "set")


def test_what_would_steer_a_terminal_is_spelt_out_in_a_name(tmp_path):
    write_classes(tmp_path, {"a\x1b[31m": 2, "b\n": 2, "c d 👩‍🔬": 2})
    assert load_data(tmp_path).classes == ("a\\x1b[31m", "b\\n", "c d 👩‍🔬")
    write_classes(tmp_path / "plain", {"x": 2, "y": 2})
    labels = {"x": "a\x1b[31m", "y": "dog"}
    rows = [f"{file.parent.name}/{file.name},{labels[file.parent.name]}" for file in (tmp_path / "plain").glob("*/*")]
    (tmp_path / "plain/set.csv").write_text("\n".join(["file,label", *rows]))
    assert load_data(tmp_path / "plain/set.csv").classes == ("a\\x1b[31m", "dog")


def test_predict_says_what_it_shows_all_but_black(tmp_path):
    Image.fromarray(noise(9, 9).astype(np.uint16) * 16).save(tmp_path / "deep.png")
    Image.fromarray(noise(9, 9) // 16).save(tmp_path / "dark.png")
    told: list[str] = []

    class Listening(Watcher):
        def note(self, text: str) -> None:
            told.append(text)

    net = cs.build(cs.spec("mobilenetv2_035", classes=2, resolution=16))
    assert len(predict(net, tmp_path, watcher=Listening())) == 2
    assert [one.partition(" images")[0] for one in told] == ["1 of 2"]
