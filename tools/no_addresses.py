"""Refuse files that carry a path of the machine they were written on, or an address to download from.

`python tools/no_addresses.py [FOLDER]` prints each finding as `file:line: what` and exits with 1 if
there is one. It looks at what git tracks and at new files that git does not ignore.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PATTERNS = {
    "a home folder": re.compile(r"(?<![\w.])(?:/home|/Users)/[a-z_][\w.-]*/|(?<![\w.])[/]root/|C:\\Users"),
    "a download address": re.compile(r"https?://[^\s\"']+\.(?:whl|tar\.gz|tgz|zip|crate|jar)\b"),
    "a registry's address": re.compile(
        r"(?:pypi|pythonhosted|npmjs|maven|crates)\.(?:org|com|io|apache\.org)\b|proxy\.golang\.org"
    ),
    "an option that says where to fetch": re.compile(
        r"--(?:extra-)?index[-]url|--find[-]links|--trusted[-]host"
    ),
}


def findings(folder: Path) -> Iterator[str]:
    """Go through the files of the repository at `folder` and yield one line for each finding."""
    patterns = PATTERNS | {"a path of this machine": _paths_of_this_machine(folder)}
    for name in _files(folder):
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # binary, or deleted and not yet committed
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for what, pattern in patterns.items():
                if pattern.search(line):
                    yield f"{name}:{number}: {what}"


def _paths_of_this_machine(folder: Path) -> re.Pattern[str]:
    """Match the folder, its parent and the home, except places that any machine may have."""
    root = folder.resolve()
    anywhere = {
        Path(tempfile.gettempdir()).resolve(),
        *map(Path, ("/", "/app", "/data", "/mnt", "/opt", "/srv")),
    }
    own = {root, root.parent, Path.home()} - anywhere
    return re.compile("|".join(rf"(?<![\w.]){re.escape(str(path))}/" for path in sorted(own)))


def _files(folder: Path) -> list[str]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return sorted(set(filter(None, listed.split("\0"))))


def main() -> int:
    """Print what was found; the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(findings(folder))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
