"""What a function that is an object with `open` and `close` gets from the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FunctionContext:
    """The job, operator and subtask for which a function was opened.

    Each subtask has its own copy of the function, opened before its first call and closed after its last.

    Args:
        job_name: name of the job.
        uid: uid of the operator.
        subtask: index of the subtask, from 0.
        parallelism: number of subtasks of the operator.

    Example:
        class Price:
            def open(self, ctx: FunctionContext) -> None:
                self._prices = sqlite3.connect("prices.db")

            def __call__(self, order: Order) -> Order:
                return order.priced(self._prices.execute(PRICE, [order.article]).fetchone()[0])

            def close(self) -> None:
                self._prices.close()

        orders.map(Price()).with_parallelism(4)
    """

    job_name: str
    uid: str
    subtask: int
    parallelism: int
