"""Keys of every form, with few values, so that those that are nearly equal meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

parts = st.one_of(
    st.booleans(),
    st.integers(-1, 2),
    st.sampled_from(["", "0", "1", "a", "ß", "\ud800"]),
    st.sampled_from([b"", b"1", b"a"]),
    st.sampled_from([2**63, 2**64, -(2**63), -(2**63) - 1, 10**30]),
)
keys: st.SearchStrategy[Any] = st.recursive(
    parts, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4
)


def typed(key: Any) -> Any:
    """Return what tells keys apart as encoding does, by another way: every part with its type."""
    return [typed(part) for part in key] if type(key) is tuple else (type(key).__name__, key)
