"""A cache of decoded images: the batches of the files, made once, by one process, and never of anything else."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convsmith.data import (
    Batch,
    Cache,
    Cached,
    Encoded,
    Files,
    Inputs,
    Joined,
    Labels,
    Split,
    eval_batches,
    least_side,
)
from convsmith.errors import DataError, UserError
from convsmith.locks import locked
from convsmith.recipe import Augment
from convsmith.watcher import Watcher
from data_food import array_split, noise
from listening import Listening
from test_data import BOTH, same, stream
from test_survival import damage, nobody


def files(folder: Path, sizes: list[tuple[int, int]], *, suffix: str = ".png") -> Files:
    """Images of these heights and widths."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, (height, width) in enumerate(sizes):
        Image.fromarray(noise(height, width, 3, seed=i)).save(folder / f"{i:03}{suffix}")
    return Files(tuple(str(path) for path in sorted(folder.iterdir())))


def encoded(files: Files) -> Encoded:
    rows = [np.frombuffer(Path(path).read_bytes(), np.uint8) for path in files.paths]
    stop = np.cumsum([len(row) for row in rows])
    return Encoded(np.concatenate(rows), stop - [len(row) for row in rows], stop)


def labelled(inputs: Inputs) -> Split:
    return Split(inputs, Labels(np.arange(len(inputs)) % 2))


def shown(inputs: Inputs, augment: Augment, first: int, last: int, **how: int) -> list[Batch]:
    return stream(labelled(inputs), augment, first, last, **how)


def cache(folder: Path, *inputs: Inputs, side: int = 20, listener: Watcher | None = None) -> Cache:
    return Cache(folder, "some", "0", inputs, side, listener)


def ready(folder: Path, inputs: Inputs, *, side: int = 20) -> Inputs:
    made = cache(folder, inputs, side=side)
    made.ready()
    return made.over(inputs)


SMALL_ONES = [(9, 9 + i) for i in range(6)] + [(20, 33), (41, 20)]


# ---- what is read ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_small_images_are_those_of_the_files(tmp_path: Path, augment: Augment, channels: int) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    for k, source in enumerate((split, encoded(split), Joined.of(split, array_split(5).inputs, encoded(split)))):
        expected = shown(source, augment, 0, 6, channels=channels)
        assert same(shown(ready(tmp_path / str(k), source), augment, 0, 6, channels=channels), expected)


@BOTH
def test_they_do_not_depend_on_the_number_of_workers(tmp_path: Path, augment: Augment) -> None:
    split = ready(tmp_path / "cache", files(tmp_path / "images", [*SMALL_ONES, (50, 70)]))
    assert same(shown(split, augment, 1, 8, workers=2), shown(split, augment, 1, 8))


def test_without_crops_the_side_of_the_network_is_enough_for_the_same_batches(tmp_path: Path) -> None:
    """Also of JPEGs that their decoder shrinks: what is cached is what would have been made of them each time."""
    split = files(tmp_path / "images", [(110, 70), (24, 31), (60, 200), (12, 12)], suffix=".jpg")
    assert least_side(Augment(), (12, 12)) == 12
    plain = Augment(mirror=0.5)
    assert same(shown(ready(tmp_path / "cache", split, side=12), plain, 0, 4), shown(split, plain, 0, 4))


def test_only_large_images_are_made_smaller_and_none_larger(tmp_path: Path) -> None:
    sizes = [(50, 70), (90, 41), (20, 99), (13, 50), (21, 21)]
    split = files(tmp_path / "images", sizes)
    found = [ready(tmp_path / "cache", split).decode(i) for i in range(len(sizes))]
    assert [tuple(image.shape[1:]) for image in found] == [(20, 28), (43, 20), (20, 99), (13, 50), (20, 20)]
    for i, image in enumerate(found):
        if min(sizes[i]) <= 20:
            assert torch.equal(image, split.decode(i))
    (whole,) = eval_batches(labelled(split), sides=(20, 20), batch=5)
    assert torch.equal(found[4], whole.images[4])


def test_grey_is_held_as_one_channel(tmp_path: Path) -> None:
    for i in range(2):
        Image.fromarray(noise(12, 9, seed=i)).save(tmp_path / f"{i}.png")
    split = Files(tuple(str(path) for path in sorted(tmp_path.glob("*.png"))))
    held = ready(tmp_path / "cache", split)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.u8")) == 2 * 12 * 9
    for channels in (1, 3):
        assert torch.equal(held.decode(1, channels=channels), split.decode(1, channels=channels))


def test_a_part_of_a_cached_split_and_a_cache_over_a_part_are_the_same(tmp_path: Path) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    chosen = np.array([5, 0, 3])
    made = cache(tmp_path / "cache", split)
    made.ready()
    one, other = made.over(split).take(chosen), made.over(split.take(chosen))
    assert [one.where(i) for i in range(3)] == [split.paths[i] for i in chosen]
    for i in range(3):
        assert torch.equal(one.decode(i), other.decode(i))


