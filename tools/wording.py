"""Keep prose in the wording of the field, and lines of Markdown within 120 columns.

`python tools/wording.py [FOLDER]` prints each finding as `file:line: "found": write …` and exits with 1 if
there is one. It reads Markdown, and comments, docstrings and messages in Python; names in code may stay.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WIDTH: Final = 120
"""Columns of a line of Markdown, except in tables, whose rows cannot be wrapped."""

ADVICE: Final = {
    r"\bbehind\b(?! the (?:clock|latest|greatest|furthest|newest|wall)\b)": "downstream of; after (in time)",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\banew\b": "recreated, restarted, again",
    r"\bwhoever\b": "a caller that …, users who …",
    r"\bstands?\b(?! for\b| in for\b| out\b|-)": "is",
    r"\b(?:is|are|was|were) no (?!\w+er\b|more\b|less\b)": "is not a, is not",
    r"\b(?:gives|gave)\b(?! up\b| \w+ up\b)": "returns, yields, emits",
    r"\bhand(?:s|ed|ing)? on\b": "pass on, forward, emit",
    r"\bgo(?:es|ing)? on\b(?! top\b)|\bwent on\b": "continue, resume",
    r"\bhears?\b|\b(?:is|are|be|was|were) told\b(?! from\b| apart\b)": "is notified of; gets",
    r"\blets? pass\b": "skip, allow",
    r"\bin turn\b(?! of\b)|\bby turns\b": "alternately",
    r"\bso many\b": "that many, n",
    r"\bfor good\b": "permanently",
    r"\bwithout a word\b|\bin silence\b": "silently",
    r"\bof one's own\b": "a dedicated …, its own …",
    r"\bcannot be had\b": "are mutually exclusive",
    r"\basked (?:were|was)\b": "but … is …",
    r"\bleft word\b": "recorded",
    r"\b(?:is|are) wanting\b": "is missing",
    r"\brefused are\b": "… are rejected",
    r"\btakes? up\b(?! to\b)|\btak(?:es?|en) in\b": "read, accept",
}
"""Turns of phrase at which readers stumble, and what to write instead."""

ALLOWED: Final = re.compile(
    r"(?:\b(?:far|lags?|falls?|fallen|fell|left|leaves?|leaving|ms|s|min|h|most)|[`}]|^) behind\b"
    r"|['{]behind\b"
    r"|\b(?:[Tt]here|if there) (?:is|are|was|were) no\b"
)
"""Places in which such words are what an engineer would write."""

OWN: Final = ("tools/wording.py", "tests/architecture/test_wording.py")
"""The check and its test, which name the words."""

_PATTERNS: Final = [(re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in ADVICE.items()]


def findings(folder: Path) -> Iterator[str]:
    """Yield one line for each finding in the repository at `folder`."""
    for name in _files(folder):
        text = (folder / name).read_text(encoding="utf-8")
        if name.endswith(".md"):
            yield from (f"{name}:{line}: {found}" for line, found in _too_wide(text))
            prose = enumerate(text.splitlines(), 1)
        else:
            prose = _prose_of_code(text)
        if name not in OWN:
            for line, found in prose:
                yield from (f"{name}:{line}: {stumble}" for stumble in stumbles(found))


def stumbles(text: str) -> Iterator[str]:
    """Yield what is wrong with a line of prose.

    Example:
        >>> list(stumbles("mend the function"))
        ['"mend": write fix']
    """
    rest = ALLOWED.sub("", text)
    for pattern, advice in _PATTERNS:
        if found := pattern.search(rest):
            yield f'"{found[0]}": write {advice}'


def _too_wide(page: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(page.splitlines(), 1):
        if len(line) > WIDTH and not line.startswith("|"):
            yield number, f"{len(line)} columns, {WIDTH} at most"


def _prose_of_code(code: str) -> Iterator[tuple[int, str]]:
    """Yield each line of the comments and strings of a Python file, with its number."""
    prose = {
        tokenize.COMMENT,
        tokenize.STRING,
        getattr(tokenize, "FSTRING_MIDDLE", None),
    }  # from Python 3.12 on
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in prose:
            yield from enumerate(token.string.splitlines(), token.start[0])


def _files(folder: Path) -> list[str]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    named = {name for name in listed.split("\0") if name.endswith((".py", ".md"))}
    return sorted(name for name in named if (folder / name).exists())


def main() -> int:
    """Print what was found and return the exit status."""
    found = list(findings(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
