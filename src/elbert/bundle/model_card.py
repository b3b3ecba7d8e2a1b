"""The model card: README.md of a model folder, from its configuration, its training record and its operating points."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from elbert._atomic import open_atomic
from elbert._display import indefinite, plural
from elbert.bundle.folder import Bundle, bundled_model
from elbert.bundle.operating_points import OperatingPoint
from elbert.bundle.training_record import read_record

CARD_FILE = "README.md"
START, END = "<!-- elbert: this part is written by elbert -->", "<!-- elbert: end -->"
LICENSE = re.compile(r"\A---\n(?:.*\n)*?license: *([\w.-]+)[^\n]*\n(?:.*\n)*?---\n")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
MAX_CARD = 1 << 20  # characters
MAX_FRONT = 8192  # characters of its metadata


def write_card(folder: Path) -> None:
    """Write the model card of a folder, or renew the part of it that describes the model.

    The rest of a card, such as its licence, is kept; a README.md that is no such card is not changed.
    """
    file = folder / CARD_FILE
    part = f"{START}\n{''.join(describe_model(folder))}{END}"
    if file.exists():
        text = _read_card(file)
        start, end = text.find(START), text.find(END)
        if not 0 <= start < end:
            return
        text = text[:start] + part + text[end + len(END) :]
    else:
        text = f"{front_matter(folder)}\n{part}\n"
    with open_atomic(file) as out:
        out.write(text)


def find_license(folder: Path) -> str:
    """Return the licence in the model card of a folder, ``unknown`` if there is none."""
    found = LICENSE.match(_read_card(folder / CARD_FILE)[:MAX_FRONT])
    return found[1] if found else "unknown"


def front_matter(folder: Path) -> str:
    """Return the metadata that the hub reads, as YAML."""
    record = read_record(folder)
    base = str(record.get("base_model", ""))
    lines = [
        f"license: {record.get('license', 'unknown')}  # the licence under which you publish the model",
        *([f"base_model: {base}"] if HUB_ID.fullmatch(base) and not Path(base).exists() else []),
        "library_name: elbert",
        "pipeline_tag: text-classification",
        "tags: [elbert, early-exit, text-classification]",
    ]
    return "\n".join(["---", *lines, "---", ""])


def describe_model(folder: Path) -> Iterator[str]:
    """Yield the paragraphs of the card's generated part."""
    bundle, record = Bundle.open(folder), read_record(folder)
    config = bundle.config
    labels = ", ".join(f"`{_escape(name)}`" for name in config.labels[:50]) + (", …" if len(config.labels) > 50 else "")
    layers = f"one shared layer, applied up to {config.depths} times"
    if not config.backbone.shared:
        layers = plural(config.depths, "layer")
    kind = f"{indefinite(config.backbone.title)} classifier ({config.problem.replace('_', ' ')})"
    yield f"\n# {_escape(folder.absolute().name)}\n\n"
    yield (
        f"This is {kind} with {layers}, trained so that every depth can answer. `elbert` stops each text at the "
        f"depth where its answer is settled.\n\nLabels: {labels}\n\n"
    )
    yield (
        "```python\nfrom elbert import Classifier\n\n"
        f'classifier = Classifier.load("{_escape(folder.absolute().name)}")\nclassifier.predict(["…"])\n```\n\n'
    )
    yield from _describe_training(record)
    yield from _describe_points(bundle)


def _describe_training(record: Mapping[str, Any]) -> Iterator[str]:
    if not record:
        return
    yield "## Training\n\n"
    rows = {
        "start": record.get("base_model"),
        "training data": _describe_data(record.get("train")),
        "validation data, which chose the checkpoint": _describe_data(record.get("validation")),
        "longest text": plural(record["max_length"], "token") if "max_length" in record else None,
        "steps": record.get("steps"),
    }
    for name, value in rows.items():
        if value is not None:
            yield f"- {name}: {_escape(str(value))}\n"
    metrics = record.get("metrics", {})
    scores = {name.removeprefix("eval_depth_"): v for name, v in metrics.items() if name.startswith("eval_depth_")}
    if scores:
        yield "\nScore on the validation data by depth:\n\n"
        yield "| depth | " + " | ".join(scores) + " |\n|---|" + "--:|" * len(scores) + "\n"
        yield "| score | " + " | ".join(f"{score:.3f}" for score in scores.values()) + " |\n"
    yield "\n"


def _describe_data(data: Any) -> str | None:
    return f"{data['name']}, {plural(data['rows'], 'row')}" if isinstance(data, Mapping) else None


def _describe_points(bundle: Bundle) -> Iterator[str]:
    yield "## Operating points\n\n"
    if not bundle.points:
        yield (
            "None: the model runs to full depth until a policy is named. `elbert calibrate` chooses, measures and "
            "certifies one.\n"
        )
        return
    yield "| name | policy | accuracy | full depth | mean depth | texts | certificate |\n"
    yield "|---|---|--:|--:|--:|--:|---|\n"
    for name, point in bundle.points.items():
        title = f"{name} (default)" if name == bundle.default else name
        cells = (_escape(title), f"`{_escape(str(point.policy))}`", *_figures(point), str(point.certificate or "none"))
        yield f"| {' | '.join(cells)} |\n"
    yield "\nA certificate holds for these weights, for texts from the same distribution, on average over texts.\n"
    for name, point in bundle.points.items():
        if point.conditions is not None and point.conditions.seen:
            yield f"\n{_escape(name)} was measured {point.conditions.describe_seen()}: its figures are too good.\n"


def _figures(point: OperatingPoint) -> list[str]:
    """Return accuracy (or agreement with full depth), accuracy at full depth, mean depth and number of texts."""
    forms = {"accuracy": ".2%", "accuracy_full": ".2%", "mean_depth": ".2f", "n": ","}
    values = {name: point.measured.get(name) for name in forms}
    cells = [format(v, forms[name]) if isinstance(v, int | float) else "" for name, v in values.items()]
    agreement = point.measured.get("agreement")
    return [f"{agreement:.2%} agreement", *cells[1:]] if isinstance(agreement, float) and not cells[0] else cells


def _read_card(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")[:MAX_CARD]
    except (OSError, ValueError):
        return ""


def _escape(text: str) -> str:
    """Return a text for one cell of a Markdown table."""
    return re.sub(r"([|`<>\\])", r"\\\1", " ".join(text.split()))


def name_model(model: str, folder: Path) -> str:
    """Return the name of a model for people: its hub id, the name of its folder, or that of the bundled model."""
    if folder == bundled_model():
        return "the model that elbert bundles"
    return model if HUB_ID.fullmatch(model) and not Path(model).exists() else folder.absolute().name
