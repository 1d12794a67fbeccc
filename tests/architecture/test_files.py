"""Nothing in the repository says where it was written or where to download from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def check(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools/no_addresses.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_file_carries_an_address_or_a_path_of_a_machine(root: Path) -> None:
    assert check(root, root).stdout == ""


@pytest.mark.parametrize(
    "line",
    [
        "open('/ho" + "me/someone/data.csv')",
        "--index" + "-url https://example.test/simple",
        "https://example.test/tool-1.0" + ".tar.gz",
        "see py" + "pi.org",
        "{folder}/secret",
    ],
)
def test_the_check_finds_what_it_is_for(line: str, root: Path, tmp_path: Path) -> None:
    """Each kind of leak, planted in a repository, is found with its file and line."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "notes.txt").write_text("harmless\n" + line.format(folder=tmp_path) + "\n", encoding="utf-8")
    done = check(root, tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("notes.txt:2: ")
