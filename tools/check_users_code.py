"""Check the types of what users copy: the named code blocks of README and docs, and the examples.

`python tools/check_users_code.py [FOLDER]` has mypy and basedpyright look at those of the project in FOLDER,
in their strict modes, and exits with 1 if one of them complains.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```python file=(?P<name>\S+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def write_blocks(project: Path, folder: Path) -> list[Path]:
    """Write each block that has a file name to that file, and return the files."""
    written: list[Path] = []
    for page in (project / "README.md", *sorted((project / "docs").glob("*.md"))):
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            written.append(folder / block["name"])
            written[-1].write_text(block["code"], encoding="utf-8")
    return written


def mypy_accepts(files: list[Path]) -> bool:
    """Run mypy as pyproject.toml configures it."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0  # noqa: S603


def pyright_accepts(files: list[Path], folder: Path) -> bool:
    """Run basedpyright, with settings that it finds in `folder`."""
    paths = [str(ROOT), str(ROOT / "examples")]
    settings = {"include": list(map(str, files)), "typeCheckingMode": "strict", "extraPaths": paths}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--project", str(folder)]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603


def main() -> int:
    """Check everything, and return the exit status."""
    project = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    with tempfile.TemporaryDirectory(prefix="pipeline-users-") as folder:
        files = [*write_blocks(project, Path(folder)), *sorted((project / "examples").glob("*.py"))]
        accepted = [mypy_accepts(files), pyright_accepts(files, Path(folder))]
    return 0 if all(accepted) else 1


if __name__ == "__main__":
    sys.exit(main())
