"""The rules that every module of the product follows."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .conftest import Module

MEANINGLESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_utils", "stuff"}
MOST_LINES = 500
THREADS = {"Thread": "name", "ThreadPoolExecutor": "thread_name_prefix"}


def called(call: ast.Call) -> str:
    """The last part of the name of what is called: `Thread` for `threading.Thread(...)`."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def public_definitions(module: Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield node


def test_every_module_says_what_it_is_for(modules: list[Module]) -> None:
    """A module has a docstring whose first line is a sentence; a folder's `__init__` may be empty."""
    silent = [module.name for module in modules if module.text.strip() and not ast.get_docstring(module.tree)]
    assert not silent


def test_every_folder_explains_itself(modules: list[Module]) -> None:
    """Each folder holds at least one module with a docstring."""
    folders = {module.path.parent for module in modules}
    spoken = {module.path.parent for module in modules if ast.get_docstring(module.tree)}
    assert {folder.name for folder in folders - spoken} == set()


def test_public_names_are_documented(modules: list[Module]) -> None:
    """Each public class and function at the top of a module has a docstring."""
    silent = [
        f"{module.at(node)} {node.name}"
        for module in modules
        for node in public_definitions(module)
        if not ast.get_docstring(node)
    ]
    assert not silent


def test_names_mean_something(modules: list[Module]) -> None:
    """No module is named after its being useful; what it holds has a better name."""
    assert not [
        module.name
        for module in modules
        if MEANINGLESS & {part.rstrip("0123456789") for part in module.name.removesuffix(".py").split("/")}
    ]


def test_modules_can_be_read_in_one_sitting(modules: list[Module]) -> None:
    long = [module.name for module in modules if len(module.text.splitlines()) > MOST_LINES]
    assert not long


def test_nothing_sleeps(modules: list[Module]) -> None:
    """A wait is on a condition and has a reason to end; `time.sleep` has none."""
    sleeping = [
        module.at(call)
        for module in modules
        for call in module.calls()
        if called(call) == "sleep" and "asyncio" not in ast.unparse(call.func)
    ]
    assert not sleeping


def test_threads_have_names(modules: list[Module]) -> None:
    """Each thread is created with a name, so that a stack dump can be read."""
    nameless = [
        module.at(call)
        for module in modules
        for call in module.calls()
        if called(call) in THREADS and THREADS[called(call)] not in {keyword.arg for keyword in call.keywords}
    ]
    assert not nameless


CODE_FROM_TEXT = {
    "eval": ("connectors/sql/rows.py",),
    "exec": ("pipeline/compiler/", "pipeline/reactive/operators/row.py"),
    "compile": ("pipeline/compiler/", "pipeline/reactive/operators/row.py"),
}


def test_code_is_made_from_text_in_few_places(modules: list[Module]) -> None:
    """Chains, row makers and rows of maps and filters are generated; nothing else turns text into code."""
    strays = [
        module.at(call)
        for module in modules
        for call in module.calls()
        if isinstance(call.func, ast.Name)
        and call.func.id in CODE_FROM_TEXT
        and not module.name.startswith(CODE_FROM_TEXT[call.func.id])
    ]
    assert not strays


def test_pickle_is_only_where_a_descriptor_can_ask_for_it(modules: list[Module]) -> None:
    """Reading a pickle runs code, so only the state's encoding knows the module."""
    strays = [
        module.at(node)
        for module in modules
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Import) and any(alias.name == "pickle" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "pickle")
    ]
    assert [place for place in strays if not place.startswith("state/")] == []
