"""Pages: one file each, which no text can break out of, and which a browser runs without a complaint."""

import json
import re
from html.parser import HTMLParser

import pytest

from elbert.classifier import Classifier
from elbert.explain import explain, survey
from elbert.explain.page import render_explanation, write_page
from tiny import texts, write_bundle

NASTY = "</script><script>document.title = 'owned'</script> <img src=x onerror=\"document.title = 'owned'\"> film"
TEXTS = [NASTY, *(f"{text} film" for text in texts(29, seed=2))]


class Parts(HTMLParser):
    """Tags and their attributes, and the contents of the data element."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.data, self.inside = [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script" and dict(attrs).get("id") == "data"

    def handle_data(self, data):
        self.data += data if self.inside else ""


@pytest.fixture(scope="module")
def one(classifiers):
    return explain(classifiers["two"], NASTY, "window(entropy=0.3, size=2)", label=1, rounds=1)


@pytest.fixture(scope="module")
def many(classifiers):
    return survey(classifiers["many"], TEXTS, [i % 12 for i in range(30)], "entropy(0.7)", source="<b>data</b>.csv")


@pytest.fixture(scope="module")
def two(classifiers):
    return survey(classifiers["two"], TEXTS, [i % 2 for i in range(30)], "patience(1)", source="data.csv", total=99)


@pytest.mark.parametrize("name", ["one", "many", "two"])
def test_a_page_is_one_file_that_asks_for_nothing(request, name):
    subject = request.getfixturevalue(name)
    parts = Parts(render_explanation(subject))
    assert "<script>document.title" not in render_explanation(subject)
    assert "<!-- include" not in render_explanation(subject)
    assert "<!-- data" not in render_explanation(subject)
    for tag, attributes in parts.tags:
        assert tag not in ("img", "iframe", "object", "embed")
        assert not {"src", "action", "srcset"} & set(attributes)
        assert attributes.get("href", "data:,").startswith(("data:", "#"))
    assert not re.findall(
        r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]{2,}/", render_explanation(subject)
    )
    assert any("default-src 'none'" in a.get("content", "") for _, a in parts.tags)
    values = json.loads(parts.data)
    plain = json.loads(json.dumps(subject.to_dict()))
    assert {key: values[key] for key in plain} == plain


def test_markup_is_never_made_from_text():
    from importlib.resources import files

    for name in ("explanation.js", "explanation_chart.js", "survey.js", "drawing.js"):
        script = files("elbert.web").joinpath("explanation", name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script)


@pytest.fixture
def opened(chrome, tmp_path):
    """Open a page from disk; at the end there must have been no complaint and no request but for the file."""
    complaints, pages = [], []

    def open_page(subject, **options):
        write_page(subject, tmp_path / "page.html")
        page = chrome.new_page(**options)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto(f"file://{tmp_path / 'page.html'}")
        page.wait_for_selector("svg[role=img]")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        assert page.title() != "owned"
        page.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1100])
def test_one_text_by_keyboard_and_by_pointer(opened, one, scheme, width):
    page = opened(one, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.inner_text("h1") == f"It {one.why}."
    shown = re.sub(r"\s+", "", page.inner_text("#words"))
    assert re.sub(r"\s+", "", NASTY) in shown  # the text as it was written, and nothing of it obeyed
    assert f"Depth {one.depth} of 6" in page.inner_text("#now")
    page.focus("#depth")
    page.keyboard.press("Home")
    first = page.inner_text("#now")
    assert "Depth 1 of 6" in first
    step = one.steps[0]
    assert f"{step.label} ({step.score:.3f})" in first
    shaded = page.eval_on_selector_all("#words span", "spans => spans.map((s) => s.title.split(': ').pop())")
    assert sum(map(float, shaded)) == pytest.approx(1, abs=0.02)
    page.keyboard.press("ArrowRight")
    assert "Depth 2 of 6" in page.inner_text("#now")
    chart = page.locator("#chart svg")
    chart.hover(position={"x": chart.bounding_box()["width"] - 40, "y": 60})
    assert "Depth 6 of 6" in page.inner_text("#now")
    page.click("summary")
    assert page.locator("#numbers tbody tr").count() == 6
    assert page.locator("#rivals tbody tr:not(.kind)").count() == len(one.rivals)
    page.click("#play")
    assert "Depth 1 of 6" in page.inner_text("#now")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("kind", "spec"), [("two", "entropy(0.47615)"), ("two", "gap(0.123456)"), ("number", "settled(1, 0.512345)")]
)
def test_no_text_of_the_chart_is_cut(opened, classifiers, tmp_path, kind, spec, width):
    if kind == "number":  # whose values, and so the numbers of the axis, are long
        changes = {"labels": ("value",), "problem_type": "regression", "label_deviation": 12345.6}
        classifier = Classifier.load(write_bundle(tmp_path / kind, num_labels=1, **changes))
    else:
        classifier = classifiers[kind]
    subject = explain(classifier, "a film", spec, rounds=0)
    page = opened(subject, viewport={"width": width, "height": 800})
    assert page.text_content("#chart text.threshold") == re.findall(r"[0-9.]+", spec)[-1]
    cut = page.evaluate("""() => {
      const chart = document.querySelector("#chart svg").getBoundingClientRect();
      return [...document.querySelectorAll("#chart svg text")]
        .filter((text) => {
          const box = text.getBoundingClientRect();
          return box.left < chart.left || box.right > chart.right || box.top < chart.top || box.bottom > chart.bottom;
        })
        .map((text) => text.textContent);
    }""")
    assert cut == []


def test_every_kind_of_explanation_draws(opened, classifiers):
    for kind, spec in [("many", "full"), ("multi", "window(0.1, 3, stable)"), ("shallow", None), ("mean", "gap(0.9)")]:
        subject = explain(classifiers[kind], "a film", spec, rounds=0)
        page = opened(subject)
        assert page.locator("#chart svg").count() == 1
        assert f"Depth {subject.depth} of {subject.depths}" in page.inner_text("#now")


@pytest.mark.parametrize("name", ["many", "two"])
@pytest.mark.parametrize("width", [320, 1100])
def test_a_data_set_by_keyboard(opened, request, name, width):
    subject = request.getfixturevalue(name)
    page = opened(subject, viewport={"width": width, "height": 800}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.inner_text("h1") == "How 30 texts exit"
    page.focus("#depth")
    page.keyboard.press("End")
    assert f"Depth 6 of 6: {subject.exits[5]} text" in page.inner_text("#now")
    assert page.is_visible("#confusion")
    assert page.locator("#pairs tbody tr").count() == max(1, len(subject.confusion.pairs[5]))
    assert page.locator("#matrix tbody tr").count() == (2 if name == "two" else 0)
    page.keyboard.press("Home")
    assert "All depths" in page.inner_text("#now")
    shown = sum(map(len, (subject.easiest, subject.hardest, subject.wrong, subject.overthought)))
    assert page.locator("#texts li").count() == shown
    assert page.locator("#lengths svg").count() == 1
    if name == "many":
        assert "Data <b>data</b>.csv" in page.inner_text("#about")


def test_unlabelled_data_has_no_confusion(opened, classifiers):
    page = opened(survey(classifiers["two"], TEXTS, None, "entropy(0.7)"))
    assert not page.is_visible("#confusion")
    assert page.locator("#texts details").count() == 2


def test_a_data_set_of_values_has_errors_and_no_confusion(opened, classifiers):
    page = opened(survey(classifiers["value"], TEXTS, [float(i) for i in range(30)], "settled(1, 0.5)"))
    assert not page.is_visible("#confusion")
    assert "Spearman " in page.inner_text("#summary")
    titles = page.locator("#texts summary").all_inner_texts()
    assert [title.split(":")[0] for title in titles] == ["Easiest", "Hardest", "Farthest from the label at the exit"]
    assert "label 29.000" in page.locator("#texts details").last.text_content()
