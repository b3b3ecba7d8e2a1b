"""The explorer, and pages of explanations, for tags of words and for values."""

import csv
import io
import json
import math
import random
import re

import numpy as np
import pytest
from explorer_server import run_explorer, run_models

from browser import check_accessibility, wait_until
from elbert import Classifier
from elbert.bundle import Certificate, Conditions, OperatingPoint, files_hash
from elbert.bundle.operating_points import write_points
from elbert.cli.commands import explore
from elbert.cli.main import parser
from elbert.evaluation import collect
from elbert.evaluation.report import score_policy
from elbert.evaluation.sweep import Trials
from elbert.exits import POLICIES, policy
from taggers import TAGS, write_tagger
from tiny import texts, write_bundle

TEXT = "the film good. Love journey! warm a unknown movie plot, i"
# The contrast of every text in the table of tags with the page.
CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('table.tags .word, table.tags .tag-name, table.tags th')].map((one) => {
    const own = light(getComputedStyle(one).color);
    return (Math.max(own, back) + 0.05) / (Math.min(own, back) + 0.05);
  });
}"""


def write_windows_point(folder):
    """A model with a point that is certified for texts in windows, and one for cut texts."""
    write_bundle(folder)
    weights = files_hash([folder / "model.safetensors"])
    certificate = Certificate("inconsistency", 0.1, 0.05, 100, 0, 0.01)
    points = {}
    for name, long in (("pages", "windows(mean)"), ("cut", "cut")):
        conditions = Conditions(weights, ("float32",), 64, "0" * 64, "2026-01-01", long)
        chosen = policy("entropy(0.4)" if name == "pages" else "entropy(0.3)")
        points[name] = OperatingPoint(chosen, {"layer_speedup": 2.0}, certificate, conditions)
    write_points(folder / "exits.json", points, None)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    scores = {"labels": ("value",), "problem_type": "regression", "num_labels": 1, "label_deviation": 1.5}
    folders = {"tags": write_tagger(root / "tags"), "scores": write_bundle(root / "scores", **scores)}
    folders["pages"] = write_windows_point(root / "pages")
    return {name: Classifier.load(folder, dtype="float32", threads=1) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def address(models):
    with run_models(models) as at:
        yield at


def open_model(opened, address, name, **options):
    page = opened(f"{address}?model={name}", **options)
    page.wait_for_selector("#points button")
    page.fill("#text", TEXT)
    page.press("#text", "Enter")
    page.wait_for_selector("#verdict:not([hidden])")
    return page


def read_rows(page):
    """The words and tags of each depth, and the depth after which the exit is drawn."""
    rows = page.locator("table.tags tr")
    found, exit_after = [], None
    for kind, cells in rows.evaluate_all(
        "rows => rows.map((row) => [row.className, [...row.querySelectorAll('td')].map((cell) => "
        "[cell.querySelector('.word')?.textContent, cell.querySelector('.tag-name')?.textContent, cell.className])])"
    ):
        if kind == "cut":
            exit_after = len(found)
        else:
            found.append(cells)
    return found, exit_after


def test_tags_depth_by_depth(opened, address, models):
    page = open_model(opened, address, "tags")
    classifier = models["tags"]
    [full] = classifier.predict([TEXT], "full", trace=True)
    kinds = [kind for kind in POLICIES.values() if kind.fits("probabilities") and kind.examples]
    specs = ["entropy(0.7)", "patience(1)", "window(entropy=0.9, size=2)", "gap(0.1) | confidence(0.5)"]
    for spec in [*specs, *(str(kind(*kind.examples[0])) for kind in kinds)]:
        page.fill("#spec", spec)
        [answer] = classifier.predict([TEXT], spec)
        assert f"at depth {answer.depth} of 6" in page.inner_text("#where"), spec
        rows, exit_after = read_rows(page)
        assert exit_after == answer.depth
    for step, row in zip(full.trace, rows, strict=True):
        assert [cell[:2] for cell in row] == [[word.word, word.tag] for word in step.words]
        assert [i for i, cell in enumerate(row) if "least" in cell[2]] == [step.least_settled]
    colors = {}
    for _, tag, kind in (cell for row in rows for cell in row):
        colors.setdefault(tag.split("-")[-1], set()).add(kind.split()[-1])
    assert all(len(found) == 1 for found in colors.values())
    assert len({next(iter(found)) for found in colors.values()}) == len(colors)
    page.fill("#spec", "tempered(entropy(0.3), 2)")
    assert "temperatures, which do not fit" in page.inner_text("#spec-error")
    assert page.is_hidden("#pair-toggle")
    page.fill("#spec", "depth(3)")
    assert "least settled" in page.inner_text(".readout")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert min(page.evaluate(CONTRASTS)) >= 4.5
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until(page, "document.querySelector('.scroll.overflows table.tags') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_values_depth_by_depth(opened, address, models):
    page = open_model(opened, address, "scores")
    classifier = models["scores"]
    assert "address" in page.inner_text("#examples") and "charming" not in page.inner_text("#examples")
    for spec in ("settled(1, 0.13)", "settled(2, 0.1)", "stable(3, 0.2)", "settled(1, 0.02) | depth(4)", "full"):
        page.fill("#spec", spec)
        [answer] = classifier.predict([TEXT], spec)
        assert f"at depth {answer.depth} of 6" in page.inner_text("#where"), spec
        assert page.inner_text("#answer") == f"{answer.score:.3f}"
        assert page.inner_text("#answer-score") == ""
    assert page.locator("#kind option").all_inner_texts() == [
        *(name for name, kind in POLICIES.items() if kind.fits("values")),
        "several, as below",
    ]
    page.fill("#spec", "settled(2, 0.1)")
    assert "Change, in standard deviations: exit < " in page.text_content("#depths svg")
    for part in ("#verdict", "#depths", "#rivals"):
        assert "%" not in page.text_content(part)
    page.fill("#spec", "entropy(0.3)")
    assert "no policy is called 'entropy'" in page.inner_text("#spec-error")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", ["tags", "scores"])
def test_pages_have_no_serious_finding(opened, address, models, axe, tmp_path, name):
    from elbert.explain import explain
    from elbert.explain.page import write_page

    check_accessibility(open_model(opened, address, name), axe)
    explained = explain(models[name], TEXT, rounds=0)
    write_page(explained, tmp_path / "page.html")
    page = opened((tmp_path / "page.html").as_uri(), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert f"Depth {explained.depth} of 6" in page.inner_text("#now")
    assert page.locator("#chart svg").count() == 1
    page.locator("#depth").press("Home")
    assert "Depth 1 of 6" in page.inner_text("#now")
    check_accessibility(page, axe)
    if name == "tags":
        rows, exit_after = read_rows(page)
        assert exit_after == explained.depth
        assert [[cell[:2] for cell in row] for row in rows] == [
            [[word.word, word.tag] for word in step.words] for step in explained.steps
        ]
    else:
        assert "%" not in page.text_content("#numbers") + page.text_content("#chart")


def test_a_point_for_windows_promises_nothing_for_the_texts_of_the_page(opened, address):
    page = open_model(opened, address, "pages")
    assert page.inner_text("#points button >> nth=0").startswith("pages not for this page")
    assert page.inner_text("#points button >> nth=1") == "cut 2.0× certified"
    page.click("#points button >> nth=0")
    about = page.inner_text("#point-about")
    assert "with long texts read as windows(mean) (here cut)" in about
    assert "confidence" not in about
    page.click("#points button >> nth=1")
    assert "with 95 % confidence" in page.inner_text("#point-about")


def collect_labelled(classifier, file, rows):
    """What ``elbert explore --data`` collects of a jsonl file."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return explore.collect_evaluation(parser().parse_args(["explore", "--data", str(file)]), classifier)


