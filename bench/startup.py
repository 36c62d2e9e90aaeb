"""How soon the command line answers."""

from __future__ import annotations

import subprocess
import sys

from common import Row, answer, save, timed

RUNS = 10
HELP = [sys.executable, "-m", "convsmith", "--help"]


def main() -> None:
    subprocess.run(HELP, check=True, capture_output=True)
    times = sorted(timed(lambda: subprocess.run(HELP, check=True, capture_output=True)) for _ in range(RUNS))
    code = "import sys; from convsmith.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    clean = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    middle = times[RUNS // 2]
    rows = [
        Row(
            "`convsmith --help`",
            f"{middle:.0f} ms ({times[0]:.0f}-{times[-1]:.0f})",
            "",
            None,
            RUNS,
            "< 1 s",
            answer(middle < 1000),
        ),
        Row("torch imported by it", "no" if clean else "yes", "", None, 1, "no", answer(clean)),
    ]
    save("startup", "Start-up", "", rows, "A fresh process each time, start of Python included; median (least-most).")


if __name__ == "__main__":
    main()
