"""The check of wording finds what it is meant to find, and leaves what engineers write."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.wording import findings, stumbles


@pytest.mark.parametrize(
    "prose",
    [
        "put the buffer behind a map",
        "mend the function",
        "Hear that the stream has ended",
        "the topic was made anew",
        "whoever reads this",
        "what stands in the file",
        "this value is no policy",
        "the function gives one record",
        "it hands on the records",
        "the job goes on",
        "a callback hears of it",
        "the caller is told so",
        "read so many records",
        "lost without a word",
        "asked were 4",
    ],
)
def test_it_stumbles(prose: str) -> None:
    assert list(stumbles(prose))


@pytest.mark.parametrize(
    "prose",
    [
        "how far behind the slowest split is",
        "up to 5 s behind",
        "a timestamp behind the latest one",
        "there is no checkpoint",
        "the job is no longer alive",
        "n stands for a number",
        "it gives up after three attempts",
        "amended",
        "the two cannot be told apart",
    ],
)
def test_it_reads_on(prose: str) -> None:
    assert list(stumbles(prose)) == []


def test_it_reads_prose_only_and_measures_pages(tmp_path: Path) -> None:
    """Names in code stay; comments, docstrings and messages are read; tables may be wide, text may not."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "code.py").write_text(
        '"""One\n\nis no two."""\nbehind = f"{1} stands"  # mend\n', encoding="utf-8"
    )
    (tmp_path / "page.md").write_text(f"{'a ' * 61}\n| {'a ' * 61}|\nwhoever\n", encoding="utf-8")
    found = [line.partition(": write")[0] for line in findings(tmp_path)]
    assert found == [
        'code.py:3: "is no "',
        'code.py:4: "stands"',
        'code.py:4: "mend"',
        "page.md:1: 122 columns, 120 at most",
        'page.md:3: "whoever"',
    ]
