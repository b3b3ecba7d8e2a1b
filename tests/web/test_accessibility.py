"""Every page by axe-core, light and dark: no serious finding; and wide tables say that they scroll."""

import pytest
from comparison_data import comparison
from explorer_server import run_explorer

from browser import check_accessibility, wait_until
from elbert.exits.encoding import policy_table
from elbert.web import render_page

TEXT = "The plot is thin, but the acting is so warm that I left smiling."


@pytest.fixture
def written(tmp_path, opened):
    def write(html, **options):
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        return opened(file.as_uri(), **options)

    return write


def test_explorer_and_routes(opened, axe, classifier, evaluation):
    with run_explorer(classifier, evaluation) as address:
        page = opened(address)
        wait_until(page, "document.querySelectorAll('#curve .legend button').length > 5")
        page.fill("#text", TEXT)
        page.press("#text", "Enter")
        page.wait_for_selector("#verdict:not([hidden])")
        page.fill("#compare-spec", "depth(2)")
        page.wait_for_selector("#compare-result table")
        page.evaluate("document.getElementById('key').hidden = false")
        check_accessibility(page, axe)
        page.evaluate("() => { window.fetch = () => new Promise(() => {}); }")
        page.fill("#text", "another text")  # whose answer never comes
        assert page.is_visible("#waiting")
        check_accessibility(page, axe)
        page.goto(f"{address}docs")
        check_accessibility(page, axe)


def test_report(written, axe):
    page = written(render_page("report/report.html", comparison(), policy_table()))
    check_accessibility(page, axe)
    assert page.locator(".overflows").count() == 0
    page.set_viewport_size({"width": 360, "height": 800})
    wait_until(page, "document.querySelector('#speed.overflows') !== null")
    shown = page.evaluate("getComputedStyle(document.getElementById('speed'), '::after').content")
    assert "Scroll sideways" in shown
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("answers", ["class", "tags"])
def test_page_of_an_export(written, axe, answers):
    about = {"answers": answers, "dials": [], "traced": True, "labels": ["negative", "positive"], "depths": 12}
    page = written(render_page("offline/offline.html", about | {"policy": "full"}, policy_table()))
    page.evaluate("for (const part of document.querySelectorAll('main [hidden]')) part.hidden = false")
    page.fill("#text", TEXT)
    check_accessibility(page, axe)


def test_explanations(written, axe, classifier, evaluation):
    from elbert.explain import explain, survey
    from elbert.explain.page import render_explanation

    check_accessibility(written(render_explanation(explain(classifier, TEXT, rounds=0, label=1))), axe)
    texts = list(evaluation.texts)[:30]
    check_accessibility(written(render_explanation(survey(classifier, texts, [0, 1] * 15, source="data.csv"))), axe)
