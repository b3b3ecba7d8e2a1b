"""The loop: per depth one layer, one exit head, one decision, until every row has exited.

Rows that exit are removed from the batch at once, as in ``elbert.inference``: they cost nothing afterwards, and each
keeps the logits of its own exit depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from elbert.export.condition_nodes import ExitState, decide, fixed_exit
from elbert.export.dials import BoundRule
from elbert.export.graph import BOOL, FLOAT, INT64, Graph, Shape, Value
from elbert.export.layers import Mask
from elbert.model import ModelConfig
from elbert.tasks import Task

Step = Callable[[Graph, Value, Mask], Value]
"""Adds a layer's or a head's nodes to a graph: ``hidden, mask -> hidden`` or ``-> logits``."""


@dataclass(frozen=True)
class ExitOutputs:
    """The results of exited rows: ``logits [rows, classes]``, ``depth [rows]`` from 1, ``reason [rows]``, an index.

    Where tokens are classified, logits are ``[rows, tokens, classes]``.
    """

    logits: Value
    depth: Value
    reason: Value


@dataclass(frozen=True)
class Carried:
    """One value carried from depth to depth: its name before the loop, at the start and at the end of the body."""

    initial: Value
    here: Value
    after: Value
    kind: int
    shape: Shape


def fixed_depth_loop(
    g: Graph,
    hidden: Value,
    mask: Mask,
    step: Step,
    read: Step,
    rules: list[BoundRule],
    config: ModelConfig,
    words: Value | None = None,
) -> ExitOutputs:
    """Run all rows to one depth and the head once: for policies that read no signal."""
    depth, reason = fixed_exit(g, rules, config.depths)
    body, _, cond = start_body(g)
    here = body.input(body.fresh("hidden"), FLOAT, ["rows", "tokens", config.hidden_size])
    carried = [Carried(hidden, here, step(body, here, mask), FLOAT, ["rows", "tokens", config.hidden_size])]
    (deepest,) = add_loop(g, depth, body, body.Identity(cond), carried)
    rows = g.Shape(hidden, end=1)
    return ExitOutputs(read(g, deepest, mask), g.Expand(depth, rows), g.Expand(reason, rows))


def early_exit_loop(
    g: Graph,
    hidden: Value,
    mask: Mask,
    step: Step,
    read: Step,
    rules: list[BoundRule],
    config: ModelConfig,
    words: Value | None = None,
) -> ExitOutputs:
    """Run every row to the depth at which a rule ends it.

    Where tokens are classified, ``words [rows, tokens]`` is true of those that count in decisions.
    """
    count, classes = g.Shape(hidden, end=1), len(config.labels)
    of_answers: Shape = [classes] if words is None else ["tokens", classes]
    body, passed, _ = start_body(g)
    live = body.input(body.fresh("live"), INT64, ["live"])  # indices of the rows that have not exited
    above = body.input(body.fresh("hidden"), FLOAT, ["live", "tokens", config.hidden_size])
    answers = body.input(body.fresh("answers"), FLOAT, ["rows", *of_answers])
    depths = body.input(body.fresh("depths"), INT64, ["rows"])
    reasons = body.input(body.fresh("reasons"), INT64, ["rows"])

    own = mask.of_rows(body, live)
    deeper = step(body, above, own)
    logits = read(body, deeper, own)
    depth = body.Add(passed, 1)
    probabilities = activate(body, logits, config.task)
    state = ExitState(
        *(body, probabilities, depth, config.depths, classes, config.multi_label, config.task.content, config.scale),
        words=None if words is None else body.Gather(words, live, axis=0),
    )
    decision = decide(rules, state, config.depths)
    continues = body.Less(decision, 0)
    where = body.Unsqueeze(live, [1])

    def per_row(initial: Value, here: Value, news: Value, kind: int, shape: Shape) -> Carried:
        # Each depth overwrites the results of live rows: in the end each row has those of its exit depth.
        return Carried(initial, here, body.ScatterND(here, where, news), kind, shape)

    def per_live_row(initial: Value, here: Value, after: Value, kind: int, shape: Shape) -> Carried:
        return Carried(initial, here, body.Compress(after, continues, axis=0), kind, ["live", *shape])

    def make_zeros(shape: Shape) -> Value:
        sizes = [[size] if isinstance(size, int) else g.Shape(hidden, start=1, end=2) for size in shape]
        return g.Expand(0.0, g.Concat(count, *sizes, axis=0))

    at = body.Expand(depth, body.Shape(live))
    carried = [
        per_row(make_zeros(of_answers), answers, logits, FLOAT, ["rows", *of_answers]),
        per_row(g.Expand(0, count), depths, at, INT64, ["rows"]),
        per_row(g.Expand(0, count), reasons, decision, INT64, ["rows"]),
        per_live_row(g.Range(0, g.Squeeze(count), 1), live, live, INT64, []),
        per_live_row(hidden, above, deeper, FLOAT, ["tokens", config.hidden_size]),
    ]
    for memory in state.memories.values():
        carried.append(per_live_row(make_zeros(memory.shape), memory.here, memory.after, FLOAT, memory.shape))
    any_live = body.Greater(body.Size(carried[3].after), 0)
    exited = add_loop(g, g.value(config.depths), body, any_live, carried)
    return ExitOutputs(*exited[:3])


def activate(g: Graph, logits: Value, task: Task) -> Value:
    """Logits to outputs."""
    if task.activation == "none":
        return logits
    return g.Sigmoid(logits) if task.activation == "sigmoid" else g.Softmax(logits, axis=-1)


def start_body(g: Graph) -> tuple[Graph, Value, Value]:
    """``(body, iterations so far, loop condition)``, as ONNX passes them to a loop's body."""
    body = g.body()
    return body, body.input(body.fresh("passed"), INT64, []), body.input(body.fresh("going"), BOOL, [])


def add_loop(g: Graph, most: Value, body: Graph, going: Value, carried: Sequence[Carried]) -> list[Value]:
    """Run the body at most ``most`` times, while ``going`` is true; return the final carried values."""
    order = {value.name: value for value in body.inputs}
    body.inputs[2:] = [order[one.here] for one in carried]
    body.output(body.fresh("going_on"), going, BOOL, [])
    for one in carried:
        body.output(body.fresh("after"), one.after, one.kind, one.shape)
    return g.node("Loop", [most, True, *(one.initial for one in carried)], len(carried), body=body.proto("depth"))