def compare_with_python(page, evaluation, specs, format_score):
    """The tiles and the histogram are what ``elbert evaluate`` measures."""
    outputs = evaluation.outputs
    for spec in specs:
        page.fill("#spec", spec)
        expected = score_policy(outputs, spec, policy(spec))
        cells = page.locator("#tiles strong").all_inner_texts()
        assert cells[:2] == [format_score(expected.metrics[outputs.task.score_name]), f"{expected.mean_depth:.2f}"]
        rows = page.locator("#histogram tbody tr").all_text_contents()
        assert len(rows) == outputs.depths
    page.evaluate("document.querySelector('#histogram details').open = true")
    rows = page.locator("#histogram tbody tr").all_inner_texts()
    exits = outputs.replay().exits(policy(specs[-1]))
    assert [sum(map(int, row.split("\t")[1:])) for row in rows] == [(exits == d).sum() for d in range(1, 7)]


def find_worst(page):
    """The texts of the list of the worst answers."""
    page.click("#hard-kinds button[data-kind=wrong]")
    return page.locator("#hard .quote").all_inner_texts()


def save_outputs(page, change, file):
    """The model's outputs, changed: those of another model."""
    page.evaluate("document.querySelector('#compare details').open = true")
    with page.expect_download() as saving:
        page.click("text=Save this model's outputs")
    saved = json.loads(saving.value.path().read_text())
    change(saved)
    file.write_text(json.dumps(saved))
    page.set_input_files("#compare-file", file)


