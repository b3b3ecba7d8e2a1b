"""A training run: checks of the arguments, the starting model, training, and the model folder that it writes."""

# ruff: noqa: E402

from __future__ import annotations

import atexit
import gc
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from elbert._optional import require

for module in ("transformers", "accelerate"):
    require(module, "train")  # before the imports below, so that the error names the remedy

import numpy as np
import torch
from rich.console import Console
from transformers import PreTrainedModel, PrinterCallback, TrainingArguments, set_seed
from transformers.trainer import DEFAULT_PROGRESS_CALLBACK

from elbert.bundle import Bundle, files_hash
from elbert.bundle.model_card import find_license, name_model, write_card
from elbert.bundle.publishing import open_repository, push_folder
from elbert.bundle.training_record import NOTABLE, TRAINING_FILE
from elbert.data import DEFAULT_COLUMNS, Columns, SkipBad
from elbert.data.sketch import TextSketch
from elbert.errors import BundleError, InputError
from elbert.model.reference import reference_class
from elbert.tasks import TASKS, Task, find_task
from elbert.tokenization import Tokeniser
from elbert.training.advice import advise, advise_length, score_linear
from elbert.training.checks import (
    check_arguments,
    check_batches,
    check_heads,
    check_labels,
    check_metric,
    check_output,
    find_checkpoint,
    report_lost_resources,
    report_rejected,
    use_one_device,
)
from elbert.training.defaults import describe_settings, fill_arguments
from elbert.training.depth_report import DepthReport, QuietProgress, silence_transformers
from elbert.training.features import Collator, Features, hold_out, load_data
from elbert.training.metrics import DIVERGED, build_metrics, metric_names
from elbert.training.objective import ExitObjective
from elbert.training.options import ExitOptions
from elbert.training.starting_head import start_heads
from elbert.training.trainer import EarlyStop, ElbertTrainer, Rehearsal, use_fast_forms


def train(
    model: str,
    train_data: Any,
    validation_data: Any,
    labels: Sequence[str],
    options: ExitOptions,
    arguments: TrainingArguments,
    *,
    problem: str = next(iter(TASKS)),
    max_length: int | None = None,
    columns: Columns = DEFAULT_COLUMNS,
    skip_bad: SkipBad | None = None,
    console: Console | None = None,
) -> dict[str, float]:
    """Train from a model folder or hub id, and write the best checkpoint into ``arguments.output_dir``.

    Data is a file, or values in memory (:func:`elbert.data.iterate_examples`), with these ``columns``.
    Returns the validation metrics of that checkpoint, which is the latest within a standard error of the best area
    (:func:`elbert.training.metrics.is_as_good`), or the best by another metric of the arguments. ``max_length`` is the
    number of tokens at which a text is cut; None follows from the data, as do arguments that are None
    (:mod:`elbert.training.defaults`). ``validation_data`` may be a number: the share of the training data to hold out.
    The errors of rows that cannot be used are passed to ``skip_bad``.

    Raises:
        BundleError: the model cannot be used.
        DataError: a file cannot be used.
        InputError: the output folder already holds a model or cannot be written; labels, options or arguments do not
            fit the problem or the model; or the training diverged, so that there is no model to write.
    """
    console, task = console or Console(stderr=True), find_task(problem).bind(labels)
    output = Path(cast(str, arguments.output_dir))
    resume = find_checkpoint(arguments.resume_from_checkpoint, output)
    check_output(output, resume)
    check_arguments(arguments)
    check_labels(labels, task, arguments.label_smoothing_factor)
    use_one_device(arguments, console)
    repository = claim_repository(arguments, output)
    sources = {"train": describe_data(train_data), "validation": describe_data(validation_data)}
    if isinstance(validation_data, int | float):
        sources["validation"] = {"name": f"{validation_data:.0%} of {sources['train']['name']}, held out"}
        train_data, validation_data = hold_out(train_data, validation_data, columns, skip_bad)
    bundle = Bundle.open(model)
    check_heads(options.pooling, options.exit_heads, bundle.config.backbone)
    with report_rejected("the seed cannot be set"):
        set_seed(arguments.seed)  # the Trainer sets it too, but a new head is initialised before
    network, has_new_head = load_starting_model(bundle, labels, options, task)
    tokeniser, features = load_data(train_data, validation_data, bundle, max_length, labels, task, columns, skip_bad)
    sketches = [TextSketch.of_hashes(row["hash"] for row in rows) for rows in features.values()]
    if arguments.device.type == "cpu" and bundle.config.backbone.shared:
        use_fast_forms(network, tokeniser.max_length)
    objective = ExitObjective(network.config.num_hidden_layers, task, options, arguments.label_smoothing_factor)
    if resume is None:  # else the weights are the checkpoint's
        cast(torch.nn.Module, network).to(arguments.device)
        rows, collator = features["train_dataset"], Collator(tokeniser.pad_id)
        print_lines(console, start_heads(network, has_new_head, bundle, labels, rows, collator, task, options))
    describe_outputs(network.config, task, features["train_dataset"])
    chosen = fill_arguments(
        arguments, width=network.config.hidden_size, rows=len(features["train_dataset"]), labels=len(labels)
    )
    check_batches(arguments, *features.values())
    check_metric(arguments, metric_names(task, objective.depths))
    chosen |= {"max_length"} if max_length is None else set()
    settings = describe_settings(arguments, chosen, options, *features.values(), max_length=tokeniser.max_length)
    report = DepthReport(objective, console, [*settings, *describe_shared(sketches[0], features["eval_dataset"])])
    record = {
        "base_model": name_model(model, bundle.folder),
        "license": find_license(bundle.folder),
        **{
            part: source | {"rows": len(rows), "sketch": sketch.to_hex()}
            for (part, source), rows, sketch in zip(sources.items(), features.values(), sketches, strict=True)
        },
        "max_length": tokeniser.max_length,
    }
    with report_lost_resources(output), silence_transformers():
        trainer = build_trainer(network, objective, tokeniser, arguments, report, features)
        rehearsal = Rehearsal(trainer)
        trainer.add_callback(rehearsal)
        with report_rejected("training cannot begin", lambda: rehearsal.has_begun):
            trainer.train(resume_from_checkpoint=resume)
        metrics = trainer.evaluate_unchanged()
        check_result(trainer, metrics)
        if trainer.is_world_process_zero():
            print_lines(console, describe_end(trainer, report, options, metrics))
            save(trainer, tokeniser, output, metrics, objective, record)
        trainer.accelerator.wait_for_everyone()  # all processes may read the folder
    if repository is not None:
        console.print(f"pushed to {push_folder(output, repository, token=arguments.hub_token)}", highlight=False)
    return metrics


