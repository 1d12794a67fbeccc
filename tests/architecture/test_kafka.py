"""What may not be asked of Kafka's client, wherever in the product."""

from __future__ import annotations

import ast

from .conftest import Module

ANSWERED_BY_A_COORDINATOR = {
    "alter_consumer_group_offsets",
    "delete_consumer_groups",
    "describe_consumer_groups",
    "list_consumer_group_offsets",
}
"""Of the admin client, which crashes on NOT_COORDINATOR or a lost connection (librdkafka 5040 and 5397)."""


def test_no_admin_client_is_asked_what_a_coordinator_answers(modules: list[Module]) -> None:
    """A broker that has just started would end the process."""
    asked = [
        f"{module.at(call)} calls {call.func.attr}"
        for module in modules
        for call in module.calls()
        if isinstance(call.func, ast.Attribute) and call.func.attr in ANSWERED_BY_A_COORDINATOR
    ]
    assert not asked
