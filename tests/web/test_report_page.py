"""The report of elbert compare, opened from disk."""

import shlex

import pytest
from comparison_data import NASTY, comparison

from browser import wait_until
from elbert.exits.encoding import policy_table
from elbert.web import render_page


@pytest.fixture
def report(tmp_path, opened):
    def at(data=None, **options):
        file = tmp_path / "report.html"
        file.write_text(render_page("report/report.html", data or comparison(), policy_table()), encoding="utf-8")
        return opened(file.as_uri(), **options)

    return at


def test_everything_is_shown(report):
    shown = report()
    summary = shown.inner_text("#summary")
    assert "At full depth 87.9 % of 872 texts are right." in summary
    assert "At a layer speed-up of 2× the best policy tried on them (entropy) gives 88.0 % (+0.1 points)" in summary
    assert "stopping every text at depth 6 gives 84.2 %" in summary
    assert "better than a rival in 1 of 2 comparisons and worse in 0" in summary
    assert "optimistic" in shown.inner_text("#speed-about")
    assert "436" in shown.inner_text("#honest-about")
    rows = shown.locator("#speed tbody tr")
    assert rows.count() == 5
    assert rows.nth(0).inner_text().split() == ["window", "87.5", "87.5", "87.5", "84.0", "84.0", "–"]
    assert "Window is" in shown.inner_text("#honest")
    assert shown.locator("#honest .verdict.better").inner_text() == "better"
    assert shown.locator("#fixed tbody tr").count() == 12
    assert "80.1 %" in shown.inner_text("#fixed")
    assert "41.0 M" in shown.inner_text("#fixed")
    assert "earliest correct" in shown.inner_text("#oracles")
    assert "5.1 %" in shown.inner_text("#overthinking")
    assert shown.locator("#exits rect.bar").count() == 12
    assert shown.locator("#families tbody tr").count() == 5
    assert "a family of next year" in shown.inner_text("#curve .legend")


def test_markup_in_the_data_stays_text(report):
    shown = report()
    assert NASTY in shown.inner_text("h1")
    assert NASTY in shown.title()
    assert NASTY in shown.inner_text("#command")
    assert shown.locator("img").count() == 0
    assert "default-src 'none'" in shown.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content")


def test_the_chart_is_reached_by_keyboard_and_shown_as_a_table(report):
    shown = report()
    shown.focus("#curve svg[role=img]")
    shown.keyboard.press("ArrowRight")
    assert "window(entropy=0.5, size=2)" in shown.inner_text("#curve .tip")
    shown.keyboard.press("ArrowRight")
    assert "window(entropy=0.1, size=4)" in shown.inner_text("#curve .tip")
    assert "87.5" in shown.inner_text("#curve [aria-live]")
    shown.keyboard.press("ArrowDown")
    assert "entropy(" in shown.inner_text("#curve .tip")
    shown.keyboard.press("Escape")
    assert shown.is_hidden("#curve .tip")
    shown.click("#curve summary")
    table = shown.inner_text("#curve table")
    assert "window(entropy=0.1, size=4)" in table
    assert "depth(12)" in table
    marks = shown.text_content("#curve svg[role=img]")
    assert all(mark in marks for mark in ("1.5×", "2×", "3×", "4×", "6×", "10×"))
    oracle = shown.locator("#curve .legend button:has-text('oracles')")
    assert oracle.get_attribute("aria-pressed") == "false"
    oracle.focus()
    shown.keyboard.press("Enter")
    assert oracle.get_attribute("aria-pressed") == "true"


def test_it_ends_with_a_recommendation_and_its_command(report, monkeypatch):
    from elbert.cli.main import parser

    held_out = comparison()["honest"] | {"full": 0.88}
    cases = [
        ({"honest": held_out}, "window(entropy=0.1, size=4)", "0.5 points below full depth"),
        ({"honest": held_out | {"full": 0.95}}, None, "Keep full"),
        ({"honest": {"rows": []}}, "window(entropy=0.1, size=4)", "chosen on the same texts"),
    ]
    for changes, policy, words in cases:
        flags = {"column_flags": ["--text-column", "the review", "--delimiter", ";"]}
        shown = report(comparison() | changes | flags | {"model_path": "it's/mine"})
        assert words in shown.inner_text("#next")
        [command] = shown.locator("#next code").all_inner_texts()[-1:]
        words = shlex.split(command)
        arguments = parser().parse_args(words[1:])
        assert arguments.model == "it's/mine"
        assert words[1] == ("train" if policy is None else "calibrate")
        if policy is not None:
            assert (arguments.policies, arguments.data) == ([policy], "NEW.csv")  # no file that chose it
            assert (arguments.text_column, arguments.delimiter) == ("the review", ";")


def test_a_point_of_the_chart_gives_its_policy_and_command(report):
    shown = report(comparison() | {"model_path": None}, permissions=["clipboard-read", "clipboard-write"])
    shown.focus("#curve svg[role=img]")
    shown.keyboard.press("ArrowRight")
    shown.keyboard.press("Enter")
    assert "window(entropy=0.5, size=2): accuracy 84.00 %, mean depth 1.60." in shown.inner_text("#chosen")
    shown.click("text=Copy the policy")
    wait_until(shown, "document.querySelector('#chosen [role=status]').textContent === 'Copied.'")
    assert shown.evaluate("navigator.clipboard.readText()") == "window(entropy=0.5, size=2)"
    assert "--output my-model" in shown.inner_text("#chosen pre")


def test_dials_are_shown_on_demand(report):
    shown = report()
    spec = shown.locator("#speed .spec >> nth=0")
    assert spec.is_hidden()
    shown.click("text=Show the dials")
    assert spec.inner_text() == "window(entropy=0.1, size=4)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_width_scrolls_sideways(report, width, scheme):
    shown = report(width=width, color_scheme=scheme)
    shown.click("text=Show the dials")
    for summary in shown.locator("summary").all():
        summary.click()
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_what_may_be_missing_is_left_out(report):
    data = comparison() | {"linear_baseline": None, "notes": [], "honest": {"choose_n": 0, "report_n": 0, "rows": []}}
    shown = report(data)
    assert shown.is_hidden("#honest-section")
    assert shown.is_hidden("#notes-section")
    assert "linear" not in shown.inner_text("#fixed")
    assert "not used to choose" not in shown.inner_text("#summary")


def test_a_difference_that_rounds_to_zero_has_no_sign(report):
    test = {"rival": "entropy", "difference": -0.001, "low": -0.6, "high": 0.0, "p": 1.0, "verdict": "no difference"}
    data = comparison() | {"full": 0.8801}
    data["honest"]["rows"][0]["tests"] = [test]
    shown = report(data)
    assert "gives 88.0 % (0.0 points)" in shown.inner_text("#summary")
    assert "0.00 [−0.60, 0.00]" in shown.inner_text("#honest-section")
    assert not any(f"{sign}0.00" in shown.inner_text("body") for sign in "+−")


def test_on_paper(report):
    shown = report(color_scheme="dark")
    shown.emulate_media(media="print")
    assert shown.is_hidden("#theme")
    assert shown.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
