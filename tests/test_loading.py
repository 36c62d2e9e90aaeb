"""Loading: what each kind of data becomes, and what is said about data that cannot be trained on."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from convsmith.data import Arrays, Files, load_data
from convsmith.data.images import placed
from convsmith.data.pictures import MOST_PIXELS
from convsmith.errors import DataError
from data_food import noise, write_classes

CIFAR = Path(__file__).parents[1] / "../shared/data/cifar10"


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def jpegs(n: int, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    files = []
    for i in range(n):
        file = io.BytesIO()
        Image.fromarray(noise(side, side, 3, seed=i)).save(file, "JPEG")
        files.append(np.frombuffer(file.getvalue(), np.uint8))
    return np.concatenate(files), np.cumsum([0, *map(len, files)])


# ---- what is read ----


def test_digits_are_all_there_once_with_their_own_labels():
    data = load_data("digits")
    raw = load_digits()
    assert len(data.train) + len(data.val) == 1797 and len(data.classes) == 10 and not data.mirror
    both = np.concatenate([data.train.inputs.images, data.val.inputs.images])[..., 0]
    labels = np.concatenate([data.train.targets.labels, data.val.targets.labels])
    ours = sorted((image.tobytes(), int(label)) for image, label in zip(both, labels, strict=True))
    scaled = np.rint(raw.images * 255 / 16).astype(np.uint8)
    assert ours == sorted((image.tobytes(), int(label)) for image, label in zip(scaled, raw.target, strict=True))
    counts = np.array(data.to_record()["per_class"])
    assert np.abs(counts[:, 1] / counts.sum(1) - 0.2).max() < 0.005


def test_a_split_is_made_by_its_seed_alone():
    one, same, other = (load_data("digits", seed=seed).val.inputs.images for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_the_record_is_plain_json_and_counts_every_image(tmp_path):
    write_classes(tmp_path / "set", {"ant": 10, "bee": 5})
    (tmp_path / "set/ant/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    record = load_data(tmp_path / "set", seed=4).to_record()
    assert json.loads(json.dumps(record)) == record
    assert record["name"] == "set" and record["classes"] == ["ant", "bee"]
    assert record["per_class"] == [[8, 2], [4, 1]] and (record["train"], record["val"]) == (12, 3)
    assert record["split"] == "20% of each class, drawn at random with seed 4"
    assert [one["path"] for one in record["skipped"]] == ["ant/broken.png"]


def test_a_folder_is_read_whatever_the_case_and_without_hidden_files(tmp_path):
    write_classes(tmp_path, {"b": 3, "a": 3}, suffix=".PNG")
    write_classes(tmp_path / "a", {"deeper": 2}, suffix=".jpg")
    write_classes(tmp_path, {".cache": 3})
    (tmp_path / "a/._000.png").write_bytes(b"resource fork")
    (tmp_path / "a/notes.txt").write_text("not an image")
    data = load_data(tmp_path, val_fraction=0.3)
    assert data.classes == ("a", "b") and not data.skipped
    assert np.bincount(np.concatenate([data.train.targets.labels, data.val.targets.labels])).tolist() == [5, 3]
    shown = {data.train.inputs.where(i) for i in range(len(data.train))}
    assert all(Path(path).is_file() for path in shown) and len(shown) == len(data.train)


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "test"])
def test_a_folder_with_its_own_validation_part_keeps_it(tmp_path, name):
    write_classes(tmp_path / "train", {"a": 4, "b": 4, "c": 4})
    write_classes(tmp_path / name, {"c": 2, "a": 1})
    data = load_data(tmp_path)
    assert (len(data.train), data.val.targets.labels.tolist()) == (12, [0, 2, 2])
    assert data.split_note == f"the folder {name.lower()}/, as it is"


def test_a_class_may_be_called_train(tmp_path):
    write_classes(tmp_path, {"bus": 3, "test": 2, "train": 4})
    assert load_data(tmp_path).classes == ("bus", "test", "train")


def test_a_second_folder_may_be_the_validation_part(tmp_path):
    write_classes(tmp_path / "one", {"a": 4, "b": 4})
    write_classes(tmp_path / "two", {"b": 3})
    data = load_data(tmp_path / "one", val=tmp_path / "two")
    assert (len(data.train), data.val.targets.labels.tolist()) == (8, [1, 1, 1])
    assert data.split_note == f"{tmp_path / 'two'}, as it is"


def test_small_images_of_one_size_are_held_and_others_stay_on_disk(tmp_path):
    write_classes(tmp_path / "odd", {"a": 3, "b": 3})
    assert isinstance(load_data(tmp_path / "odd").train.inputs, Files)
    for name in "ab":
        (tmp_path / "even" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(noise(6, 6, 3, seed=i)).save(tmp_path / "even" / name / f"{i}.png")
    held = load_data(tmp_path / "even").train.inputs
    assert isinstance(held, Arrays)
    assert np.array_equal(held.images[0], np.asarray(Image.open(held.where(0))))


@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 5, 7, 1), (6, 5, 7, 3), (6, 1, 5, 7), (6, 3, 5, 7)])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64])
def test_arrays_of_every_usual_layout_and_type_are_read_alike(tmp_path, shape, kind):
    images = noise(*shape)
    stored = (images / 255).astype(kind) if np.issubdtype(kind, np.floating) else images.astype(kind)
    data = load_data(npz(tmp_path / "x.npz", images=stored, labels=[0, 1] * 3), val_fraction=0.01)
    image = torch.from_numpy(images[0])
    if len(shape) == 3:
        image = image[None]
    elif shape[3] in (1, 3):
        image = image.permute(2, 0, 1)
    drawn = [data.train.inputs.decode(i) for i in range(4)] + [data.val.inputs.decode(i) for i in range(2)]
    assert any(torch.equal(one, image.expand(3, -1, -1)) for one in drawn)


def test_an_npz_may_use_other_names_and_bring_its_validation_part(tmp_path):
    x, y = noise(6, 4, 4, 3), np.array([[0], [1]] * 3)
    data = load_data(npz(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2], class_names=["p", "q"]))
    assert data.classes == ("p", "q") and (len(data.train), len(data.val)) == (6, 2)
    data = load_data(npz(tmp_path / "b.npz", x=x, y=["q", "p"] * 3), val=tmp_path / "a.npz")
    assert data.classes == ("p", "q") and data.val.targets.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_encoded_npz_images_are_what_pillow_decodes_and_damaged_ones_are_skipped(tmp_path):
    joined, offset = jpegs(8)
    expected = np.asarray(Image.open(io.BytesIO(joined[: offset[1]].tobytes())))
    joined[offset[3] : offset[4]] = 0
    path = npz(tmp_path / "x.npz", jpeg=joined, offset=offset, label=np.arange(8, dtype=np.uint8) % 2)
    data = load_data(path)
    assert [one.path for one in data.skipped] == ["x, image 3"] and len(data.train) + len(data.val) == 7
    everything = np.concatenate([data.train.inputs.images, data.val.inputs.images])
    assert any(np.array_equal(image, expected) for image in everything)


@pytest.mark.skipif(not CIFAR.is_dir(), reason="../shared/data/cifar10 is not here")
def test_the_real_cifar_images_decode_to_the_published_hash():
    data = load_data(CIFAR / "test5k.npz", val=CIFAR / "test5k.npz")
    assert data.classes[:3] == ("airplane", "automobile", "bird") and not data.skipped
    assert np.bincount(data.train.targets.labels).tolist() == [500] * 10
    # The README's own hash, which holds for Pillow's decoder.
    digest = hashlib.sha256(data.train.inputs.images.tobytes()).hexdigest()
    assert digest == "ac6326471241f0b38ee4003afdbf7c5db8ea51c641e5c99337ccc260a90e10fd"


def test_torchvision_sets_are_read_from_the_folder_named(tmp_path):
    batches = tmp_path / "fgvc-aircraft-2013b/data"
    (batches / "images").mkdir(parents=True)
    (batches / "variants.txt").write_text("A320\nB747\n")
    for part in ("train", "val"):
        rows = [f"{part}{i} {'A320' if i % 2 else 'B747'}" for i in range(4)]
        (batches / f"images_variant_{part}.txt").write_text("\n".join(rows) + "\n")
        for row in rows:
            Image.fromarray(noise(8, 8, 3)).save(batches / "images" / f"{row.split()[0]}.jpg")
    data = load_data("fgvcaircraft", root=tmp_path)
    assert data.classes == ("A320", "B747") and data.val.targets.labels.tolist() == [1, 0, 1, 0]
    assert data.split_note == "the set's own part 'val', as it is"


def test_progress_ends_at_the_number_of_images(tmp_path):
    write_classes(tmp_path / "train", {"a": 40, "b": 4})
    write_classes(tmp_path / "val", {"a": 3})
    told = []
    load_data(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (47, 47)


# ---- bad input ----


def test_damaged_files_are_skipped_counted_and_listed_with_a_reason(tmp_path):
    write_classes(tmp_path, {"a": 5, "b": 5}, side=40, suffix=".jpg")
    whole = (tmp_path / "a/000.jpg").read_bytes()
    (tmp_path / "a/empty.jpg").write_bytes(b"")
    (tmp_path / "a/text.png").write_text("hello")
    (tmp_path / "b/cut.jpg").write_bytes(whole[: len(whole) // 2])
    bomb = io.BytesIO()
    Image.new("1", (8, 8)).save(bomb, "PNG")
    side = int(MOST_PIXELS**0.5) + 1
    # Only the header claims the size: width and height are the eight bytes after IHDR, then its checksum.
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + bomb.getvalue()[24:29]
    checksum = zlib.crc32(header).to_bytes(4, "big")
    (tmp_path / "b/bomb.png").write_bytes(bomb.getvalue()[:12] + header + checksum + bomb.getvalue()[33:])
    (tmp_path / "b/dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    data = load_data(tmp_path)
    reasons = {Path(one.path).name: one.why for one in data.skipped}
    assert reasons.keys() == {"empty.jpg", "text.png", "cut.jpg", "bomb.png", "dangling.jpg"}
    assert "text that begins 'hello'" in reasons["text.png"] and "empty file" in reasons["empty.jpg"]
    assert "truncated" in reasons["cut.jpg"] and "89 million pixels" in reasons["bomb.png"]
    assert "no such file" in reasons["dangling.jpg"]
    assert len(data.train) + len(data.val) == 10


def folder_of(counts: dict[str, int]):
    return lambda path: write_classes(path / "set", counts)


def left_with_one(path: Path) -> Path:
    write_classes(path / "set", {"a": 3, "b": 2})
    (path / "set/b/000.png").write_bytes(b"x")
    return path / "set"


def all_broken(path: Path) -> Path:
    write_classes(path / "set", {"a": 2, "b": 2})
    for file in (path / "set").rglob("*.png"):
        file.write_bytes(b"x")
    return path / "set"


def stray_validation(path: Path) -> Path:
    write_classes(path / "set/train", {"cat": 3, "dog": 3})
    write_classes(path / "set/val", {"cat": 3, "dogs": 3})
    return path / "set"


def loose_images(path: Path) -> Path:
    Image.fromarray(noise(4, 4, 3)).save(path / "x.png")
    return path


def no_train(path: Path) -> Path:
    write_classes(path / "val", {"a": 2, "b": 2})
    return path


@pytest.mark.parametrize("make, words", [
    (folder_of({}), "there is no data"),
    (folder_of({"a": 3}), "one class, 'a'"),
    (folder_of({"a": 3, "b": 1}), "class 'b' of set has one image"),
    (folder_of({"a": 3, "b": 0}), "class 'b' has no images"),
    (left_with_one, r"class 'b' of set has one image \(1 unreadable, the first .*000.png: not an image"),
    (all_broken, r"set has no images \(4 unreadable"),
    (stray_validation, "class 'dogs' .* is not among the 2 training classes; did you mean 'dog'"),
    (loose_images, "holds images, but no class folders"),
    (lambda path: path, "holds no class folders; put the images"),
    (no_train, "no 'train' beside it"),
])  # fmt: skip
def test_a_folder_that_cannot_be_trained_on_is_refused(tmp_path, make, words):
    made = make(tmp_path)
    with pytest.raises(DataError, match=words):
        load_data(made)


GOOD = {"images": noise(4, 5, 5, 3), "labels": np.array([0, 1, 0, 1])}
NAN = np.where(np.arange(4)[:, None, None, None] == 2, np.nan, np.zeros((4, 5, 5, 3)))
JPEG, OFFSET = jpegs(4)
ENCODED = {"jpeg": JPEG, "offset": OFFSET, "label": np.array([0, 1, 0, 1])}


@pytest.mark.parametrize("arrays, words", [
    (GOOD | {"labels": [0, 1, 0]}, "4 images and 3 labels"),
    (GOOD | {"labels": [0, -1, 0, 1]}, "label of image 1 is -1"),
    (GOOD | {"labels": [0, 1.5, 0, 1]}, r"label 1\.5 is not a whole number"),
    (GOOD | {"labels": [0, np.nan, 0, 1]}, "label nan is not a whole number"),
    (GOOD | {"labels": np.eye(4)}, r"labels have shape \(4, 4\)"),
    (GOOD | {"labels": [0, 0, 2, 2]}, "class '1' of x has no images"),
    (GOOD | {"labels": [0, 10**9, 0, 1]}, "label 1000000000 but only 4 images"),
    (GOOD | {"labels": [0, 0, 0, 0]}, "one class, '0'"),
    (GOOD | {"labels": [0, 0, 0, 1]}, "class '1' of x has one image"),
    (GOOD | {"labels": np.array([0, 1, "x", None], object)}, "Python objects"),
    (GOOD | {"classes": ["a"]}, "label 1 but only 1 class names"),
    (GOOD | {"classes": ["a", "a"]}, "same name"),
    (GOOD | {"images": NAN}, "image 2 has pixels that are NaN"),
    (GOOD | {"images": NAN[:, :, :, :2]}, r"images have shape \(4, 5, 5, 2\)"),
    (GOOD | {"images": noise(4, 75)}, r"images have shape \(4, 75\)"),
    (GOOD | {"images": noise(4, 5, 5, 3) * 1.0}, "pixels go from"),
    (GOOD | {"images": noise(4, 5, 5, 3) - 300.0}, "pixels go from -"),
    (GOOD | {"images": np.full((4, 5, 5), "x")}, "images are <U1"),
    (GOOD | {"images": noise(0, 5, 5), "labels": np.zeros(0, int)}, "x has no images"),
    ({"pictures": GOOD["images"], "labels": [0, 1, 0, 1]}, "no array 'images' .* it has pictures, labels"),
    ({"images": GOOD["images"]}, "no array 'labels'"),
    (ENCODED | {"offset": OFFSET[::-1]}, "'offset' must rise"),
    (ENCODED | {"offset": OFFSET + 1}, "'offset' must rise"),
    (ENCODED | {"offset": OFFSET[:-1]}, "3 images and 4 labels"),
    (ENCODED | {"jpeg": JPEG.astype(int)}, "one row of uint8"),
    (ENCODED | {"jpeg": JPEG * 0}, r"x has no images \(4 unreadable, the first x, image 0"),
])  # fmt: skip
def test_an_npz_that_cannot_be_trained_on_is_refused(tmp_path, arrays, words):
    with pytest.raises(DataError, match=words):
        load_data(npz(tmp_path / "x.npz", **arrays))


def test_a_damaged_npz_is_refused_and_a_pickle_is_never_run(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(DataError, match="cannot be read as an"):
        load_data(tmp_path / "x.npz")
    whole = npz(tmp_path / "y.npz", **GOOD).read_bytes()
    (tmp_path / "y.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as an"):
        load_data(tmp_path / "y.npz")
    (tmp_path / "z.npz").write_bytes(pickle.dumps({"images": 1}))
    with pytest.raises(DataError, match="Python objects"):
        load_data(tmp_path / "z.npz")
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, GOOD["images"])
    with pytest.raises(DataError, match="one bare array"):
        load_data(tmp_path / "w.npz")


@pytest.mark.parametrize("what, words", [
    ("digit", "no data 'digit'; did you mean 'digits'"),
    ("CIFAR10", "did you mean 'cifar10'"),
    ("./nowhere", "no data './nowhere'; give a folder"),
    ("cifar10", "--root DIR where it lies, or allow --download"),
])  # fmt: skip
def test_a_name_that_leads_nowhere_says_where_to_go(what, words):
    with pytest.raises(DataError, match=words):
        load_data(what)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "flowers102", "oxfordiiitpet", "food101", "fgvcaircraft"])
def test_a_torchvision_set_that_is_not_there_is_refused_without_a_download(tmp_path, name):
    with pytest.raises(DataError, match=f"'{name}' cannot be read .*--root DIR where it lies, or allow --download"):
        load_data(name, root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_data_and_a_share_that_is_no_share_are_refused(tmp_path):
    (tmp_path / "x.txt").write_text("1,2")
    with pytest.raises(DataError, match="neither a folder nor"):
        load_data(tmp_path / "x.txt")
    for fraction in (0.0, 1.0, -1.0):
        with pytest.raises(DataError, match="val_fraction"):
            load_data("digits", val_fraction=fraction)


def test_a_validation_set_of_other_classes_is_refused(tmp_path):
    write_classes(tmp_path / "val", {"zebra": 3})
    with pytest.raises(DataError, match=r"class 'zebra' of .* is not among the 10 training classes"):
        load_data("digits", val=tmp_path / "val")
    with pytest.raises(DataError, match="label 12 but training has only 10 classes"):
        load_data("digits", val=npz(tmp_path / "v.npz", images=noise(1, 8, 8), labels=[12]))
    with pytest.raises(DataError, match="no validation images"):
        load_data("digits", val=npz(tmp_path / "e.npz", images=noise(0, 8, 8), labels=np.zeros(0, int)))


def test_data_are_values():
    data = load_data("digits")
    with pytest.raises(AttributeError):
        data.name = "other"
    assert replace(data, name="other").name == "other"


def test_what_a_run_keeps_of_a_file_begins_at_its_data(tmp_path):
    write_classes(tmp_path / "photos/train", {"a": 3, "b": 3})
    write_classes(tmp_path / "photos/val", {"a": 2, "b": 2})
    (tmp_path / "photos/train/a/broken.png").write_bytes(b"no image")
    images = load_data(tmp_path / "photos")
    assert [one["path"] for one in images.to_record()["skipped"]] == ["train/a/broken.png"]
    kept = placed(str(tmp_path / "photos/val/b/0.png"), images.roots)
    assert kept == "val/b/0.png"
    assert placed(str(tmp_path / "other/b/0.png"), images.roots) == "b/0.png", (
        "of a file elsewhere, its folder and its name"
    )
    assert placed("set, image 3", images.roots) == "set, image 3" and placed(None, images.roots) is None
