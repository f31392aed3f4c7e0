"""Time of `import gentwin` in a fresh interpreter, beside `import gymnasium`."""

from __future__ import annotations

import statistics
import subprocess
import sys

from recipes.figures.result import Result

MEASURE = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds_to_import(module: str, repeats: int) -> float:
    """Returns the median seconds a fresh interpreter needs to import `module`, after one run that warms the disk."""
    times = []
    for _ in range(repeats + 1):
        run = subprocess.run([sys.executable, "-c", MEASURE.format(module)], capture_output=True, text=True, check=True)
        times.append(float(run.stdout))
    return statistics.median(times[1:])


def measure(full: bool, seed: int) -> Result:
    """Measures the figure; `seed` has no influence."""
    repeats = 21 if full else 5
    ours, baseline = seconds_to_import("gentwin", repeats), seconds_to_import("gymnasium", repeats)
    return Result(ours, "< 0.1 s", ours < 0.1, {"import gymnasium": baseline}, baseline / ours)
