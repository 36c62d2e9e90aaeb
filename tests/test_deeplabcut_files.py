"""DeepLabCut's own files: the tables that its users' scripts open."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from convsmith.runs.deeplabcut import Errors, Points, has_h5, write_points, write_results

NAN = np.nan
NAMES = ("nose", "tail, tip")
PIXELS = np.array([[1.0, 4.0], [NAN, 2.0], [3.004, NAN]])
LIKELIHOOD = np.array([[0.9, 0.5], [0.2, 0.6], [0.99, 0.99]])


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def predictions() -> Points:
    xy = np.arange(12, dtype=float).reshape(3, 2, 2) + 0.25
    return Points("convsmith_run", NAMES, tuple(f"labeled-data/horse/{i:04d}.png" for i in range(3)), xy, LIKELIHOOD)


def test_predictions_have_three_header_rows_and_x_y_likelihood_of_each_point(tmp_path: Path) -> None:
    first, *more = write_points(predictions(), tmp_path / "convsmith_a.b")
    assert first.name == "convsmith_a.b.csv" and [path.name for path in more] == ["convsmith_a.b.h5"] * has_h5()
    table = rows(first)
    assert table[0] == ["scorer", *["convsmith_run"] * 6]
    assert table[1] == ["bodyparts", *["nose"] * 3, *["tail, tip"] * 3]
    assert table[2] == ["coords", *["x", "y", "likelihood"] * 2]
    assert table[3] == ["labeled-data/horse/0000.png", "0.25", "1.25", "0.9", "2.25", "3.25", "0.5"] and len(table) == 6


def test_the_h5_file_is_the_same_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    csv_file, h5_file = write_points(predictions(), tmp_path / "x")
    frame = pandas.read_hdf(h5_file, key="df_with_missing")
    text = pandas.read_csv(csv_file, header=[0, 1, 2], index_col=0)
    assert frame.columns.names == ["scorer", "bodyparts", "coords"]
    assert np.array_equal(frame.values, text.values) and frame.index[0] == ("labeled-data", "horse", "0000.png")


def test_results_have_deeplabcuts_columns_rounded_to_two_digits(tmp_path: Path) -> None:
    train, test = Errors(PIXELS, LIKELIHOOD), Errors(np.full((1, 2), NAN), np.ones((1, 2)))
    one, combined, keypoints = write_results(
        "convsmith_run", NAMES, train, test, tmp_path, fraction=0.181, shuffle=2, epochs=30
    )
    head, row = rows(one)
    assert head[1:] == [
        "%Training dataset", "Shuffle number", "Training epochs", "Detector epochs (TD only)", "pcutoff",
        "train rmse", "train rmse_pcutoff", "train mAP", "train mAR", "test rmse", "test rmse_pcutoff", "test mAP", "test mAR",
    ]  # fmt: skip
    found = dict(zip(head, row, strict=True))
    assert (found["%Training dataset"], found["Shuffle number"], found["Training epochs"]) == ("0.18", "2", "30")
    # The mean of distances, whatever DeepLabCut names it; with a cutoff of 0.6 only 1, 2 and 3.004 are left. Nothing is no number.
    assert (found["train rmse"], found["train rmse_pcutoff"], found["test rmse"]) == ("2.5", "2.0", "")
    assert one.name == "convsmith_run-results.csv" and keypoints.name == "convsmith_run-keypoint-results.csv"
    table = rows(keypoints)
    assert table[0] == ["Error Type", *NAMES] and [line[0] for line in table[1:]] == [
        "Train error (px)", "Test error (px)", "Train error (px) with p-cutoff", "Test error (px) with p-cutoff"
    ]  # fmt: skip
    assert [float(cell) for cell in table[1][1:]] == pytest.approx([2.002, 3.0]) and table[2][1:] == ["", ""]
    assert [float(cell) for cell in table[3][1:]] == pytest.approx([2.002, 2.0])
    assert combined.name == "CombinedEvaluation-results.csv" and rows(combined)[0] == head


def test_the_combined_table_keeps_one_row_for_each_scorer(tmp_path: Path) -> None:
    errors = Errors(PIXELS, LIKELIHOOD)
    for scorer, epochs in (("a", 1), ("b", 2), ("a", 3)):
        _, combined, _ = write_results(scorer, NAMES, errors, errors, tmp_path, fraction=0.5, shuffle=1, epochs=epochs)
    assert [(row[0], row[3]) for row in rows(combined)[1:]] == [("b", "2"), ("a", "3")]
