"""A network that finds points tells them in each picture's own pixels: of files, arrays and films, live and exported."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import convsmith as cs
from commands import TINY
from convsmith.arch import ArchSpec
from convsmith.cli import main
from convsmith.data import Move
from convsmith.errors import UserError
from convsmith.jobs.predict import Located, opened, predict
from convsmith.jobs.predict.drawn import answers_of_film, drawn
from convsmith.jobs.predict.reading import Asked, Points
from convsmith.layers.score_maps import decoded
from convsmith.model import Model, build
from convsmith.parts.heads.keypoints import posed

NAMES = ("nose", "left", "right")


@pytest.fixture(scope="module")
def spec() -> ArchSpec:
    plain = cs.spec("mobilenetv2_035").with_resolution(64)
    return posed(replace(plain, stages=tuple(replace(stage, depth=1) for stage in plain.stages)), 3)


@pytest.fixture(scope="module")
def model(spec: ArchSpec) -> Model:
    return build(spec, seed=0).eval()


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("points") / "animal.onnx"
    cs.export(model, path)
    return path


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def test_points_are_told_in_the_pictures_pixels(model: Model, spec: ArchSpec) -> None:
    """A picture of 96 x 128 is shown at half its size, at the top of black."""
    picture = noise(96, 128)
    (found,) = predict(model, picture, classes=NAMES)
    assert isinstance(found, Located) and found.names == NAMES and found.path is None
    half = np.asarray(cs.transform_of(spec)(Image.fromarray(picture)))
    assert (half[:, 48:] == half[0, 63, 0]).any() and half.shape == (3, 64, 64)
    with torch.inference_mode():
        points, likelihood = decoded(model(torch.from_numpy(half)[None]), 3)
    np.testing.assert_allclose(found.points, (points[0].double().numpy() + 0.5) * 2 - 0.5, atol=1e-4)
    np.testing.assert_allclose(found.likelihood, likelihood[0].numpy(), atol=1e-6)


def test_files_arrays_and_exported_networks_agree(model: Model, file: Path, tmp_path: Path) -> None:
    pictures = [noise(80, 64, seed) for seed in range(3)]
    for k, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    live = predict(model, pictures, batch=2)
    files = predict(model, tmp_path, batch=2)
    exported = predict(file, tmp_path)
    for one, two, three in zip(live, files, exported, strict=True):
        assert isinstance(one, Located) and isinstance(two, Located) and isinstance(three, Located)
        np.testing.assert_array_equal(one.points, two.points)
        # Of two cells that score alike, another order of the same sums may choose the other.
        sure = np.abs(one.likelihood - three.likelihood) < 1e-4
        assert sure.all() and (np.abs(one.points - three.points).max(1) < 0.05).mean() > 0.6


def test_a_photograph_that_is_shrunk_while_it_is_decoded(model: Model, tmp_path: Path) -> None:
    """The points are told in the pixels of the whole file."""
    big = np.asarray(Image.fromarray(noise(64, 64)).resize((1024, 1024), Image.Resampling.BICUBIC))
    Image.fromarray(big).save(tmp_path / "big.jpg", quality=95)
    (shrunk,), (whole,) = predict(model, tmp_path / "big.jpg"), predict(model, big)
    assert isinstance(shrunk, Located) and isinstance(whole, Located)
    assert shrunk.points.max() > 100
    assert np.median(np.abs(shrunk.points - whole.points)) < 16, "of cells of 128 px"


def test_what_is_not_finite_is_refused() -> None:
    points = torch.zeros(2, 3, 2)
    points[1, 0, 0] = torch.nan
    asked = [Asked(0, "a.png", Move.identity()), Asked(1, "b.png", Move.identity())]
    with pytest.raises(UserError, match=r"b\.png is not finite"):
        Points(NAMES).told((points, torch.ones(2, 3)), asked, 5)


def test_a_drawing_marks_what_is_sure() -> None:
    picture = np.full((60, 60, 3), 90, np.uint8)
    found = Located(0, None, NAMES, np.array([[10.0, 10.0], [40.0, 10.0], [20.0, 45.0]]), np.array([0.9, 0.8, 0.1]))
    image = np.asarray(drawn(picture, found, Points(NAMES, bones=((0, 1), (1, 2))), cutoff=0.6)).astype(int)
    changed = (np.abs(image - 90) > 20).any(2)
    assert changed[10, 10] and changed[10, 40] and changed[10, 25], "two dots and the bone between them"
    assert changed[45, 20] and not changed[27, 30], "a cross, and no bone to a point that is not sure"
    assert tuple(image[10, 10]) != tuple(image[10, 40])


def film_of(path: Path, n: int = 10) -> Path:
    pytest.importorskip("av", reason="the extra `video` is not installed")
    from convsmith.data.films import writing

    with writing(path, Fraction(25), (64, 96)) as add:
        for k in range(n):
            add(np.roll(noise(64, 96), 4 * k, axis=1))
    return path


def test_a_film_is_answered_frame_by_frame(file: Path, tmp_path: Path) -> None:
    from convsmith.data.films import Film

    path = film_of(tmp_path / "walk.mp4")
    film, predictor = Film(path), opened(file, classes=NAMES)
    out = tmp_path / "drawn.mp4"
    found = list(answers_of_film(predictor, film, out=out, cutoff=0.0, batch=4))
    assert [one.index for one in found] == list(range(10))
    alone = predict(file, list(Film(path)), classes=NAMES)
    for one, other in zip(found, alone, strict=True):
        assert isinstance(one, Located) and isinstance(other, Located)
        np.testing.assert_allclose(one.likelihood, other.likelihood, atol=1e-5)
    assert [one.index for one in predict(file, str(path))] == list(range(10)), "a path will do"
    made = Film(out)
    assert (made.sides, made.rate, len(list(made))) == (film.sides, film.rate, 10)


def test_the_command(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film_of(tmp_path / "walk.mp4", 6)
    folder = tmp_path / "deeplabcut"
    options = ["--out", tmp_path / "p.csv", "--film", tmp_path / "d.mp4", "--deeplabcut", folder]
    assert main(["predict", *map(str, (file, path, *options))]) == 0
    assert "mean likelihood" in capsys.readouterr().out
    rows = list(csv.reader((tmp_path / "p.csv").read_text().splitlines()))
    assert rows[0][:4] == ["file", "0_x", "0_y", "0_likelihood"] and [row[0] for row in rows[1:]] == list("012345")
    (table,) = folder.glob("walkconvsmith_animal.csv")
    head = [row[:2] for row in csv.reader(table.read_text().splitlines())][:3]
    assert head == [["scorer", "convsmith_animal"], ["bodyparts", "0"], ["coords", "x"]]


def test_what_is_printed_as_json_names_all_files(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where HDF5 cannot be written, which is told beside it; a dot in a run's name stays."""
    monkeypatch.setattr("convsmith.runs.deeplabcut.has_h5", lambda: False)
    named = tmp_path / "animal-width0.75.onnx"
    named.write_bytes(file.read_bytes())
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    places = ["--pictures", str(tmp_path / "drawn"), "--deeplabcut", str(tmp_path / "tables")]
    assert main(["predict", str(named), str(tmp_path / "a.png"), *places, "--json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert "HDF5 needs pandas" in told.err and found["file"] is None
    table = tmp_path / "tables" / "convsmith_animal-width0.75.csv"
    assert found["files"] == [str(tmp_path / "drawn"), str(table)] and table.is_file()


def test_a_drawing_that_fails_at_the_last_frame_is_told(file: Path, tmp_path: Path) -> None:
    from convsmith.data.films import Film

    def full(frame: object, found: Located) -> None:
        if found.index == 9:
            raise OSError("no space left")

    film = Film(film_of(tmp_path / "walk.mp4"))
    with pytest.raises(OSError, match="no space left"):
        list(answers_of_film(opened(file, classes=NAMES), film, batch=4, draw=full))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--film", "x.mp4"], "IMAGES is none"),
        (["--cutoff", "2"], "between 0 and 1"),
        (["other.mp4", "--film", "x.mp4"], "one film at a time"),
        (["--top", "3"], "how many classes are told, and"),
    ],
)
def test_wrong_words(
    file: Path, tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    assert main(["predict", str(file), str(tmp_path / "a.png"), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_film_that_is_none(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="the extra `video` is not installed")
    (tmp_path / "no.mp4").write_text("a text")
    assert main(["predict", str(file), str(tmp_path / "no.mp4")]) == 2
    assert "no film that can be read" in capsys.readouterr().err


def test_a_classifier_draws_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    network = build(cs.spec(TINY), seed=0).eval()
    cs.export(network, tmp_path / "c.onnx")
    asked = ["predict", tmp_path / "c.onnx", tmp_path / "a.png", "--pictures", tmp_path / "drawn"]
    assert main([str(word) for word in asked]) == 2
    assert "no points to draw" in capsys.readouterr().err
    assert main([str(word) for word in (*asked[:3], "--cutoff", "0.5")]) == 2
    assert "of points and objects" in capsys.readouterr().err
