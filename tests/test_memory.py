"""While it trains, a process keeps the memory that its steps free, and afterwards gives it back."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, whose heap nothing else has touched.
FAULTS = """
import resource
import numpy as np
from convsmith.training.memory import keeping_memory, kept_memory

def faults(_=None):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        held = [np.ones(40_000_000, np.uint8) for _ in range(4)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

@keeping_memory
def steps():
    faults()
    while True:
        yield faults()

before = faults()
training = steps()
with kept_memory():
    kept = next(training)
    again = next(training)
still = next(training)  # another holds it yet
training.close()
print(before, kept, again, still, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what glibc does")
def test_freed_memory_is_used_again_without_asking_the_system_until_the_last_training_ends() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, kept, again, still, after = map(int, done.stdout.split())
    # 800 MB in pages of 4 KiB at the least, of 2 MiB at the most; kept, none of them but for what Python itself needs.
    assert min(before, after) >= 5 * 4 * 19
    assert max(kept, again, still) < min(before, after) / 10
