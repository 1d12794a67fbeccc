"""ConsoleSink: a line for each record."""

from __future__ import annotations

import io

import pytest

from connectors import ConsoleSink
from pipeline.core.errors import SinkError, UserFunctionError
from pipeline.testing.drivers import VerificationSinkContext

CTX = VerificationSinkContext()


def test_it_prints_where_standard_output_leads_when_the_job_starts(capsys) -> None:
    sink = ConsoleSink[int](lambda n: f"<{n}>")
    sink.open(CTX)
    sink.invoke_batch([1, 2], CTX)
    assert capsys.readouterr().out == "<1>\n<2>\n"
    sink.invoke_batch([], CTX)
    sink.close()
    assert capsys.readouterr().out == ""


def test_a_format_that_raises_is_named_and_prints_nothing_of_the_batch() -> None:
    stream = io.StringIO()
    sink = ConsoleSink[str](lambda text: text.upper(), stream)
    sink.open(CTX)
    with pytest.raises(UserFunctionError, match="AttributeError") as caught:
        sink.invoke_batch(["a", None], CTX)  # type: ignore[list-item]
    assert "test_console.py" in str(caught.value.function)
    assert stream.getvalue() == ""


def test_a_reader_that_has_gone_is_an_error_without_a_retry() -> None:
    stream = io.StringIO()
    sink = ConsoleSink[int](stream=stream)
    sink.open(CTX)
    stream.close()
    with pytest.raises(SinkError, match="cannot print") as caught:
        sink.invoke_batch([1], CTX)
    assert not caught.value.retryable