def test_another_process_is_handed_the_path_and_not_the_pixels(tmp_path: Path) -> None:
    split = ready(tmp_path / "cache", files(tmp_path / "images", [(200, 300)] * 4), side=200)
    packed = pickle.dumps(split)
    assert len(packed) < 10_000
    assert torch.equal(pickle.loads(packed).decode(2), split.decode(2))
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(UserError, match="cannot be read any more"):  # an OSError would pass for an unreadable image
        pickle.loads(packed)


def test_an_image_that_cannot_be_read_is_counted_by_its_batch_as_without_a_cache(tmp_path: Path) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    Path(split.paths[2]).write_bytes(b"no longer an image")
    Path(split.paths[4]).unlink()
    listener = Listening()
    made = cache(tmp_path / "cache", split, listener=listener)
    made.ready()
    assert "holds 6 images" in listener.notes[-1] and "2 could not be read" in listener.notes[-1]
    augment = Augment(crop=(0.5, 1.0))
    found, expected = shown(made.over(split), augment, 0, 2), shown(split, augment, 0, 2)
    assert same(found, expected)
    assert [one.dropped for one in found] == [one.dropped for one in expected] and sum(
        one.dropped for one in found
    ) == 2


def test_images_in_memory_need_none(tmp_path: Path) -> None:
    listener, split = Listening(), array_split().inputs
    made = cache(tmp_path / "cache", split, listener=listener)
    made.ready()
    assert made.over(split) is split and not (tmp_path / "cache").exists()
    assert listener.notes == ["the images are held in memory already: no cache is needed"]


# ---- built once ------------------------------------------------------------------------------------------------------


def test_it_is_built_once_and_with_progress(tmp_path: Path) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    first, second = Listening(), Listening()
    cache(tmp_path / "cache", split, listener=first).ready()
    assert first.counts == [(k + 1, 8) for k in range(8)]
    before = [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in (tmp_path / "cache").iterdir()]
    cache(tmp_path / "cache", split, listener=second).ready()
    assert (second.built, second.notes) == (False, [])
    assert before == [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in (tmp_path / "cache").iterdir()]


def test_the_pixels_are_the_same_however_the_images_are_ordered_and_divided(tmp_path: Path) -> None:
    split = files(tmp_path / "images", [*SMALL_ONES, (90, 60)])
    mixed = np.random.default_rng(0).permutation(9)
    cache(tmp_path / "a", split).ready()
    cache(tmp_path / "b", split.take(mixed[:4]), split.take(mixed[3:])).ready()
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab")
    assert one == other


def _ready_and_tell(folder: Path, split: Inputs, told: multiprocessing.SimpleQueue[str]) -> None:
    class Telling(Watcher):
        def note(self, text: str) -> None:
            told.put(text)

    torch.set_num_threads(1)
    made = cache(folder, split, listener=Telling())
    made.ready()
    told.put(f"seen {int(made.over(split).decode(3).sum())}")


def test_of_processes_that_come_together_one_builds_and_the_others_wait(tmp_path: Path) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    (tmp_path / "cache").mkdir()
    fork = multiprocessing.get_context("fork")
    told = fork.SimpleQueue()
    processes = [fork.Process(target=_ready_and_tell, args=(tmp_path / "cache", split, told)) for _ in range(3)]
    with (tmp_path / "cache" / "some-20px-0.lock").open("a") as lock:
        assert locked(lock)  # as one that builds
        for process in processes:
            process.start()
        waiting = [told.get() for _ in processes]
    after = [told.get() for _ in range(4)]
    for process in processes:
        process.join()
    assert all("another process is building" in text for text in waiting)
    built = [text for text in after if not text.startswith("seen")]
    assert len(built) == 1 and "holds 8 images" in built[0]
    assert len({text for text in after if text.startswith("seen")}) == 1


# ---- never of anything else ------------------------------------------------------------------------------------------


def _flip(pixels: Path, index: Path) -> None:
    damage(pixels, 0.7)


def _cut(pixels: Path, index: Path) -> None:
    pixels.write_bytes(pixels.read_bytes()[:-1])


def _lose(pixels: Path, index: Path) -> None:
    pixels.unlink()


def _garble(pixels: Path, index: Path) -> None:
    index.write_text(index.read_text()[:-9])


def _list(pixels: Path, index: Path) -> None:
    index.write_text("[]")


def _age(pixels: Path, index: Path) -> None:
    index.write_text(json.dumps(json.loads(index.read_text()) | {"version": 1}))


def _shape(pixels: Path, index: Path) -> None:
    index.write_text(index.read_text().replace("[9, 9, 3]", "[9, 8, 3]"))


