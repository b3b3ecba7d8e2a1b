"""The pages of results from the records and the hand-written texts; no number comes from anywhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elbert.bundle import EXITS_FILE, bundled_model
from lab import clock, exit_study, exit_tables, figures, goals, training_results
from lab.linear import LINEAR, best_simple, published
from lab.places import Places
from lab.selection import OURS
from lab.sets import SETS
from lab.tables import percent, table

Record = dict[str, Any]
NOTE = "Written by `python experiments/results.py` from the records and the texts in [words]({}words/index.md)."
NOT_RUN = "*Not run yet*: `python experiments/{}`."
SAW = "\n\nThe base was trained on texts of this set with their labels, so nothing here is of unseen texts."


def pages(places: Places, words: Path) -> dict[str, str]:
    """The text of every page by name: ``index``, and one page for each study. Figures are drawn beside the pages."""
    exits, training = exit_study.load_study(places), training_results.load_study(places)
    linear = places.records.read(LINEAR) or {}
    tables = {
        "data": ("Data", data_part(linear)),
        "training": ("Training study", training_part(training)),
        "exits": ("Exit study", exits_part(places, exits, linear)),
        "wall_clock": ("Wall-clock", clock_part(places, exits)),
    }
    goals_section = "## Goals\n\n" + goals_part(places, exits, linear)
    index = ["# Results", NOTE.format(""), read_words(words, "index"), goals_section, read_words(words, "published")]
    found = {"index": "\n\n".join(index) + "\n"}
    for name, (title, text) in tables.items():
        found[name] = "\n\n".join([f"# {title}", NOTE.format("../"), read_words(words, name), text]) + "\n"
    return found


def read_words(words: Path, name: str) -> str:
    """The hand-written part of a page."""
    return (words / f"{name}.md").read_text(encoding="utf-8").strip()


def goals_part(places: Places, exits: Record | None, linear: Mapping[str, Record]) -> str:
    """Every goal, set by set, and the bundled model's."""
    found, theirs = {}, published()
    for name, pooled in (exits or {"sets": {}})["sets"].items():
        timed = places.records.read(clock.clock_name(exits["base"], name)) if exits else None
        found[name] = goals.check_goals(pooled, timed, best_simple(linear.get(name), theirs.get(name)))
    file = bundled_model() / EXITS_FILE
    own = goals.bundled_goal(json.loads(file.read_text(encoding="utf-8")) if file.exists() else None)
    note = "" if found else NOT_RUN.format("exit_study.py") + "\n\n"
    return note + exit_tables.goals_table({**found, "bundled model": [own]})


def data_part(linear: Mapping[str, Record]) -> str:
    """Sets, caps and the linear baselines."""
    if not linear:
        return NOT_RUN.format("data.py")
    theirs = published()
    rows = []
    for name, data in SETS.items():
        if name in linear:
            ours, all_rows = linear[name], theirs.get(name)
            published_cell = (
                "–" if all_rows is None else f"{percent(float(all_rows['accuracy']))} ({all_rows['scored_on']})"
            )
            sizes = [f"{ours['train']:,}", f"{data.stopping:,}", f"{data.calibration:,}", f"{ours['test']:,}"]
            trained = f"{data.epochs:g} at {data.rate:g}"
            rows.append(
                [name, *sizes, data.test, str(data.max_length), trained, percent(ours["accuracy"]), published_cell]
            )
    header = ["set", "train", "stopping", "calibration", "test", "which", "tokens at most", "epochs"]
    about = (
        "Stopping and calibration parts are cut from training data (SST-2's by whole sentences); no text is in two "
        "parts. Sizes are capped for two processor cores: SST-2, AG News and IMDB train on a random part of their "
        "rows, and IMDB is tested on 2,500 of its 25,000. The linear SVM (TF-IDF of words and pairs) is ours on the "
        "same rows, and the data's own README's on all rows and its whole test part. CLINC150 is without its "
        "out-of-scope texts."
    )
    return about + "\n\n" + table([*header, "linear SVM", "SVM, all rows"], rows)


