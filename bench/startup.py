"""How soon the command line answers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from common import Row, answer, save, timed

RUNS = 10
GOALS = {"--help": 500, "list": 700}  # milliseconds
HEAVY = ("torch", "numpy", "pydantic")


def asked(verb: str, compiled: str) -> None:
    # Modules are compiled once, as pip leaves them, wherever the sources lie and whatever the environment says of that.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-X", f"pycache_prefix={compiled}", "-m", "convsmith", verb]
    subprocess.run(command, check=True, capture_output=True, env=env)


def light(verb: str) -> bool:
    """Whether it answers without the packages that take longest to import."""
    code = f"import sys; from convsmith.cli import main; main(['{verb}']); sys.exit(any(one in sys.modules for one in {HEAVY}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as compiled:
        for verb, goal in GOALS.items():
            asked(verb, compiled)
            times = sorted(timed(lambda verb=verb: asked(verb, compiled)) for _ in range(RUNS))
            middle = times[RUNS // 2]
            said = f"{middle:.0f} ms ({times[0]:.0f}-{times[-1]:.0f})"
            rows.append(Row(f"`convsmith {verb}`", said, "", None, RUNS, f"< {goal / 1000:g} s", answer(middle < goal)))
    clean = all(map(light, GOALS))
    rows.append(Row(f"{', '.join(HEAVY)} imported by them", "no" if clean else "yes", "", None, 1, "no", answer(clean)))
    save(
        "startup",
        "Start-up",
        "",
        rows,
        "A fresh process each time, start of Python included, modules compiled before; median (least-most).",
    )


if __name__ == "__main__":
    main()
