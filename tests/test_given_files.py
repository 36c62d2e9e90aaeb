"""What users hand over, as it comes: channels, depths, names, encodings, and files that are not what they are called."""

from __future__ import annotations

import os

import numpy as np
import pytest

import convsmith as cs
from convsmith.data import eval_batches, load_data, train_batches
from convsmith.data.readers.pseudo import read_pseudo
from convsmith.errors import DataError, UserError
from convsmith.exporting import session
from convsmith.jobs.options import Options
from convsmith.jobs.search.options import space_of
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
