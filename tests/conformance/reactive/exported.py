"""What `pipeline.reactive` exports: each of these names is held against the rules and driven by schedules."""

from __future__ import annotations

import inspect

from pipeline import reactive


def exported(folder: str) -> set[str]:
    """Return the functions of `pipeline.reactive` that come from one of its folders."""
    names = {
        name
        for name in reactive.__all__
        if inspect.isfunction(value := getattr(reactive, name))
        and value.__module__.startswith(f"pipeline.reactive.{folder}.")
    }
    assert names, "looked for in the wrong place"
    return names


def sinks() -> set[str]:
    """Return the kinds of sinks that there are."""
    return {name for name in vars(reactive.Sinks) if not name.startswith("_")}
