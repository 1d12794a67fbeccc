"""Generate the API reference of the public packages from their docstrings, with pdoc.

`python tools/api_reference.py FOLDER` writes one page for each module below into FOLDER. Warnings are errors.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

from pdoc import doc, render

MODULES = (
    "pipeline",
    "connectors",
    "connectors.kafka",
    "pipeline.spi.source",
    "pipeline.spi.sink",
    "pipeline.spi.operator",
    "pipeline.testing",
    "pipeline.testing.tck",
    "pipeline.reactive",
    "state.descriptors",
)

NOT_OURS = (
    r"ForwardRef\(.*__init__",  # the generated constructor of a NamedTuple
    r".*Import of SchedulerBase failed",  # reactivex imports it for type checkers only
)
"""Warnings about code that is not written here."""


def load(name: str) -> doc.Module:
    """Import a module, and bind the names that it resolves lazily: pdoc reads its `__dict__`."""
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        vars(module)[public] = getattr(module, public)
    return doc.Module(module)


def main() -> int:
    """Write the pages and return the exit status."""
    warnings.simplefilter("error")
    for pattern in NOT_OURS:
        warnings.filterwarnings("ignore", f"Error parsing type annotation {pattern}")
    folder = Path(sys.argv[1])
    render.configure(docformat="google", show_source=False, footer_text="Pipeline Framework")
    modules = {name: load(name) for name in MODULES}
    pages = {f"{name.replace('.', '/')}.html": render.html_module(modules[name], modules) for name in MODULES}
    pages["index.html"] = render.html_index(modules)
    pages["search.js"] = render.search_index(modules)
    for place, text in pages.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
