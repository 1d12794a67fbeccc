"""Keep prose in the wording of the field, and lines of Markdown within 120 columns.

`python tools/wording.py [FOLDER]` prints each finding as `file:line: "found": write …` and exits with 1 if there is
one. It reads comments, docstrings, messages and Markdown; names in code are not affected.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

WIDTH = 120

ADVICE = {
    r"(?<!far )(?<!lag )(?<!lags )(?<!fall )(?<!falls )(?<!fallen )(?<!left )(?<!ms )(?<!or )(?<!most )(?<!bound` )"
    r"\bbehind\b(?!_)(?! the (?:clock|latest|greatest|furthest|newest|wall))": "downstream of, or after (in time)",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\banew\b": "recreated, restarted",
    r"\b[Ww]hoever\b": "a caller that, users who",
    r"\bstands?\b(?! for\b)(?!-)(?!alone)": "is",
    r"(?<![Tt]here )(?<!\bif )\b(?:is|are|was|were) no (?!longer\b|more\b|fewer\b|less\b|one\b)": "is not a",
    r"\bgives\b(?! up\b)|\bgave\b(?! up\b)": "returns, yields, emits",
    r"\bhand(?:s|ed|ing)? on\b": "pass on, forward",
    r"\bgo(?:es|ing)? on\b(?! top)|\bwent on\b": "continue, resume",
    r"\bhears?\b|\b(?:is|are|be|was|were) told\b(?! from)(?! apart)": "is notified of; reports",
    r"\blets? pass\b": "skip, allow",
    r"\bin turn\b|\bby turns\b": "alternately",
    r"\bso many\b": "that many",
    r"\bfor good\b": "permanently",
    r"\bwithout a word\b|\bin silence\b": "silently",
    r"\bof one's own\b": "a dedicated …, its own …",
    r"\bcannot be had\b": "are mutually exclusive",
    r"\basked (?:were|was)\b": "but … is",
    r"\bleft word\b": "recorded",
    r"\bis wanting\b|\bare wanting\b": "is missing",
    r"\bRefused (?:are|is)\b": "… are rejected",
    r"\btake(?:s|n)? up\b|\btakes? in\b|\btaken in\b": "read, accept",
}
"""A pattern for each turn of phrase that engineers stumble over, and what to write instead."""

_PATTERNS = {re.compile(pattern): advice for pattern, advice in ADVICE.items()}


def findings(folder: Path) -> Iterator[str]:
    """Yield one line for each finding in the repository at `folder`."""
    for name in _files(folder):
        for number, line in enumerate((folder / name).read_text(encoding="utf-8").splitlines(), 1):
            for pattern, advice in _PATTERNS.items():
                if found := pattern.search(line):
                    yield f'{name}:{number}: "{found[0]}": write {advice}'


def _files(folder: Path) -> list[str]:
    command = [
        "git",
        "-C",
        str(folder),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.py",
        "*.md",
    ]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return sorted(set(filter(None, listed.split("\0"))))


if __name__ == "__main__":
    print(*findings(Path(sys.argv[1] if len(sys.argv) > 1 else ".")), sep="\n")
