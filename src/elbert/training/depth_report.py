"""The report of training: one for each evaluation, with scores, mean loss and the time left; and warnings."""
# ruff: noqa: E402

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from elbert._optional import require

require("transformers", "train")  # before the imports below, so that the error names the remedy

from rich.console import Console
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from elbert.tasks import Task
from elbert.training.metrics import COLLAPSE, DIVERGED, is_finite
from elbert.training.objective import ExitObjective

DEPTHS_PER_LINE = 12  # fits 80 characters
SILENCE = 300.0  # seconds after which a line is printed within an epoch too


class DepthReport(TrainerCallback):
    """Prints scores, loss and the time left after each evaluation, and warnings.

    Training ends when it has diverged: a weight that is NaN stays NaN. The checkpoint of that step is not saved.
    """

    def __init__(self, objective: ExitObjective, console: Console, settings: Sequence[str] = ()) -> None:
        self.objective = objective
        self.console = console
        self.settings = settings
        self.has_stopped = False
        self.has_ended = False
        self._start = self._printed = time.monotonic()
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Print the settings, and start the clock; called by transformers."""
        if state.is_world_process_zero:
            for line in self.settings:
                self._print(line)
        self._start = self._printed = time.monotonic()
        self._first_step = state.global_step

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End the reports: the evaluation that follows repeats one of them; called by transformers."""
        self.has_ended = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Check the loss, and print it where epochs take long; called by transformers."""
        logs: dict[str, float] = kwargs["logs"]
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        # In fp16 single losses overflow, and such a step changes no weight.
        if not math.isfinite(loss) and not args.fp16:
            self._stop(f"the loss is {loss}", state, control)
        if state.is_world_process_zero and time.monotonic() > self._printed + SILENCE:
            mean = loss / self.objective.depths
            self._print(f"step {state.global_step} of {state.max_steps}: loss {mean:.3f}{self._time_left(state)}")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Print the report; called by transformers."""
        metrics: dict[str, float] = kwargs["metrics"]
        if not is_finite(metrics):
            self._stop("the outputs for the validation file are NaN or infinite", state, control)
        loss = self.objective.take_mean_loss()  # in every process, because they are averaged
        if not state.is_world_process_zero or "eval_area" not in metrics or self.has_ended:
            return
        shown = "" if loss is None else f"; loss {loss:.3g} (mean of the depths)"
        epochs = f"epoch {state.epoch or 0:.3g} of {args.num_train_epochs:g}" if args.max_steps < 1 else ""
        where = epochs or f"step {state.global_step} of {state.max_steps}"
        self._print(f"{where}: {describe_scores(metrics, self.objective.task)}{shown}{self._time_left(state)}")
        weights = self.objective.weights().tolist()
        scores = [metrics[f"eval_depth_{depth}"] for depth in range(1, len(weights) + 1)]
        is_learned = self.objective.options.weighting == "learned"
        for line in format_scores(scores, weights if is_learned else None):
            self._print(line)
        if metrics.get("eval_one_class"):
            self._print(f"warning: {COLLAPSE}")

    def _time_left(self, state: TrainerState) -> str:
        done, left = state.global_step - self._first_step, state.max_steps - state.global_step
        if done < 1 or left < 1:
            return ""
        return f"; about {format_duration((time.monotonic() - self._start) / done * left)} left"

    def _stop(self, why: str, state: TrainerState, control: TrainerControl) -> None:
        control.should_training_stop, control.should_save = True, False
        if state.is_world_process_zero and not self.has_stopped:
            self._print(
                f"warning: training diverged in epoch {math.ceil(state.epoch or 0)}, by step {state.global_step}: "
                f"{why}, and training stops; {DIVERGED}"
            )
        self.has_stopped = True

    def _print(self, line: str) -> None:
        from tqdm.auto import tqdm

        self._printed = time.monotonic()
        with tqdm.external_write_mode(file=self.console.file):  # a bar on the same terminal is drawn again below
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


class QuietProgress(ProgressCallback):
    """transformers' bars without its prints of every log, which :class:`DepthReport` replaces."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Print nothing; called by transformers."""


def describe_scores(metrics: Mapping[str, float], task: Task) -> str:
    """Return the scores at full depth and on average over depths, in words."""
    name = task.training_score.replace("_", " ")
    full, area = (metrics[f"eval_{key}"] for key in (task.training_score, "area"))
    if task.is_graded:
        return f"{name} {full:.1%} at full depth, {area:.1%} on average over depths"
    return f"{name} {full:.4f} at full depth, {area:.4f} on average over depths"


def format_scores(scores: Sequence[float], weights: Sequence[float] | None) -> Iterator[str]:
    """Yield lines with depths, scores and, if there are any, weights in columns."""
    for first in range(0, len(scores), DEPTHS_PER_LINE):
        part = range(first, min(first + DEPTHS_PER_LINE, len(scores)))
        yield "depth  " + " ".join(f"{m + 1:>5}" for m in part)
        yield "score  " + " ".join(f"{scores[m]:>5.3f}" for m in part)
        if weights is not None:
            yield "weight " + " ".join(f"{weights[m]:>5.2f}" for m in part)


def format_duration(seconds: float) -> str:
    """Return a duration for people, such as ``45 s``, ``3 min`` or ``2 h 10 min``."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def silence_transformers(*, warnings: bool = False) -> Iterator[None]:
    """Show no bars of transformers for every file that it loads or writes, and with ``warnings`` no warnings either."""
    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    if warnings:
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers' own
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # as above
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
