"""The code blocks of README and docs: where they are, what they print, and how to run one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK: Final = re.compile(
    r"^```(?P<kind>\w*)(?: (?P<what>file|output)=(?P<name>\S+))?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

PIPELINE_RUN: Final = ("-m", "pipeline", "run")


@dataclass(frozen=True, slots=True)
class DocBlock:
    """A python block that has a file name.

    Args:
        page: the page it is on.
        name: the file to save it as.
        code: its text.
        output: what running it prints, as the page shows it; None where it shows nothing.
    """

    page: Path
    name: str
    code: str
    output: str | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """How the page's reader runs it: as a test, as a job or as a program."""
        if self.name.startswith("test_"):
            return ("-m", "pytest", "-q", "-p", "no:cacheprovider")
        return () if "job.execute(" in self.code or "job = " not in self.code else PIPELINE_RUN

    def run(
        self, folder: Path, *parameters: str, command: tuple[str, ...] | None = None, **environment: str
    ) -> str:
        """Run it beside the other blocks of its page, and return what it prints."""
        for block in BLOCKS:
            if block.page == self.page:
                (folder / block.name).write_text(block.code, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *(self.command if command is None else command), self.name, *parameters],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def blocks(page: Path) -> Iterator[DocBlock]:
    """Yield the named python blocks of a page, each with the output shown for it."""
    found = list(_BLOCK.finditer(page.read_text(encoding="utf-8")))
    outputs = {match["name"]: match["text"] for match in found if match["what"] == "output"}
    for match in found:
        if match["what"] == "file":
            yield DocBlock(page, match["name"], match["text"], outputs.pop(match["name"], None))
    assert not outputs, f"{page.name} shows the output of blocks it does not have: {', '.join(outputs)}"


def unnamed(page: Path) -> list[str]:
    """Return the first line of each python block that no test could run, since it has no file name."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [
        match["text"].splitlines()[0] for match in found if match["kind"] == "python" and not match["name"]
    ]


def without_blocks(page: Path) -> str:
    """Return the text of a page around its code."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


BLOCKS: Final = tuple(block for page in PAGES for block in blocks(page))


def block(name: str) -> DocBlock:
    """Return the one block of that name."""
    (found,) = (block for block in BLOCKS if block.name == name)
    return found
