"""Clips: the frames that were asked for, whatever the file; the same for any number of workers; all frames changed alike."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convsmith.data import (
    Batch,
    Corrupted,
    Films,
    Labels,
    Normalise,
    Span,
    Split,
    Views,
    divided,
    eval_batches,
    load_data,
    train_batches,
)
from convsmith.data.cache import Cache
from convsmith.data.dividing import set_aside
from convsmith.data.films import Film
from convsmith.data.inputs import CachedFilms, Clips
from convsmith.data.inputs.clips import as_clip
from convsmith.data.readers.clips.groups import groups_of
from convsmith.data.reels import rate_of, reel_of
from convsmith.errors import DataError, UserError
from convsmith.evals import OverViews
from convsmith.jobs.source import contents
from convsmith.recipe import Augment, RandAugment
from videos import SIDES, av, marked, number_of, turn, write_classes, write_film, write_sound

EVERYTHING = Augment(crop=(0.3, 1.0), ratio=(0.5, 2.0), mirror=0.5, erase=0.5, policy=RandAugment(2, 15.0))


def own_loop(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# ---- which frames ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 5), st.floats(0, 1, exclude_max=True))
def test_a_clip_lies_in_its_film_and_its_frames_are_a_stride_apart(n: int, frames: int, stride: int, at: float) -> None:
    span = Span(frames, stride)
    numbers = span.numbers(n, at)
    assert len(numbers) == frames and numbers.min() >= 0 and numbers.max() < n
    assert ((np.diff(numbers) - stride) % n == 0).all()
    if span.reach <= n:  # in one piece, and from the first frame to the last as `at` goes up
        assert (np.diff(numbers) == stride).all()
        assert span.numbers(n, 0.0)[0] == 0 and span.numbers(n, np.nextafter(1, 0))[-1] == n - 1
    else:  # again from the beginning
        assert numbers[0] == 0


# ---- out of files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("b.avi", "mjpeg"), ("a.mov", "mpeg4")],
)
def test_any_frames_are_those_of_pyavs_own_loop(tmp_path: Path, name: str, codec: str) -> None:
    path = write_film(tmp_path / name, [np.roll(frame, 3 * k) for k, frame in enumerate(marked(23))], codec=codec)
    every, reel = own_loop(path), reel_of(str(path))
    assert reel.frames == len(every) == 23 and reel.sides == SIDES and reel.rate == 25
    assert not reel.uneven
    for numbers in ([0], [22], [7, 8, 9], [3, 12, 21], [20, 4, 4, 11]):
        found = reel.read(str(path), np.array(numbers))
        assert all(np.array_equal(frame, every[k]) for frame, k in zip(found, numbers, strict=True))


@pytest.mark.parametrize("name", ["apply_eye_makeup.avi", "arm_wrestling.mp4", "cleaning_pool.mp4"])
def test_the_middle_of_real_films_is_reached(shared_data: Path, name: str) -> None:
    path = shared_data / "clips" / name
    every, reel = own_loop(path), reel_of(str(path))
    assert reel.frames == len(every)
    for first in (0, 50, len(every) - 15):
        numbers = first + 2 * np.arange(8)
        assert all(np.array_equal(f, every[k]) for f, k in zip(reel.read(str(path), numbers), numbers, strict=True))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_film_that_a_phone_held_otherwise_is_seen_upright(tmp_path: Path, quarters: int) -> None:
    quadrants = np.kron(np.array([[40, 100], [160, 220]], np.uint8), np.ones((24, 32), np.uint8))
    path = write_film(tmp_path / "a.mp4", [np.repeat(quadrants[..., None], 3, axis=2)] * 4)
    wanted = np.stack([np.rot90(frame, -quarters) for frame in own_loop(path)])
    film, reel = Film(turn(path, quarters)), reel_of(str(path))
    assert film.sides == reel.sides == wanted.shape[1:3]
    assert np.array_equal(list(film), wanted) and np.array_equal(reel.read(str(path), np.array([2, 0])), wanted[[2, 0]])


def test_frames_that_are_not_equally_long_are_taken_as_if_they_were(tmp_path: Path) -> None:
    """Ten frames in 25 ticks: the third is shown for 16 of them, and a clip of even times sees it most of the time."""
    path = write_film(tmp_path / "slow.mkv", marked(10), times=[0, 1, 2, 18, 19, 20, 21, 22, 23, 24])
    reel = reel_of(str(path))
    assert reel.uneven and reel.frames == 10
    assert reel.even(np.arange(10)).tolist() == [0, 2, 2, 2, 3, 3, 3, 4, 6, 9]  # nearest to k x 24 / 9 ticks
    film, rate = Film(path), rate_of(str(path))
    assert rate == reel.rate == Fraction(25 * 9, 24) and [number_of(frame) for frame in film] == list(range(10))
    assert [number_of(frame) for frame in film.even(rate)] == reel.even(np.arange(10)).tolist()
    steady = write_film(tmp_path / "steady.mkv", marked(10))
    assert [number_of(frame) for frame in Film(steady).even(Fraction(25))] == list(range(10))
    assert not reel_of(str(steady)).uneven


def test_a_film_that_lost_its_end_gives_the_frames_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write_film(
        tmp_path / "cut.avi", [rng.integers(0, 256, (*SIDES, 3), dtype=np.uint8) for _ in range(20)], codec="mjpeg"
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reel = reel_of(str(path))
    assert 0 < reel.frames < 20 and len(reel.read(str(path), np.array([reel.frames - 2]))) == 1
    with pytest.raises(OSError, match="frame 19 of"):
        replace(reel, frames=20, times=None).read(str(path), np.array([19]))


# ---- data ------------------------------------------------------------------------------------------------------------


def test_a_folder_of_films_is_data_like_any_other(tmp_path: Path) -> None:
    images = load_data(write_classes(tmp_path / "films", {"fall": 3, "rise": 4}))
    assert images.classes == ("fall", "rise") and images.filmed and images.divided
    assert images.counts.tolist() == [[2, 3], [1, 1]] and images.skipped == ()
    assert isinstance(images.train.inputs, Films)
    before = contents(images)
    write_film(tmp_path / "films/fall/0.mp4", marked(5))
    assert contents(load_data(tmp_path / "films")) != before


def test_train_and_val_folders_and_a_second_folder(tmp_path: Path) -> None:
    write_classes(tmp_path / "both/train", {"a": 2, "b": 2}, n=4)
    write_classes(tmp_path / "both/val", {"a": 1, "b": 1}, n=4)
    images = load_data(tmp_path / "both")
    assert (len(images.train), len(images.val), images.divided) == (4, 2, False)
    apart = load_data(tmp_path / "both/train", val=tmp_path / "both/val")
    assert (len(apart.train), len(apart.val), apart.divided) == (4, 2, False)


def test_a_table_of_films_says_what_was_cut_out_of_what(tmp_path: Path) -> None:
    for k in range(8):
        write_film(tmp_path / f"{k}.mp4", marked(3))
    rows = "\n".join(f"{k}.mp4,{'ab'[k % 2]},film{k // 2}" for k in range(8))
    (tmp_path / "list.csv").write_text(f"file,label,group\n{rows}\n")
    images = load_data(tmp_path / "list.csv")
    assert images.filmed and not set(images.train.groups) & set(images.val.groups)
    assert "by film" in images.split_note and images.counts.min() >= 1
    assert load_data(tmp_path / "list.csv", divide="clip").split_note.startswith("20% of each class")
    with pytest.raises(DataError, match=r"--divide: .* has labels"):
        load_data(tmp_path / "list.csv", divide="individual")
    with pytest.raises(DataError, match="--divide clip is of films, and quad30"):
        load_data("quad30", divide="clip")
    (tmp_path / "list.csv").write_text("file,label\n0.mp4,a\nx.png,b\n")
    with pytest.raises(DataError, match="line 2 names a film, and line 3 an image"):
        load_data(tmp_path / "list.csv")


def test_clips_of_one_film_are_known_by_their_names() -> None:
    ucf = [f"A/v_A_g{g:02d}_c{c:02d}.avi" for g in (1, 2) for c in (1, 2)]
    assert groups_of(ucf) == ("v_A_g01", "v_A_g01", "v_A_g02", "v_A_g02")
    assert groups_of(["x/abc_000010_000020.mp4", "x/abc_000030_000040.mp4"]) == ("abc", "abc")
    assert groups_of(["x/one.mp4", "x/two.mp4"]) == ()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=12, max_size=40), st.integers(0, 99))
def test_no_film_is_on_both_sides(rows: list[tuple[int, int]], seed: int) -> None:
    """Over all folds each clip is validated on once; no class is lost from what is trained on; where a class has several films,
    some of it is validated on, whatever the seed."""
    labels = np.array([label for label, _ in rows])
    labels = np.unique(labels, return_inverse=True)[1]
    groups = tuple(f"{label}-{film}" for (_, film), label in zip(rows, labels, strict=True))
    split = Split(Films(tuple(map(str, range(len(rows))))), Labels(labels.astype(np.int64)), groups)
    train, val, note = set_aside(split, 0.2, None, seed)
    assert not set(train.groups) & set(val.groups) and len(train) + len(val) == len(rows)
    assert note == set_aside(split, 0.2, None, seed)[2]
    films = [len({group for group in groups if group.startswith(f"{label}-")}) for label in range(labels.max() + 1)]
    assert (train.targets.counts(len(films)) > 0).all()
    assert all((n > 0) == (several > 1) for n, several in zip(val.targets.counts(len(films)), films, strict=True))
    if min(films) > 1:
        parts = [set_aside(split, 0.2, (at, 2), seed)[1] for at in range(2)]
        assert sorted(path for part in parts for path in part.inputs.paths) == sorted(split.inputs.paths)


def test_what_is_wrong_with_films_is_said(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "films", {"a": 2, "b": 2}, n=3)
    (folder / "a/text.mp4").write_text("hello, I am a text")
    (folder / "a/empty.mp4").write_bytes(b"")
    write_sound(folder / "b/sound.mp4")
    images = load_data(folder)
    said = {Path(one.path).name: one.why for one in images.skipped}
    assert "no film that can be read, but a text that begins 'hello" in said["text.mp4"]
    assert "an empty file" in said["empty.mp4"] and "sound only" in said["sound.mp4"]
    assert len(images.train) + len(images.val) == 4 and not any(str(tmp_path) in why for why in said.values())
    write_film(folder / "c/only.mp4", marked(3))
    with pytest.raises(DataError, match=r"class 'c' of films has one film .* give it two or more"):
        load_data(folder)
    (folder / "c/only.mp4").unlink()
    with pytest.raises(DataError, match="class 'c' has no films"):
        load_data(folder)


# ---- batches ---------------------------------------------------------------------------------------------------------


class Marked(Clips):
    """Film i has i + 6 frames, each of one level: 10 times its number, and i."""

    def __len__(self) -> int:
        return 12

    def length(self, i: int) -> int:
        return int(i) + 6

    def clip(self, i, span, at, *, channels=3, least=0, cut=None):
        numbers = span.numbers(self.length(i), at)
        frames = np.broadcast_to((10 * numbers + i).astype(np.uint8)[:, None, None, None], (len(numbers), 20, 30, 3))
        return as_clip(np.ascontiguousarray(frames), channels, cut)

    def size(self, i, *, least=0):
        return 20, 30

    def where(self, i):
        return None

    def take(self, indices):
        raise NotImplementedError


def marked_split() -> Split:
    return Split(Marked(), Labels(np.arange(12) % 3))


def batches(*, first: int = 0, last: int = 6, augment: Augment = EVERYTHING, **more: object) -> list[Batch]:
    told = {"sides": (10, 12), "batch": 4, "augment": augment, "seed": 3, "span": Span(3, 2)} | more
    return list(train_batches(marked_split(), first_step=first, last_step=last, **told))


def test_batches_of_clips_depend_on_seed_and_step_alone() -> None:
    every = batches()
    assert every[0].images.shape == (4, 3, 3, 10, 12) and every[0].images.dtype == torch.uint8
    for other in (batches(workers=2), [*batches(last=2), *batches(first=2)]):
        assert all(torch.equal(a.images, b.images) for a, b in zip(every, other, strict=True))
    halves = [torch.cat([batches(part=(k, 2))[1].images for k in range(2)])]
    assert torch.equal(halves[0], every[1].images)
    assert not torch.equal(every[0].images, batches(seed=4)[0].images)


def test_where_a_clip_begins_is_drawn_anew_in_each_epoch() -> None:
    """Nothing else is done to these frames, so that their levels are their numbers."""
    begins: dict[int, set[int]] = {}
    for one in batches(last=90, augment=Augment()):
        for clip, i in zip(one.images, one.indices.tolist(), strict=True):
            levels = clip[0, :, 0, 0].to(int) - i
            assert (clip == clip[:1, :, :1, :1]).all() and (levels.diff() == 20).all()
            begins.setdefault(i, set()).add(int(levels[0]) // 10)
    # Film i has i + 6 frames and a clip reaches over 5 of them; 30 epochs miss one of at most 13 beginnings in some films.
    assert all(seen <= set(range(i + 2)) and len(seen) >= (i + 2) / 2 for i, seen in begins.items())


def test_all_frames_of_a_clip_are_changed_alike() -> None:
    """Frames that are equal stay so, whatever is drawn; clips of different films do not."""
    split = marked_split()
    still = replace(split, inputs=Still())
    told = {"sides": (10, 12), "batch": 4, "seed": 3, "first_step": 0, "last_step": 6, "span": Span(3, 2)}
    for one in train_batches(still, augment=EVERYTHING, **told):
        assert (one.images == one.images[:, :, :1]).all()
    pictures = list(train_batches(still, augment=EVERYTHING, **told | {"span": None}))
    clips = list(train_batches(still, augment=EVERYTHING, **told))
    assert all(torch.equal(a.images, b.images[:, :, 0]) for a, b in zip(pictures, clips, strict=True))


class Still(Marked):
    """Films on which nothing moves."""

    def clip(self, i, span, at, *, channels=3, least=0, cut=None):
        frame = np.random.default_rng(i).integers(0, 256, (1, 20, 30, 3), dtype=np.uint8)
        return as_clip(frame.repeat(span.frames, 0), channels, cut)


def test_a_network_for_pictures_sees_one_frame_of_each_film() -> None:
    one = batches(span=None, augment=Augment())[0]
    assert one.images.shape == (4, 3, 10, 12)
    middle = next(eval_batches(marked_split(), sides=(10, 12), batch=12))
    assert [int(image[0, 0, 0]) for image in middle.images] == [10 * ((i + 6) // 2) + i for i in range(12)]


def test_views_are_spread_over_a_film_and_along_its_longer_side() -> None:
    told = {"sides": (10, 10), "batch": 12, "span": Span(2)}
    (one,) = eval_batches(marked_split(), **told, views=Views(3, 2))
    assert one.images.shape == (12, 6, 3, 2, 10, 10)
    for i, views in enumerate(one.images):
        firsts = [(int(view[0, 0, 0, 0]) - i) // 10 for view in views]
        room = i + 5  # places that a clip of two frames may begin at
        assert firsts == [int((k + 0.5) / 3 * room) for k in (0, 0, 1, 1, 2, 2)]
    (plain,) = eval_batches(marked_split(), **told)
    assert torch.equal(one.images[:, 2], plain.images)
    (wide,) = eval_batches(replace(marked_split(), inputs=Still()), **told, views=Views(1, 3))
    frame = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).permute(2, 0, 1)[
        None
    ]
    small = torch.nn.functional.interpolate(frame, size=(10, 15), mode="bilinear", antialias=True)[0]
    for view, left in zip(wide.images[0], (0, 2, 5), strict=True):
        assert torch.equal(view[:, 0], small[:, :, left : left + 10])


@pytest.mark.parametrize(("text", "views"), [("10x3", Views(10, 3)), ("4", Views(4)), ("1x1", Views())])
def test_views_are_read(text: str, views: Views) -> None:
    assert Views.parse(text) == views


@pytest.mark.parametrize("text", ["", "x", "0x3", "3x0", "-1", "2x2x2", "many"])
def test_what_are_no_views_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="views are CLIPSxCROPS"):
        Views.parse(text)


@pytest.mark.parametrize(("activation", "likely"), [("softmax", lambda x: x.softmax(-1)), ("sigmoid", torch.sigmoid)])
def test_probabilities_are_averaged_over_views(activation: str, likely) -> None:
    logits = torch.randn(5, 4, 3)
    over = OverViews(torch.nn.Identity(), torch.Tensor.float, activation)
    # In single precision, through logarithms and back.
    assert torch.allclose(likely(over(logits)), likely(logits).mean(1), atol=1e-6)
    assert over(torch.tensor([[[200.0, -200.0]] * 2])).isfinite().all()


def test_clips_are_normalised_as_their_frames_are() -> None:
    ready, clips = Normalise((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)), batches()[0].images
    for at in range(3):
        assert torch.equal(ready(clips)[:, :, at], ready(clips[:, :, at]))


def test_a_film_that_vanished_is_counted(tmp_path: Path) -> None:
    images = load_data(write_classes(tmp_path / "films", {"a": 3, "b": 3}, n=4))
    Path(images.train.inputs.where(1)).unlink()
    told = {"sides": (8, 8), "span": Span(2)}
    (one,) = train_batches(images.train, batch=4, augment=EVERYTHING, seed=0, first_step=0, last_step=1, **told)
    assert one.dropped == 1 and len(one.images) == 3
    (seen,) = eval_batches(images.train, batch=4, views=Views(2, 2), **told)
    assert seen.dropped == 1 and seen.images.shape[:2] == (3, 4)


def test_a_cache_holds_all_frames(tmp_path: Path) -> None:
    """Of films no larger than its side, the very frames; made once, and found again."""
    images = load_data(write_classes(tmp_path / "films", {"a": 3, "b": 3}))
    told: list[str] = []
    cache = Cache(tmp_path / "cache", "films", "0", (images.train.inputs,), 48)
    cache.ready()
    kept = cache.over(images.train.inputs)
    assert isinstance(kept, CachedFilms) and (kept.at >= 0).all() and told == []
    for i in range(len(kept)):
        assert kept.size(i) == images.train.inputs.size(i) == SIDES
        for at in (0.0, 0.7):
            span = Span(4, 2)
            assert torch.equal(kept.clip(i, span, at), images.train.inputs.clip(i, span, at))
    smaller = Cache(tmp_path / "cache", "films", "0", (images.train.inputs,), 24)
    smaller.ready()
    assert smaller.over(images.train.inputs).size(0) == (24, 32)


def test_a_corruption_spoils_every_frame_alike(tmp_path: Path) -> None:
    films = load_data(write_classes(tmp_path / "films", {"a": 2, "b": 2}, n=3)).train.inputs
    spoilt = Corrupted(films, "contrast", 3)
    clip = spoilt.clip(0, Span(3), 0.0)
    assert spoilt.filmed and clip.shape == (3, 3, *SIDES)
    assert torch.equal(clip[1], spoilt.decode(0)) and not torch.equal(clip[1], films.decode(0))


def test_dividing_by_class_is_as_it_was_where_no_film_is_cut() -> None:
    split = marked_split()
    assert set_aside(replace(split, inputs=Films(tuple("abcdefghijkl"))), 0.25, None, 0)[2].startswith(
        "25% of each class"
    )
    with pytest.raises(NotImplementedError):
        divided(split, 0.25, 0)
