"""Long documents: cut at the model's length, or read in windows, with each combination, with and without the stop.

    python experiments/long_documents.py [--data-dir ../shared/data] [--minutes 8] [--clock 60]

Runs the bundled model with its default operating point on 2,000 random test reviews of IMDB, in parts of 200. A part
that is in results/tasks/long_documents.csv is not run again. Time is processor time of one thread for the first part,
which a busy machine changes less than the clock. ``--clock N`` instead measures time for N of the reviews that are
longer than the model: every way once in each round, so that other load meets all ways alike; ratios are of one round,
and their median counts. Writes results/tasks/long_documents.md from the csv files.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from pathlib import Path

import pyarrow.parquet as pq

from elbert import Classifier, Prediction
from elbert.inference import Document, build_documents, build_predictions
from lab.command import build_parser, print_line, run_command
from lab.tables import table

HERE = Path(__file__).parent / "results" / "tasks"
CSV, PAGE, CLOCK = HERE / "long_documents.csv", HERE / "long_documents.md", HERE / "long_documents_clock.csv"
WAYS = (
    ("cut", "cut"),
    *((f"{name}, all windows", f"windows({name}, full)") for name in ("mean", "maximum", "vote")),
    *((f"{name}, until settled", f"windows({name})") for name in ("mean", "maximum", "vote")),
    *((f"{name}, until patience(2)", f"windows({name}, patience(2))") for name in ("mean", "vote")),
)
CLOCK_FIELDS = ("round", "texts", "way", "clock", "processor")
CLOCKED = ("cut", "mean, all windows", "mean, until settled")
TEXTS, PART, ROUNDS = 2000, 200, 15
FIELDS = ("way", "part", "texts", "long_texts", "right", "long_right", "layer_tokens", "windows", "read", "seconds")


def main(argv: list[str] | None) -> None:
    """Run the parts that are missing, and write the page."""
    reader = build_parser(__doc__)
    reader.add_argument("--parts", type=int, default=TEXTS // PART, metavar="N", help="parts that are to be there")
    reader.add_argument("--clock", type=int, metavar="N", help="measure the clock, for N long reviews")
    reader.add_argument("--minutes", type=float, metavar="M", help="begin no part later")
    arguments = reader.parse_args(argv)
    begin, found = time.monotonic(), read_rows()
    texts, labels = read_sample(arguments.data_dir)
    classifier = Classifier.load(threads=1, dtype="float32")
    classifier.predict(texts[:20])
    if arguments.clock is not None:
        measure_clock(classifier, texts, arguments.clock)
        PAGE.write_text(write_page(found), encoding="utf-8")
        return

    def is_late() -> bool:
        return arguments.minutes is not None and time.monotonic() - begin > 60 * arguments.minutes

    for part in range(arguments.parts):
        if is_late() or str(part) in {row["part"] for row in found}:
            continue
        chosen = slice(part * PART, (part + 1) * PART)
        found += [{"part": str(part)} | row for row in run_part(classifier, texts[chosen], labels[chosen])]
        write_rows(found)
        print_line(f"part {part}: {time.monotonic() - begin:.0f} s")
    for row in found:
        if row["part"] == "0" and not row["seconds"] and not is_late():
            start = time.process_time()
            classifier.predict(texts[:PART], long=dict(WAYS)[row["way"]])
            row["seconds"] = f"{time.process_time() - start:.1f}"
            write_rows(found)
            print_line(f"{row['way']}: {row['seconds']} s")
    PAGE.write_text(write_page(found), encoding="utf-8")


def read_sample(data: Path) -> tuple[list[str], list[int]]:
    """Return the texts and labels of a random sample, the same one each time."""
    rows = pq.read_table(data / "imdb" / "test.parquet")
    part = rows.take(random.Random(0).sample(range(rows.num_rows), TEXTS))
    return part["text"].to_pylist(), part["label"].to_pylist()


def run_part(classifier: Classifier, texts: list[str], labels: list[int]) -> list[dict[str, str]]:
    """Read a part of the texts in every way: each window is computed once, because rows do not depend on others."""
    config, policy = classifier.bundle.config, classifier.policy
    rows = [windows for windows in classifier.tokeniser.encode_windows(texts) if isinstance(windows, list)]
    places = [(text, window) for text, windows in enumerate(rows) for window in range(len(windows))]
    answers = {
        places[identity]: prediction
        for exits in classifier.exits([row for windows in rows for row in windows], policy)
        for identity, prediction in build_predictions(exits, config)
    }
    results = list[dict[str, str]]()
    for name, long in WAYS:
        options = classifier.resolve_long(long)
        if options is None:
            predictions = [answers[text, 0] for text in range(len(texts))]
        else:
            documents = build_documents(texts, classifier.tokeniser, config, options, policy)
            predictions = [read_document(documents[text], text, answers) for text in range(len(texts))]
        depths = [prediction.window_depths or (prediction.depth,) for prediction in predictions]
        is_right = [p.label == classifier.labels[label] for p, label in zip(predictions, labels, strict=True)]
        values = {
            "texts": len(texts),
            "long_texts": sum(len(windows) > 1 for windows in rows),
            "right": sum(is_right),
            "long_right": sum(right for right, windows in zip(is_right, rows, strict=True) if len(windows) > 1),
            "layer_tokens": sum(
                depth * len(row)
                for text, windows in zip(depths, rows, strict=True)
                for depth, row in zip(text, windows, strict=False)
            ),
            "windows": len(texts) if options is None else len(places),
            "read": sum(map(len, depths)),
        }
        results.append({"way": name, **{key: str(value) for key, value in values.items()}, "seconds": ""})
    return results


def measure_clock(classifier: Classifier, texts: list[str], count: int) -> None:
    """Write the time of every way in every round, for some long texts; rounds that are there are not made again."""
    windows = classifier.tokeniser.encode_windows(texts)
    some = [text for text, rows in zip(texts, windows, strict=True) if isinstance(rows, list) and len(rows) > 1][:count]
    found = [row for row in read_rounds() if row["texts"] == str(len(some))]
    with CLOCK.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CLOCK_FIELDS)
        writer.writerows(row.values() for row in found)
        for number in range(len(found) // len(CLOCKED), ROUNDS):
            rows = list[tuple[object, ...]]()
            for name in CLOCKED:
                start, used = time.perf_counter(), time.process_time()
                classifier.predict(some, long=dict(WAYS)[name])
                taken = time.perf_counter() - start, time.process_time() - used
                rows.append((number, len(some), name, *(f"{seconds:.2f}" for seconds in taken)))
            writer.writerows(rows)
            file.flush()
            print_line(f"round {number}: {rows}")


def read_rounds() -> list[dict[str, str]]:
    """Return the rounds of the clock that have been measured whole."""
    if not CLOCK.is_file():
        return []
    with CLOCK.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    return found[: len(found) - len(found) % len(CLOCKED)]


def describe_clock() -> str:
    """Return the table of the clock; nothing where it was not measured."""
    if not (found := read_rounds()):
        return ""

    def find_ratios(name: str, base: str, column: str) -> list[float]:
        taken, bases = ([float(row[column]) for row in found if row["way"] == way] for way in (name, base))
        return [one / other for one, other in zip(taken, bases, strict=True)]

    cells = [
        [
            name,
            *(f"{statistics.median(find_ratios(name, CLOCKED[0], column)):.2f}" for column in CLOCK_FIELDS[3:]),
            f"{statistics.median(find_ratios(name, CLOCKED[1], CLOCK_FIELDS[4])):.2f}",
        ]
        for name in CLOCKED
    ]
    header = ["long texts are", "clock, cut = 1", "processor, cut = 1", "processor, all windows = 1"]
    return CLOCK_WORDS.format(found[0]["texts"], len(found) // len(CLOCKED)) + table(header, cells) + "\n"


def read_document(document: Document, text: int, answers: dict[tuple[int, int], Prediction]) -> Prediction:
    """Return the prediction of a document from those of its windows."""
    while True:
        for window in document.take_windows():
            if (complete := document.add(window, answers[text, window])) is not None:
                return complete


def read_rows() -> list[dict[str, str]]:
    """Return what has been measured."""
    if not CSV.is_file():
        return []
    with CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(rows: list[dict[str, str]]) -> None:
    """Write what has been measured."""
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_page(rows: list[dict[str, str]]) -> str:
    """Return the page: a table, over the parts that all ways have."""
    names = [name for name, _ in WAYS if any(row["way"] == name for row in rows)]
    parts = set.intersection(*({row["part"] for row in rows if row["way"] == name} for name in names))
    sums = {
        name: {
            key: sum(float(row[key] or 0) for row in rows if row["way"] == name and row["part"] in parts)
            for key in FIELDS[2:]
        }
        for name in names
    }
    base = sums[names[0]]
    cells = [
        [
            name,
            f"{100 * total['right'] / total['texts']:.1f}",
            f"{100 * total['long_right'] / max(total['long_texts'], 1):.1f}",
            f"{total['read']:,.0f} of {total['windows']:,.0f}",
            f"{total['layer_tokens'] / base['layer_tokens']:.2f}",
            f"{total['seconds'] / base['seconds']:.2f}" if total["seconds"] and base["seconds"] else "–",
        ]
        for name, total in sums.items()
    ]
    header = ["long texts are", "accuracy", "of long texts", "windows read", "layer-tokens", "time"]
    return WORDS.format(base["texts"], base["long_texts"]) + table(header, cells) + "\n" + describe_clock()


WORDS = """# Long documents

{:,.0f} random test reviews of IMDB, of which {:,.0f} are longer than the 512 tokens of the bundled model, at its
default operating point. Layer-tokens (tokens times depths) and processor time are relative to cut texts; time is of one
thread, for 200 of the reviews (–: not measured). The bundled model was trained on short sentences, so a row of 512
tokens is no text that it knows well. Long texts are few, so a difference of some points in their accuracy can be
chance. Labels of the reviews were used in no choice.

Made by `python experiments/long_documents.py`.

"""

CLOCK_WORDS = """
## Time of long reviews

The clock and the processor's time for {} reviews that are longer than the model, one thread: the median of {} rounds,
in each of which every way runs once. The machine had much other load, which the clock shows more than the processor's
time.

"""


if __name__ == "__main__":
    run_command(main)
