"""Named places at which a test may kill the process, to prove that a crash there loses nothing.

`PIPELINE_FAULTPOINT=P7` kills at the first passage of P7, `P7:3` at the third, `P16b,P4:2` at
whichever comes first. `PIPELINE_FAULTPOINT_SIGNAL=STOP` stops the process there instead,
to be a zombie once it is continued. `PIPELINE_FAULTPOINT_LOG=FILE` appends each armed point's name
as it is reached, so that a test can tell a crash from a point never passed. Unset, a point costs
one look at a module global.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

FAULTPOINTS: Final[dict[str, str]] = {
    "P0": "between two records of an epoch",
    "P1": "the barrier has left a source",
    "P3": "a sink has flushed a part of the epoch",
    "P4": "a sink has pre-committed",
    "P5": "some of the checkpoint's parts are stored",
    "P6": "all parts are stored, the manifest is not",
    "P7": "the manifest exists, its creator does not know yet",
    "P10": "the checkpoint is complete, no sink has committed",
    "P11": "one of several commits is done",
    "P12": "a commit has taken effect, its caller does not know yet",
    "P13": "all sinks have committed, the commit is not noted",
    "P14": "the commit is noted, the sources are not told yet",
    "P15": "the clean-up of old checkpoints has begun",
    "P16a": "recovery: between restoring one part and the next",
    "P16b": "recovery: before committing again what was decided",
    "P16c": "recovery: while aborting what was left behind",
    "P17": "the attempt is claimed, nothing has started",
}
"""Every crash point of a local run, as FAULTS names them; the missing numbers need a database or RocksDB."""


def _armed() -> dict[str, int]:
    points: dict[str, int] = {}
    for item in filter(None, os.environ.get("PIPELINE_FAULTPOINT", "").split(",")):
        name, _, passage = item.partition(":")
        if name not in FAULTPOINTS:
            raise ValueError(f"PIPELINE_FAULTPOINT names {name!r}; known are {', '.join(FAULTPOINTS)}")
        if passage and not (passage.isdecimal() and int(passage)):
            raise ValueError(
                f"PIPELINE_FAULTPOINT counts passages from 1, found {item!r}: expected P7 or P7:3"
            )
        points[name] = int(passage or 1)
    return points


_ARMED = _armed()
_passed: Counter[str] = Counter()


def faultpoint(name: str) -> None:
    """Die here, by SIGKILL unless by another signal, if the environment asks for it."""
    if not _ARMED or name not in _ARMED:
        return
    _passed[name] += 1
    if _passed[name] == _ARMED[name]:
        log = os.environ.get("PIPELINE_FAULTPOINT_LOG")
        if log:
            with open(log, "a", encoding="utf-8") as file:
                file.write(name + "\n")
        os.kill(os.getpid(), signal.Signals[f"SIG{os.environ.get('PIPELINE_FAULTPOINT_SIGNAL', 'KILL')}"])