@pytest.mark.parametrize(
    "harm, told",
    [
        (_flip, "its checksum does not agree"),
        (_cut, "the size of its pixels is wrong"),
        (_lose, "has lost its pixels"),
        (_garble, "it cannot be read"),
        (_list, "it cannot be read"),
        (_shape, "the size of its pixels is wrong"),
        (_age, "is of an earlier version"),
    ],
)
def test_a_damaged_one_is_noticed_and_built_anew(tmp_path: Path, harm, told: str) -> None:
    split, listener = files(tmp_path / "images", SMALL_ONES), Listening()
    cache(tmp_path / "cache", split).ready()
    before = {path: path.read_bytes() for path in (tmp_path / "cache").iterdir()}
    harm(next((tmp_path / "cache").glob("*.u8")), next((tmp_path / "cache").glob("*.json")))
    cache(tmp_path / "cache", split, listener=listener).ready()
    assert told in listener.notes[0] and "built anew" in listener.notes[0]
    assert {path: path.read_bytes() for path in (tmp_path / "cache").iterdir()} == before


def test_a_changed_image_is_noticed_and_the_old_pixels_are_removed(tmp_path: Path) -> None:
    split, listener = files(tmp_path / "images", SMALL_ONES), Listening()
    old = ready(tmp_path / "cache", split)
    seen = old.decode(3).clone()
    Image.fromarray(noise(9, 12, 3, seed=99)).save(split.paths[3])
    made = cache(tmp_path / "cache", split, listener=listener)
    made.ready()
    assert "some that have changed since" in listener.notes[0]
    assert torch.equal(made.over(split).decode(3), split.decode(3))
    assert not torch.equal(seen, split.decode(3))
    assert torch.equal(old.decode(3), seen), "a process that reads the old ones goes on with them"
    assert len(list((tmp_path / "cache").glob("*.u8"))) == 1


def test_a_change_of_its_time_alone_counts_as_one(tmp_path: Path) -> None:
    """The bytes of a file may have changed and its size not: then only the time says so."""
    split, listener = files(tmp_path / "images", SMALL_ONES), Listening()
    cache(tmp_path / "cache", split).ready()
    os.utime(split.paths[0], ns=(0, 0))
    cache(tmp_path / "cache", split, listener=listener).ready()
    assert listener.built


def test_other_bytes_of_an_npz_are_noticed(tmp_path: Path) -> None:
    split, listener = encoded(files(tmp_path / "images", SMALL_ONES)), Listening()
    cache(tmp_path / "cache", split).ready()
    made = cache(tmp_path / "cache", split.take(np.arange(7)), listener=listener)
    made.ready()
    assert listener.built
    file = io.BytesIO()
    Image.fromarray(noise(9, 9, 3, seed=8)).save(file, "PNG")
    bytes_ = np.frombuffer(file.getvalue(), np.uint8)
    listener = Listening()
    cache(tmp_path / "cache", Encoded(bytes_, np.array([0]), np.array([len(bytes_)])),
          listener=listener).ready()  # fmt: skip
    assert listener.built


def test_another_side_is_another_cache(tmp_path: Path) -> None:
    split = files(tmp_path / "images", [(50, 60)] * 2)
    one, other = (ready(tmp_path / "cache", split, side=side) for side in (20, 30))
    assert one.decode(0).shape == (3, 20, 24) and other.decode(0).shape == (3, 30, 36)


def test_what_a_killed_process_left_is_tidied_up(tmp_path: Path) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".some-20px-0-0123456789abcdef.u8.4711.tmp").write_bytes(b"half")
    cache(tmp_path / "cache", split).ready()
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".json", ".lock", ".u8"]


# ---- where it cannot be written --------------------------------------------------------------------------------------


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As on a disk with no more room than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path, size: int) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    with largest_file(size), pytest.raises(DataError, match=r"cannot write the cache .*: File too large; .*Make room"):
        cache(tmp_path / "cache", split).ready()
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_disk_that_is_full_at_the_index_keeps_no_pixels(tmp_path: Path) -> None:
    split = files(tmp_path / "images", [(1, 1)] * 60)  # an index larger than its pixels
    with largest_file(400), pytest.raises(DataError, match="cannot write the cache"):
        cache(tmp_path / "cache", split).ready()
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_folder_that_cannot_be_written_is_told_and_one_that_is_ready_is_read(tmp_path: Path) -> None:
    split = files(tmp_path / "images", SMALL_ONES)
    folder = tmp_path / "cache"
    cache(folder, split).ready()
    # Nobody must reach it: pytest's folders are private, one more of them in a worker of pytest-xdist.
    for parent in (tmp_path, *(one for one in tmp_path.parents if one.name.startswith(("pytest-", "popen-")))):
        parent.chmod(0o755)
    folder.chmod(0o555)
    try:
        with nobody():
            assert isinstance(ready(folder, split), Cached)
            with pytest.raises(DataError, match=r"cannot write the cache .*: Permission denied"):
                cache(folder, split, side=15).ready()
    finally:
        folder.chmod(0o755)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot write the cache .*: File exists"):
        cache(tmp_path / "file", split).ready()