def training_part(study: Record | None) -> str:
    """The training study's tables."""
    if study is None or not study["sets"]:
        return NOT_RUN.format("training_study.py")
    reference = study["reference"]
    parts = [
        f"Base `{study['base']}`; {study['finished']} of {study['planned']} runs. Accuracy on the test parts, means "
        "over seeds ± standard deviation; area is the mean over depths; pairs are of one set and seed; time is a "
        f"step's on the processor, over plain ALBERT's. 1.5x to 10x: accuracy with exits over `{reference}`'s, "
        f"`{OURS}` at about that cost, its dials chosen on each run's own calibration part.",
        "## All sets",
        training_results.over_table(study),
        "## What the default is chosen by",
        f"No test text: `{OURS}` on halves of each run's calibration part, dials of one half tried on the other (four "
        f"halvings, both ways); accuracy over `{reference}`'s in points, its mean over the six speed-ups first.",
        training_results.choice_table(study),
    ]
    for name, each in study["sets"].items():
        shown = training_results.set_table(each, reference, study["depths"])
        parts += [f"## {name}", shown + (SAW if each["saw_this_set"] else "")]
    return "\n\n".join(parts)


def exits_part(places: Places, study: Record | None, linear: Mapping[str, Record]) -> str:
    """The exit study's tables and figures."""
    if study is None or not study["sets"]:
        return NOT_RUN.format("exit_study.py")
    sets = study["sets"]
    parts = [f"Base `{study['base']}`, trained `{study['variant']}`. {exit_tables.HOW}"]
    for name, pooled in sets.items():
        seeds = ", ".join(map(str, pooled["seeds"]))
        about = f"{pooled['n']:,} test texts; dials chosen on {pooled['chosen_on']:,} others; seeds {seeds}."
        drawn = figures.draw(pooled, name, places.results / "figures", linear.get(name, {}).get("accuracy"))
        shown = "\n".join(f"![{file}](figures/{file})" for file in drawn)
        parts += [
            f"## {name}",
            about + (SAW if pooled["saw_this_set"] else ""),
            exit_tables.families_table(pooled, exit_study.linear_cell(name, linear)),
            f"`{OURS}` against each: points ahead (p; seeds won/drawn/lost).",
            exit_tables.tests_table(pooled),
            exit_tables.depths_table(pooled),
            shown,
        ]
    return "\n\n".join([*parts, *closing(sets)])


def closing(sets: Mapping[str, Record]) -> list[str]:
    """Oracles and promises of all sets."""
    return [
        "## Distance to the oracle",
        f"`{OURS}` is the cheapest that lost nothing on the calibration part; efficiency is the share of the depths "
        "that an oracle of full depth's accuracy would save.",
        exit_tables.oracle_table(sets),
        "## Certified points: promised and held-out risk",
        "Error 0.05 each; a promise is broken where the test part's risk is above it, which it may be by chance too.",
        exit_tables.promises_table(sets),
    ]


def clock_part(places: Places, exits: Record | None) -> str:
    """The engine's times."""
    parts = []
    for name in (exits or {"sets": {}})["sets"]:
        found = places.records.read(clock.clock_name(exits["base"], name)) if exits else None
        if found is not None:
            settings, full = found["settings"], found["batch"]["full"]
            about = f"{settings['dtype']}, full depth {full['ms_per_text']:.2f} ms a text in batches"
            about += f", {found['single']['full']['ms_per_text']:.2f} ms one by one; {settings['rounds']} rounds"
            about += f"; {found['conditions']['machine']['processor']}"
            parts += [f"## {name}", about, table(clock.HEADER, clock.table_rows(found))]
    return "\n\n".join(parts) if parts else NOT_RUN.format("wall_clock.py")
