"""Masks as runs: COCO's form, to the byte, without COCO's package."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from convsmith.rle import (
    area_of,
    decoded_part,
    encoded,
    extent_of,
    from_string,
    of_runs,
    runs_of,
    to_string,
)

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(MASKS)
def test_a_mask_comes_back_whole_and_in_every_part(mask: np.ndarray) -> None:
    height, width = mask.shape
    assert (decoded_part(of_runs(mask), mask.shape, (0, 0, height, width)) == mask).all()
    part = height // 3, width // 2, height - height // 3, width - width // 2
    assert (decoded_part(of_runs(mask), mask.shape, part) == mask[part[0] :, part[1] :]).all()
    assert area_of(of_runs(mask)) == mask.sum()


@given(MASKS)
def test_the_extent_is_the_smallest_rectangle_or_all_of_the_columns(mask: np.ndarray) -> None:
    found = extent_of(of_runs(mask), mask.shape)
    if not mask.any():
        assert found is None
        return
    assert found is not None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert (found[0], found[2]) == (columns[0], columns[-1] + 1)
    # A run over the end of a column touches its foot and the next one's head.
    goes_on = (mask[-1, :-1] & mask[0, 1:]).any()
    assert (found[1], found[3]) == ((0, mask.shape[0]) if goes_on else (rows[0], rows[-1] + 1))


@given(MASKS)
def test_the_string_is_that_of_pycocotools(mask: np.ndarray) -> None:
    library = pytest.importorskip("pycocotools.mask")
    theirs = library.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encoded(mask) == theirs["counts"]
    assert library.area(theirs) == area_of(of_runs(mask))


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9))
def test_any_runs_come_back(runs: list[int]) -> None:
    """Differences of two 31-bit lengths need all seven groups of five bits."""
    assert from_string(to_string(runs)).tolist() == runs


def test_columns_come_first_and_the_first_run_is_outside() -> None:
    """A 2 x 3 mask whose middle column is inside: two pixels outside, two inside, two outside."""
    mask = np.array([[0, 1, 0], [0, 1, 0]])
    assert of_runs(mask).tolist() == [2, 2, 2]
    assert of_runs(1 - mask).tolist() == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ("a!b", "no run-length string"),  # 33 - 48 is below 0
        ("a", "no run-length string"),  # another group should follow
        ("aaaaaaaaa0", "more than 32 bits"),
        ("4O4", "below 0"),
        ([3, -1, 4], "no list of numbers from 0"),
        ([3, 4], "its runs are of 7 pixels, and the picture has 2 x 3"),
        ("23", "its runs are of 5 pixels"),
    ],
)
def test_what_is_no_mask_is_refused(counts: str | list[int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        runs_of(counts, (2, 3))
