"""uids: never positional, unique where state hangs on them, and honest about which are not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph.uids import Uid, UidRequest, assign_uids
from pipeline.operators.aggregate import Aggregate
from pipeline.operators.filter import Filter
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union

from .conftest import FakeSink, FakeSource, Graph, merge, parse


class Key:
    def __call__(self, value: object) -> str:
        return str(value)


def test_the_default_is_the_kind_and_the_name_of_function_or_target() -> None:
    """SPEC 2; callable objects go by their class, operators without a function by their kind."""
    graph = Graph()
    end = graph.line(FakeSource(), Map(parse), KeyBy(Key()), Reduce(merge, str), Filter(lambda value: value))
    graph.add_sink(FakeSink(), graph.add_operator(Union(), [end, end]))
    uids = [node.uid for node in graph.stream().nodes]
    assert uids == [
        "kafka:events",
        "map:parse",
        "key_by:Key",
        "reduce:merge",
        "filter:<lambda>",
        "union",
        "kafka:alerts",
    ]


class Count:
    def create_accumulator(self) -> int:
        return 0

    def add(self, value: object, accumulator: int) -> int:
        return accumulator + 1

    def get_result(self, accumulator: int) -> int:
        return accumulator

    def merge(self, first: int, second: int) -> int:
        return first + second


def test_an_aggregate_goes_by_its_class() -> None:
    """Not by one of its methods; errors and `explain` name that, with file and line."""
    graph = Graph()
    graph.line(FakeSource(), KeyBy(str), Aggregate(Count(), str), FakeSink())
    node = graph.stream().nodes[2]
    assert (node.uid, node.stable) == ("aggregate:Count", True)
    assert node.functions[0].name == "Count.add"


def test_inserting_an_operator_changes_no_other_uid() -> None:
    """Other operators do not count, so state is matched after a change of the job."""
    before, after = Graph(), Graph()
    before.line(FakeSource(), KeyBy(str), Reduce(merge, str), FakeSink())
    after.line(FakeSource(), Filter(bool), Map(parse), KeyBy(str), Reduce(merge, str), FakeSink())
    kept = {node.uid for node in before.stream().nodes}
    assert kept <= {node.uid for node in after.stream().nodes}
    assert all(node.stable for node in after.stream().nodes)


def test_of_two_alike_neither_is_stable() -> None:
    """`#2` is for people: a change of the job may swap the two, so neither uid matches state."""
    alike = UidRequest(None, "reduce:merge", nameless=False)
    assert assign_uids([alike, alike]) == [Uid("reduce:merge", False), Uid("reduce:merge#2", False)]


def test_a_lambda_names_nothing() -> None:
    """Any other lambda could take its place unnoticed."""
    assert assign_uids([UidRequest(None, "reduce:<lambda>", nameless=True)]) == [
        Uid("reduce:<lambda>", False)
    ]


def test_the_users_choice_wins_and_an_equal_default_changes() -> None:
    """A given uid is never changed; a default that equals it is not unique."""
    given_one = UidRequest("map:parse", "map:other", nameless=False)
    default = UidRequest(None, "map:parse", nameless=False)
    assert assign_uids([default, given_one]) == [Uid("map:parse#2", False), Uid("map:parse", True)]


requests = st.lists(
    st.builds(
        UidRequest,
        st.none(),
        st.sampled_from(["map:f", "map:g", "reduce:f", "kafka:t"]),
        st.booleans(),
    )
)


@given(requests)
def test_defaults_are_told_apart(requests: list[UidRequest]) -> None:
    """Whatever the job: no two default uids are equal, and a stable one is its kind and name exactly."""
    uids = assign_uids(requests)
    assert len({uid.text for uid in uids}) == len(requests)
    for request, uid in zip(requests, uids, strict=True):
        alone = sum(other.default == request.default for other in requests) == 1
        assert uid.stable == (alone and not request.nameless)
        assert not uid.stable or uid.text == request.default