def describe_shared(train: TextSketch, validation: Sequence[Features]) -> Iterator[str]:
    """Yield a line where a notable share of the validation texts are training texts: their scores show nothing then."""
    share = train.share_of_hashes(row["hash"] for row in validation)
    if share >= NOTABLE:
        yield (
            f"warning: {share:.0%} of the validation texts are training texts too, so their scores are too good, and "
            "the checkpoint that they choose has learned them by heart; use validation data without these texts (where "
            "it is held out of the training data, that has these texts twice)"
        )


def build_trainer(
    network: PreTrainedModel,
    objective: ExitObjective,
    tokeniser: Tokeniser,
    arguments: TrainingArguments,
    report: DepthReport,
    features: dict[str, list[Features]],
) -> ElbertTrainer:
    """Return the trainer, with its reports and early stopping.

    Raises:
        InputError: transformers rejects an argument.
    """
    if arguments.world_size > 1:
        atexit.register(leave_processes)  # not after this run: the next one of this process uses the same group
    with report_rejected("transformers' Trainer rejects an argument"):
        trainer = ElbertTrainer(
            objective=objective,
            tokeniser=tokeniser,
            model=network,
            args=arguments,
            data_collator=Collator(tokeniser.pad_id),
            compute_metrics=build_metrics(objective.task),
            callbacks=[report],
            **features,
        )
        trainer.remove_callback(PrinterCallback)  # DepthReport prints the same, on standard error
        if not arguments.disable_tqdm:
            trainer.remove_callback(DEFAULT_PROGRESS_CALLBACK)
            trainer.add_callback(QuietProgress)
        if objective.options.patience and arguments.load_best_model_at_end:
            trainer.add_callback(EarlyStop(objective.options.patience))
    return trainer