def test_labelled_texts_of_tags(opened, models, tmp_path):
    rng, classifier = random.Random(1), models["tags"]
    some = [f"{text} {i}" for i, text in enumerate(texts(30, seed=4, longest=9))]
    rows = []
    for text, tags in zip(some, collect(classifier, some, None).probabilities[:, 2], strict=True):
        named = [TAGS[tag] if rng.random() < 0.6 else rng.choice(TAGS) for tag in tags[: len(text.split())]]
        rows.append({"tokens": text.split(), "tags": named})
    evaluation = collect_labelled(classifier, tmp_path / "tags.jsonl", rows)
    outputs = evaluation.outputs
    with run_explorer(classifier, evaluation) as address:
        page = opened(address)
        page.wait_for_selector("#hard li")
        specs = ["full", "entropy(0.8)", "patience(1)", "depth(3)"]
        compare_with_python(page, evaluation, specs, lambda score: f"{100 * score:.1f} %")
        assert page.inner_text("#curve-heading") == "Span F1 against depth"
        counts = (outputs.probabilities[:, -1] != outputs.labels).sum(1)
        order = sorted(np.flatnonzero(counts), key=lambda i: -counts[i])
        worst = find_worst(page)
        assert [counts[evaluation.texts.index(text)] for text in worst] == [counts[i] for i in order[:12]]
        i = evaluation.texts.index(worst[0])
        assert f"{counts[i]} of {len(some[i].split())} words wrong" in page.inner_text("#hard li >> nth=0")
        page.select_option("#hard-label", label="I-place")
        page.click("#hard-kinds button[data-kind=all]")
        with page.expect_download() as saving:
            page.click("#hard-save")
        saved = list(csv.DictReader(io.StringIO(saving.value.path().read_bytes().decode(), newline="")))
        assert [row["text"] for row in saved] == [" ".join(r["tokens"]) for r in rows if "I-place" in r["tags"]]
        page.click("#hard li button >> nth=0")  # its trace is requested
        page.wait_for_selector("#verdict:not([hidden])")
        exits = outputs.replay().exits(policy("depth(3)"))
        assert f"at depth {exits[0]} of 6" in page.inner_text("#where")
        page.fill("#compare-spec", "full")
        wait_until(page, "document.querySelector('#compare-result tbody') !== null")
        differ = outputs.task.differ(outputs.probabilities[:, 2], outputs.probabilities[:, -1]).sum()
        assert f"They answer {differ} texts of 30 differently. Span F1: " in page.inner_text("#compare-result")
        assert_chance_is_pythons(page, outputs, "depth(3)", "full")
        page.fill("#spec", "full")
        save_outputs(page, lambda saved: saved["tags"][3][5].reverse(), tmp_path / "other.json")
        wait_until(page, "document.getElementById('compare-result').textContent.includes('other.json')")
        save_outputs(page, lambda saved: saved["tags"][3][5].pop(), tmp_path / "short.json")
        wait_until(page, "document.getElementById('compare-error').textContent.includes('lacks the answers')")


def assert_chance_is_pythons(page, outputs, ours, theirs):
    """The p-value of the page is that of Python's test, but for the draws of both."""
    wait_until(page, "document.getElementById('compare-result').textContent.includes('a randomization test gives p')")
    shown = re.search(r"gives p [=<] ([0-9.]+\d)", page.inner_text("#compare-result"))[1]
    _, p = Trials(outputs).compare(policy(ours), policy(theirs))
    assert float(shown) == pytest.approx(p, abs=5 * math.sqrt(2 * 0.25 / 1000) * max(0.2, 2 * math.sqrt(p * (1 - p))))


def test_labelled_texts_of_values(opened, models, tmp_path):
    rng, classifier = random.Random(2), models["scores"]
    some = [f"{text} {i}" for i, text in enumerate(texts(30, seed=5, longest=9))]
    values = [answer.score for answer in classifier.predict(some)]
    rows = [{"text": text, "label": value + rng.gauss(0, 0.2)} for text, value in zip(some, values, strict=True)]
    evaluation = collect_labelled(classifier, tmp_path / "values.jsonl", rows)
    outputs = evaluation.outputs
    with run_explorer(classifier, evaluation) as address:
        page = opened(address)
        page.wait_for_selector("#hard li")
        specs = ["full", "settled(1, 0.13)", "stable(3, 0.2)", "settled(1, 0.02) | depth(4)"]
        compare_with_python(page, evaluation, specs, lambda score: f"{score:.3f}")
        assert page.is_hidden("#hard-label")
        assert page.locator("#hard-kinds button[data-kind=overthought]").count() == 0
        errors = np.abs(outputs.probabilities[:, -1, 0] - outputs.labels)
        assert find_worst(page) == [some[i] for i in np.argsort(-errors)[:12]]
        worst = int(errors.argmax())
        assert f"{errors[worst]:.3f} from the label {outputs.labels[worst]:.3f}" in page.inner_text("#hard li >> nth=0")
        before = len(opened.requests)
        page.click("#hard li button >> nth=0")
        page.wait_for_selector("#verdict:not([hidden])")
        assert f"Its label is {outputs.labels[worst]:.3f}." in page.inner_text("#beside")
        assert f"at depth {outputs.replay().exits(policy(specs[-1]))[worst]} of 6" in page.inner_text("#where")
        assert len(opened.requests) == before
        page.fill("#compare-spec", "depth(1)")
        wait_until(page, "document.querySelector('#compare-result tbody') !== null")
        assert_chance_is_pythons(page, outputs, specs[-1], "depth(1)")
        for part in ("#tiles", "#curve", "#compare-result", "#hard"):
            assert "%" not in page.text_content(part)
        page.fill("#spec", "full")
        page.fill("#compare-spec", "full")

        def change(saved):
            saved["probabilities"][3][5][0] += 1

        save_outputs(page, change, tmp_path / "other.json")
        wait_until(page, "document.getElementById('compare-result').textContent.includes('other.json')")
        assert "They answer 1 text of 30 differently" in page.inner_text("#compare-result")
