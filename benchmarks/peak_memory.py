"""`python -m benchmarks.peak_memory DSN ROWS FOLDER`: run the job, print its peak memory in MB."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.orders import Report, job_dicts


def peak_megabytes() -> float:
    """The most memory this process held since it was executed.

    `ru_maxrss` would not do: Linux hands it on from the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    dsn, rows, folder = sys.argv[1:]
    job_dicts(Report(dsn, int(rows), Path(folder)))
    print(peak_megabytes())