def leave_processes() -> None:
    """End the group of processes that train together, at the end of this one: its threads can abort it otherwise.

    They end with the objects that hold the group. The trainer is one, and only a collection frees it.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    gc.collect()


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print lines as they are, however long."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def describe_end(
    trainer: ElbertTrainer, report: DepthReport, options: ExitOptions, metrics: dict[str, float]
) -> Iterator[str]:
    """Yield why training ended before its last step, and advice about its result."""
    best = trainer.state.best_global_step
    if report.has_stopped:
        yield f"the best model before that is written, of step {best}"
    elif options.patience and trainer.state.global_step < trainer.state.max_steps:
        yield (
            f"training ends early: {options.patience} evaluations in a row were worse than the best (--patience); "
            f"the model of step {best} is written"
        )
    task, train, validation = trainer.objective.task, cast(Any, trainer.train_dataset), cast(Any, trainer.eval_dataset)
    linear = score_linear(train, validation, task)
    if linear is not None:
        yield f"for comparison: TF-IDF with a linear SVM is right for {linear:.1%} of the validation texts"
    truth = [row["labels"] for row in validation]
    yield from advise(metrics, task, truth, trainer.objective.depths, trainer.args.learning_rate, linear)
    if trainer.state.global_step == trainer.state.max_steps and trainer.args.max_steps <= 0:
        # The last of all evaluates the model that is written, after the last step once more.
        history = [entry for entry in trainer.state.log_history if "eval_area" in entry][:-1]
        yield from advise_length(history, task, trainer.args.num_train_epochs)


def claim_repository(arguments: TrainingArguments, output: Path) -> str | None:
    """With ``push_to_hub``, create the repository now and return its name: what fails would fail after training.

    The finished model is pushed, once; transformers would push every checkpoint.

    Raises:
        InputError: the hub cannot be reached, or rejects the name or the login.
    """
    if not arguments.push_to_hub:
        return None
    arguments.push_to_hub = False
    if arguments.process_index > 0:
        return None
    name = arguments.hub_model_id or output.absolute().name
    return open_repository(name, private=arguments.hub_private_repo, token=arguments.hub_token)


def describe_data(data: Any) -> dict[str, str]:
    """Return the name and the hash of a data file, or what kind of data in memory it is."""
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        return {"name": path.name} | ({"sha256": files_hash([path])} if path.is_file() else {})
    module = type(data).__module__.split(".")[0]
    return {"name": "data in memory" if module == "builtins" else f"{type(data).__name__} of {module}"}


def measure_deviation(features: Sequence[Features]) -> float | None:
    """The standard deviation of the labels, in which exits measure values; None where all are equal."""
    deviation = float(np.std([row["labels"] for row in features]))
    return deviation if 0 < deviation < math.inf else None


def check_result(trainer: ElbertTrainer, metrics: dict[str, float]) -> None:
    """Check that there is a model to write.

    Raises:
        InputError: training made no step, or the model's weights or outputs are NaN or infinite.
    """
    if not trainer.state.global_step:
        raise InputError("training made no step, so nothing is written: there are too few examples for one batch")
    if not trainer.is_sound(metrics):
        raise InputError(
            f"training diverged by step {trainer.state.global_step}: the outputs are NaN or infinite, so nothing is "
            f"written; {DIVERGED}"
        )


def describe_outputs(config: Any, task: Task, train: Any) -> None:
    """Set what readers of the written model need to know about its outputs."""
    if task.per_token:
        config.aggregation_strategy = "first"  # only the first piece of a word has a label
    if task.needs_standard_deviation:
        config.label_deviation = measure_deviation(train)


def load_starting_model(
    bundle: Bundle, labels: Sequence[str], options: ExitOptions, task: Task
) -> tuple[PreTrainedModel, bool]:
    """Load the network in float32, with the labels of the data, and whether its exit head is new.

    A head of another size is initialised again.

    Raises:
        BundleError: the folder has no weights, or some are missing.
        InputError: more exit heads than the model has depths.
    """
    backbone, folder = bundle.config.backbone, bundle.folder
    chosen: dict[str, Any] = {"pooling": options.pooling, "exit_heads": options.exit_heads} if backbone.shared else {}
    try:
        with silence_transformers(warnings=True):  # a head of another size is the normal case
            network, loading = reference_class(backbone, per_token=task.per_token).from_pretrained(
                folder,
                dtype=torch.float32,
                problem_type=None if task.per_token else task.name,  # transformers has none for it
                id2label=dict(enumerate(labels)),
                label2id={name: i for i, name in enumerate(labels)},
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **{name: value for name, value in chosen.items() if value is not None},
            )
    except OSError as error:
        raise BundleError(f"{folder}: its weights cannot be read ({str(error).splitlines()[0]})") from error
    absent = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    initialised = (*backbone.head_prefixes(per_token=task.per_token), "earlier_heads.")  # for a new task
    if missing := sorted(key for key in absent if not key.startswith(initialised)):
        raise BundleError(
            f"{folder}: no weights that fit for {missing[0]} and {len(missing) - 1} more; restore its files"
        )
    return cast(PreTrainedModel, network), bool(absent)


def save(
    trainer: ElbertTrainer,
    tokeniser: Tokeniser,
    output: Path,
    metrics: dict[str, float],
    objective: ExitObjective,
    record: dict[str, Any],
) -> None:
    """Write the model folder, its model card, and ``training.json`` with the run's metrics; ``config.json``, without
    which a folder is no model, comes last.
    """
    network = trainer.accelerator.unwrap_model(trainer.model)
    weights = [weight if math.isfinite(weight) else None for weight in objective.weights().tolist()]
    steps = trainer.state.global_step
    best = trainer.state.best_global_step if trainer.args.load_best_model_at_end else None
    record = {"metrics": metrics, "exit_weights": weights, "steps": steps, "best_step": best or steps, **record}
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".partial-") as partial:
        network.save_pretrained(partial)
        tokeniser.save(Path(partial))
        (Path(partial) / TRAINING_FILE).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", "utf-8")
        for file in sorted(Path(partial).iterdir(), key=lambda file: file.name == "config.json"):
            os.replace(file, output / file.name)
    write_card(output)
