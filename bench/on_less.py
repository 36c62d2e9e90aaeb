"""`python bench/on_less.py VERB ...` is `python -m convsmith VERB ...` on a few of the embedded films, scenes and animals' frames,
and with milliseconds measured in a hurry."""

from __future__ import annotations

import runpy

from convsmith import latency
from convsmith.data.readers.clips import moving
from convsmith.data.readers.objects import scenes
from convsmith.data.readers.points import quads

if __name__ == "__main__":
    quads.FRAMES = 8
    moving.TRAINED, moving.VALIDATED = 96, 16
    scenes.TRAINED, scenes.VALIDATED = 40, 8
    latency._WARM_UP_NS, latency._SAMPLE_NS = 10**7, 10**5
    runpy.run_module("convsmith", run_name="__main__", alter_sys=True)
