"""The explorer, and pages of explanations, for tags of words and for values."""

import pytest
from explorer_server import run_models

from browser import check_accessibility, wait_until
from elbert import Classifier
from elbert.bundle import Certificate, Conditions, OperatingPoint, files_hash
from elbert.bundle.operating_points import write_points
from elbert.exits import POLICIES, policy
from taggers import write_tagger
from tiny import write_bundle

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
    assert "Change, in standard deviations of the labels" in page.text_content("#depths svg")
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
