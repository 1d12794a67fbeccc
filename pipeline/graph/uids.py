"""The uid of each node: given by the user, or kind and name of its function or target; never its position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UidRequest:
    """What a node's uid is made from.

    Args:
        given: the user's own choice, None for the default.
        default: kind and name of function or target.
        nameless: whether `default` names a lambda, which any other lambda could replace.
    """

    given: str | None
    default: str
    nameless: bool


@dataclass(frozen=True, slots=True)
class Uid:
    """A node's uid, and whether it names the node whatever else changes in the job."""

    text: str
    stable: bool


def assign_uids(requests: Sequence[UidRequest]) -> list[Uid]:
    """Give each node its uid, in the order of the nodes.

    Where a default is not unique, `#2`, `#3` … tell the nodes apart for people; such a uid is not
    stable, nor is that of the node that kept the bare name, since a change of the job may swap them.
    Uids of the user stay as they are, also if two are equal: the validation rejects that.
    """
    wanted = Counter(request.given or request.default for request in requests)
    taken = {request.given for request in requests if request.given is not None}
    uids: list[Uid] = []
    for request in requests:
        if request.given is not None:
            uids.append(Uid(request.given, stable=True))
            continue
        text = _untaken(request.default, taken)
        taken.add(text)
        uids.append(Uid(text, stable=wanted[request.default] == 1 and not request.nameless))
    return uids


def _untaken(default: str, taken: set[str]) -> str:
    text, number = default, 1
    while text in taken:
        number += 1
        text = f"{default}#{number}"
    return text
