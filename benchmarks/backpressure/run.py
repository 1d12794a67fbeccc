"""`python -m benchmarks.backpressure.run SPEC`: play one run in a process of its own, print what was seen.

A process for each run, as memory that one has used would hide what the next one needs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import reactivex
from reactivex import operators as ops
from reactivex.scheduler import EventLoopScheduler

from benchmarks.backpressure.observe import Observer, Sample, resident_mb
from benchmarks.backpressure.parts import Offering, Seen, Stage, Taking, record
from benchmarks.backpressure.scenario import BUFFER_SIZE, CONTRAST, SCENARIOS
from pipeline import BackpressureStrategy, JobConfig, JobControl, PipelineError, RestartStrategy, StreamJob
from pipeline.cli.load import load_job
from pipeline.core.run_options import RunOptions
from pipeline.runtime.events import CheckpointCompleted, CheckpointFailed, JobEvent, Restarting
from pipeline.runtime.result import Progress


@dataclass(frozen=True)
class Spec:
    """One run.

    Args:
        subject: a strategy, or `reactivex`; for a job of the user's also `as written`.
        scenario: name of one, or the target of the user's job.
        checkpoint_every: seconds.
    """

    subject: str
    scenario: str
    seconds: float
    checkpoint_every: float

    @property
    def is_users(self) -> bool:
        return self.scenario not in SCENARIOS


@dataclass
class Run:
    """What was seen of a run.

    Args:
        samples: over time.
        offered, delivered, dropped, buffered: records at its end, when the source has fallen silent.
        gaps: records below the greatest delivered that were not.
        backwards: records that arrived after a later one, or twice.
        ages_ms: percentiles of how old records were when the sink got them.
        checkpoint_s: how long each checkpoint took.
        overflows: how often it failed because a buffer was full.
    """

    subject: str
    scenario: str
    seconds: float
    samples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    offered: int = 0
    delivered: int = 0
    dropped: int = 0
    buffered: int = 0
    gaps: int = 0
    backwards: int = 0
    ages_ms: dict[str, float] = field(default_factory=dict[str, float])
    checkpoint_s: list[float] = field(default_factory=list[float])
    failed_checkpoints: int = 0
    overflows: int = 0
    failure: str | None = None

    def hear(self, event: JobEvent) -> None:
        """Note what concerns checkpoints and overflows."""
        if isinstance(event, CheckpointCompleted):
            self.checkpoint_s.append(event.duration_ms / 1000)
        elif isinstance(event, CheckpointFailed):
            self.failed_checkpoints += 1
        elif isinstance(event, Restarting):
            self.overflows += 1


def play(spec: Spec) -> Run:
    """Play one run to its end."""
    run = Run(spec.subject, spec.scenario, spec.seconds)
    if spec.is_users:
        _users_job(spec, run)
    elif spec.subject == CONTRAST:
        _reactivex(spec, run)
    else:
        _strategy(spec, run)
    return run


def _strategy(spec: Spec, run: Run) -> None:
    stage = Stage(SCENARIOS[spec.scenario], spec.seconds)
    sink = Taking(stage)
    with tempfile.TemporaryDirectory() as folder:
        job = StreamJob(
            "backpressure",
            JobConfig(
                checkpoint_interval=timedelta(seconds=spec.checkpoint_every),
                checkpoint_dir=folder,
                restart=RestartStrategy.fixed_delay(10**6, timedelta(milliseconds=100)),
            ),
        )
        stream = job.source(Offering(stage)).backpressure(
            BackpressureStrategy(spec.subject), buffer_size=BUFFER_SIZE
        )
        stream.sink(sink)

        def silence() -> None:
            stage.stop_offering()
            stage.quiet.wait(5)

        end = _observed(job, spec, run, lambda: (stage.offered, sink.seen.delivered), silence)
    run.offered = stage.offered
    run.dropped, run.buffered = end.dropped, sum(edge.buffered for edge in end.edges)
    _note(run, sink.seen)


def _users_job(spec: Spec, run: Run) -> None:
    settings: dict[str, str] = {}
    if spec.subject in list(BackpressureStrategy):
        settings = {"backpressure": spec.subject, "accept_loss": "true"}
    with tempfile.TemporaryDirectory() as folder:
        job = load_job(spec.scenario)
        settings["checkpoint_dir"] = folder
        end = _observed(job, spec, run, None, lambda: None, settings)
    run.offered, run.delivered, run.dropped = end.processed, end.written, end.dropped
    run.buffered = sum(edge.buffered for edge in end.edges)


def _observed(
    job: StreamJob,
    spec: Spec,
    run: Run,
    count: Callable[[], tuple[int, int]] | None,
    silence: Callable[[], None],
    settings: dict[str, str] | None = None,
) -> Progress:
    """Execute a job under observation until its time is over; return the last that was seen of it."""
    control = JobControl()

    def look(at: float) -> Sample:
        seen = control.progress()
        offered, delivered = (seen.processed, seen.written) if count is None else count()
        buffered = sum(edge.buffered for edge in seen.edges)
        rates = [edge.request_rate for edge in seen.edges[:1]]
        return Sample(at, offered, delivered, seen.dropped, buffered, resident_mb(), *rates)

    def end() -> None:
        silence()
        control.abort()

    observer = Observer(look, spec.seconds, end)
    observer.start()
    try:
        job.execute(RunOptions(fresh=True), control=control, listeners=[run.hear], command_line=settings)
    except PipelineError as error:
        run.failure = f"{type(error).__name__}: {error}"
    run.samples = observer.stop()
    return control.progress()


def _reactivex(spec: Spec, run: Run) -> None:
    stage = Stage(SCENARIOS[spec.scenario], spec.seconds)
    sink = Taking(stage)
    scheduler = EventLoopScheduler()

    def emit(observer: Any, _: Any = None) -> Any:
        def offer() -> None:
            while due := stage.wait_until_due(stage.offered):
                for _ in range(due):
                    observer.on_next(record(stage.offered))
                    stage.offered += 1

        threading.Thread(target=offer, name="source", daemon=True).start()

    def take(value: dict[str, Any]) -> None:
        if not stage.closing:  # what is left over is of no interest
            sink.take(value)

    def look(at: float) -> Sample:
        offered, delivered = stage.offered, sink.seen.delivered
        return Sample(at, offered, delivered, 0, offered - delivered, resident_mb())

    offered: reactivex.Observable[dict[str, Any]] = reactivex.create(emit)
    offered.pipe(ops.observe_on(scheduler)).subscribe(take)
    over = threading.Event()
    observer = Observer(look, spec.seconds, over.set)
    observer.start()
    over.wait()
    run.samples = observer.stop()
    stage.stop_offering()
    run.offered, run.buffered = stage.offered, stage.offered - sink.seen.delivered
    _note(run, sink.seen)


def _note(run: Run, seen: Seen) -> None:
    run.delivered, run.gaps, run.backwards = seen.delivered, seen.gaps, seen.backwards
    ages = sorted(seen.ages)
    if ages:
        run.ages_ms = {
            name: 1000 * ages[min(len(ages) - 1, int(len(ages) * share))]
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
        }


if __name__ == "__main__":
    print(json.dumps(asdict(play(Spec(**json.loads(sys.argv[1]))))))
