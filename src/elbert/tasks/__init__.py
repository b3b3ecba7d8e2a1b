"""Tasks: what the outputs of a model mean. A task is one entry of :data:`TASKS`; all other code asks the entry."""

from __future__ import annotations

from elbert.errors import InputError
from elbert.tasks.multi_label import MultiLabel
from elbert.tasks.regression import Regression
from elbert.tasks.single_label import SingleLabel
from elbert.tasks.task import Activation, AnswerKind, Target, Task
from elbert.tasks.token_classification import TokenClassification

TASKS: dict[str, Task] = {
    task.name: task for task in (SingleLabel(), MultiLabel(), Regression(), TokenClassification())
}
"""By name, which is ``problem_type`` in ``config.json``; the first is what ``elbert train`` trains by default."""


def find_task(problem: str) -> Task:
    """The task of that problem type.

    Raises:
        InputError: there is none.
    """
    if problem not in TASKS:
        raise InputError(f"problem is {problem!r:.80}, expected one of {', '.join(TASKS)}")
    return TASKS[problem]


def infer_problem(labels: int, *, has_vectors: bool = False) -> str:
    """The problem type where none is configured: the rule of transformers.

    ``has_vectors`` is whether the labels of a training batch are vectors of 0 and 1.
    """
    if labels == 1:
        return Regression.name
    return MultiLabel.name if has_vectors else SingleLabel.name


__all__ = ["TASKS", "Activation", "AnswerKind", "Target", "Task", "TokenClassification", "find_task", "infer_problem"]
