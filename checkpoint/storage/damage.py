"""What to do about a damaged checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.core.errors import CheckpointError


def older_offered(checkpoint_id: int, checkpoints: Iterable[int], verify: Callable[[int], object]) -> str:
    """Say which older checkpoints can be restored in the place of a damaged one.

    Args:
        checkpoints: all there are, ascending.
        verify: raises a `CheckpointError` for one that is damaged too.
    """
    older = [one for one in checkpoints if one < checkpoint_id and _is_sound(one, verify)][::-1]
    if not older:
        return "no older checkpoint is there to go back to; --fresh starts from the beginning of the input"
    others = f" (sound as well: {', '.join(map(str, older[1:]))})" if older[1:] else ""
    return (
        f"--restore {older[0]} goes back to the older checkpoint {older[0]}{others}; what was committed "
        "after it is then written again, so it needs --accept-duplicates"
    )


def _is_sound(checkpoint_id: int, verify: Callable[[int], object]) -> bool:
    try:
        verify(checkpoint_id)
    except CheckpointError:
        return False
    return True
