"""A type checker follows a record through a job: what is inferred, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(500)
"""Seconds: the checker reads the whole engine, on a machine that may have other work."""

CHAINS = Path(__file__).parent / "typing" / "chains.py"

PLANTED: Mapping[str, tuple[str, str]] = {
    "an inferred type that is not so": (
        "assert_type(orders.map(lambda order: order.amount), Stream[int])",
        "assert_type(orders.map(lambda order: order.amount), Stream[str])",
    ),
    "an async function taken for a plain one": (
        "assert_type(numbers.map(fetch), Stream[bytes])",
        "assert_type(numbers.map(fetch), Stream[Coroutine[Any, Any, bytes]])",
    ),
    "a wrong use that passes": ("numbers.sink(texts)", "numbers.map(str).sink(texts)"),
}


@pytest.fixture(scope="module")
def errors(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """The checker's complaints about `chains.py` and about copies of it with one thing changed."""
    folder = tmp_path_factory.mktemp("typing")
    text = CHAINS.read_text(encoding="utf-8")
    files = {"as it is": folder / "as_it_is.py"}
    files["as it is"].write_text(text, encoding="utf-8")
    for number, (name, (old, new)) in enumerate(PLANTED.items()):
        assert text.count(old) == 1
        files[name] = folder / f"planted_{number}.py"
        files[name].write_text(text.replace(old, new), encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(root)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--project", str(folder)], capture_output=True, text=True, check=False, timeout=400
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files)
    found: dict[str, list[str]] = {name: [] for name in files}
    names = {path.name: name for name, path in files.items()}
    for complaint in report["generalDiagnostics"]:
        line = complaint["range"]["start"]["line"] + 1
        found[names[Path(complaint["file"]).name]].append(f"{line}: {complaint['message']}")
    return found


def test_a_chain_is_typed_and_wrong_uses_are_refused(errors: Mapping[str, list[str]]) -> None:
    """T is inferred through map, async map, flat_map, key_by, reduce, side outputs and the builder."""
    assert errors["as it is"] == []


def test_mypy_agrees(root: Path) -> None:
    """Each line that is marked `refused` is an error for mypy too, and no other line is."""
    settings = ["--config-file", str(root / "pyproject.toml"), "--disable-error-code", "empty-body"]
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *settings, str(CHAINS)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=400)
    complaints = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    lines = list(enumerate(CHAINS.read_text(encoding="utf-8").splitlines(), 1))
    refused = {number for number, line in lines if " - refused: " in line}
    assert complaints == refused | {number for number, line in lines if line.endswith("# wider for mypy")}


@pytest.mark.parametrize(
    ("checker", "code"),
    [
        ("mypy", "def half(n: int) -> int:\n    import json\n\n    return json.loads(str(n))\n"),
        ("basedpyright", "from connectors import ConsoleSink\n\nclass Mine(ConsoleSink):\n    _name = 1\n"),
    ],
)
def test_a_mistake_in_the_readme_is_seen(checker: str, code: str, root: Path, tmp_path: Path) -> None:
    """What users copy is checked by `make lint`: a mistake that one of the checkers sees is enough."""
    (tmp_path / "README.md").write_text(f"```python file=mine.py\n{code}```\n", encoding="utf-8")
    command = [sys.executable, str(root / "tools" / "check_users_code.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 1
    assert "mine.py" in done.stdout


@pytest.mark.parametrize("name", list(PLANTED))
def test_a_planted_mistake_is_seen(name: str, errors: Mapping[str, list[str]]) -> None:
    """The test above can fail: in each of its two ways, and for the overload that is easily lost."""
    assert set(errors[name]) - set(errors["as it is"])
