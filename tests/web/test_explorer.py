"""The explorer in a real browser: what people do with it."""

import csv
import io
import json
import re

import pytest
from explorer_server import run_explorer, run_models

from browser import wait_until
from elbert.exits import POLICIES, policy, replay_exits

TEXT = "The plot is thin, but the acting is so warm that I left smiling."
KINDS = {name: kind for name, kind in POLICIES.items() if kind.fits("probabilities")}  # what the explorer draws
SHAPES = {
    "multi-label": (["toxic", "insult", "threat"], 24, True),
    "forty classes": ([f"an intent called {i}" for i in range(40)], 12, False),
    "one depth": (["no", "yes"], 1, False),
    "numbers as names": (["2", "1", "__proto__"], 6, False),
}


@pytest.fixture(scope="module")
def address(classifier, evaluation):
    with run_explorer(classifier, evaluation) as at:
        yield at


@pytest.fixture(scope="module")
def bare(classifier):
    """Without labelled texts."""
    with run_explorer(classifier) as at:
        yield at


def answered(page):
    """Wait for the answer to what the fields hold: one to an earlier text stays in place, and hidden, until then."""
    page.wait_for_selector("#verdict:not([hidden])")
    wait_until(page, "!document.getElementById('bench').classList.contains('pending')")


def typed(page, text=TEXT):
    page.wait_for_selector("#points button")
    page.fill("#text", text)
    page.press("#text", "Enter")
    answered(page)


def expected(classifier, spec, text=TEXT):
    [found] = classifier.predict([text], spec)
    return found


def where(page):
    return page.inner_text("#where")


def swept(page):
    """Wait for the rivals' curves, which are drawn while one reads."""
    wait_until(page, "document.querySelectorAll('#curve .legend button').length > 5")


def test_type_a_text_and_see_the_verdict(opened, bare, classifier):
    page = opened(bare)
    typed(page)
    answer = expected(classifier, None)
    assert page.inner_text("#answer") == answer.label
    assert where(page) == f"Exit at depth {answer.depth} of 12"
    assert {"entropy": "entropy", "window": "same class over depths"}[answer.reason] in page.inner_text("#why")
    assert page.inner_text("#saved") == f"{12 - answer.depth} depths saved"
    assert f"exit at {answer.depth}: {answer.reason}" in page.text_content("#depths svg")
    wait_until(page, "document.getElementById('announcement').textContent.includes('Exit at depth')")
    assert page.is_hidden("#evaluation")
    assert page.is_hidden("#start")
    assert not [url for url in opened.requests if url.endswith("evaluation.json")]


def test_dials_move_the_exit_without_a_request(opened, bare, classifier):
    page = opened(bare)
    typed(page)
    before = len(opened.requests)
    for delta, size, margin in [(0.01, 3, 0), (0.01, 3, 0.45), (0.9, 6, 0), (0, 12, 0)]:
        page.fill("#window_entropy", str(delta))
        page.fill("#window_size-number", str(size))
        page.fill("#window_margin-number", str(margin))
        spec = page.input_value("#spec")
        assert policy(spec) == policy(f"window(entropy={delta}, size={size}, margin={margin})")
        answer = expected(classifier, spec)
        assert page.inner_text("#answer") == answer.label
        assert f"at depth {answer.depth} of 12" in where(page)
        assert f"at {answer.depth}: {answer.reason}" in page.text_content("#depths svg")
    page.check("input[name=window_rule][value=stable]", force=True)
    assert "rule=stable" in page.input_value("#spec")
    page.fill("#window_range", "0.3")
    assert "range=0.3" in page.input_value("#spec")
    assert len(opened.requests) == before


def test_the_spec_field_and_the_dials_are_one(opened, bare, classifier):
    page = opened(bare)
    typed(page)
    page.fill("#spec", "patience(2) | window(0.02, 9, trend)")
    answer = expected(classifier, "patience(2) | window(0.02, 9, trend)")
    assert f"at depth {answer.depth} of 12" in where(page)
    assert page.input_value("#window_size") == "9"
    assert page.is_checked("input[name=window_rule][value=trend]")
    page.fill("#window_entropy-number", "0.5")
    assert policy(page.input_value("#spec")) == policy("patience(2) | window(0.5, 9, trend)")
    page.fill("#spec", "entropy(2)")
    assert page.inner_text("#spec-error") == (
        "threshold=2 in entropy: accepted is entropy(threshold) with threshold a number from 0 to 1"
    )
    assert page.get_attribute("#spec", "aria-invalid") == "true"
    page.fill("#spec", "depth(13)")
    assert "this model has 12 depths" in page.inner_text("#spec-error")
    page.fill("#spec", "depth(5)")
    assert page.inner_text("#spec-error") == ""
    assert where(page) == "Exit at depth 5 of 12"
    page.fill("#depth_depth", "7")
    assert (page.input_value("#spec"), where(page)) == ("depth(7)", "Exit at depth 7 of 12")
    page.select_option("#kind", "window")  # another kind of policy starts at its defaults
    assert page.input_value("#spec") == str(policy("window()"))
    page.fill("#window_entropy", "0.4")
    assert page.input_value("#spec").startswith("window(entropy=0.4, size=6")
    page.fill("#spec", "gap(0.9) | tempered(gap(0.2), 2)")
    assert page.input_value("#kind") == "several"
    page.fill("#gap2_threshold-number", "0.3")
    assert page.input_value("#spec") == "gap(0.9) | tempered(gap(0.3), 2.0)"
    page.fill("#spec", "fast")
    assert page.get_attribute("#points button >> text=fast", "aria-pressed") is None or page.locator(
        "#points button[aria-pressed=true]"
    ).inner_text().startswith("fast")


def test_every_policy_of_the_table_has_its_dials(opened, bare):
    page = opened(bare)
    typed(page)
    for name, kind in KINDS.items():
        page.select_option("#kind", name)
        assert page.inner_text("#spec-error") == ""
        chosen = policy(page.input_value("#spec"))
        assert chosen.name == name
        for dial in kind.dials:
            if dial.choices:
                inputs = page.locator(f"input[name={name}_{dial.name}]")
                assert inputs.evaluate_all("all => all.map((one) => one.value)") == list(dial.choices)
                continue
            number = page.locator(f"#{name}_{dial.name}-number")
            assert [float(number.get_attribute(end)) for end in ("min", "max")] == [dial.low, dial.high]
            assert float(number.input_value()) == chosen.dials[dial.name]
            idle = "idle" in (number.locator("xpath=..").get_attribute("class"))
            assert idle == all(dial.name not in form.dials for form in chosen.forms)


def test_operating_points_and_rivals_are_buttons(opened, bare, classifier):
    page = opened(bare)
    typed(page)
    for name, point in classifier.bundle.points.items():
        page.click(f"#points button:has-text('{name}')")
        assert page.input_value("#spec") == str(point.policy)
        promise = f"with 95 % confidence, at most {100 * point.certificate.risk:g} % of texts like the 872"
        assert promise in page.inner_text("#point-about")
        assert f"at depth {expected(classifier, point.policy).depth} of" in where(page)
    rows = page.locator("#rivals tbody tr")
    assert rows.count() == 1 + sum(len(kind.examples) for kind in KINDS.values()) + len(("a third", "all"))
    for i in range(1, rows.count()):
        spec, depth, label, reason = rows.nth(i).locator("th, td").all_inner_texts()
        answer = expected(classifier, spec)
        assert (int(depth), label, reason) == (answer.depth, answer.label, answer.reason)
    page.click("#rivals button:has-text('patience(3)')")
    assert page.input_value("#spec") == "patience(3)"


def test_every_depth_can_be_read_by_keyboard_and_as_a_table(opened, bare, classifier):
    page = opened(bare)
    typed(page)
    page.focus("#depths svg")
    page.keyboard.press("Home")
    assert page.inner_text(".readout").startswith("Depth 1: ")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".readout").startswith("Depth 2: ")
    page.keyboard.press("End")
    assert page.inner_text(".readout").startswith("Depth 12: ")
    page.click("#depths summary")
    rows = page.locator("#depths tbody tr").all_inner_texts()
    [answer] = classifier.predict([TEXT], "full", trace=True)
    for step, row in zip(answer.trace, rows):
        cells = row.split("\t")
        assert cells[0] == str(step.depth)
        assert cells[2:4] == [f"{step.scores[label]:.3f}" for label in classifier.labels]
        assert float(cells[4]) == pytest.approx(step.entropy, abs=6e-4)


def test_a_pair(opened, bare, classifier):
    page = opened(bare)
    page.wait_for_selector("#points button")
    page.click("#pair-toggle")
    page.fill("#text", "a film")
    page.fill("#pair", "it is dreadful")
    page.press("#pair", "Enter")
    answered(page)
    answer = expected(classifier, None, ("a film", "it is dreadful"))
    assert (page.inner_text("#answer"), f"at depth {answer.depth} of 12" in where(page)) == (answer.label, True)


def test_the_address_keeps_text_and_policy(opened, bare, classifier):
    page = opened(bare)
    text = 'a #1 film & 100 % "fun" <b>'
    typed(page, text)
    page.fill("#spec", "patience(2)")
    wait_until(page, "location.hash.includes('patience')")
    again = opened(page.url)
    answered(again)
    assert again.input_value("#text") == text
    assert again.input_value("#spec") == "patience(2)"
    assert f"at depth {expected(classifier, 'patience(2)', text).depth} of 12" in where(again)


def test_markup_stays_text(opened, address):
    page = opened(address)
    typed(page, "</textarea><img src=x onerror=\"document.title='gone'\">")
    page.fill("#spec", "<img src=x onerror=alert(1)>")
    assert "cannot read" in page.inner_text("#spec-error")
    assert page.locator("img").count() == 0
    assert page.title() == "elbert explorer"


def test_errors_are_shown(opened, bare):
    page = opened(bare)
    page.wait_for_selector("#points button")
    page.click("#classify")
    assert page.inner_text("#ask-error") == "Type a text first."
    typed(page)
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('gone')); }")
    page.fill("#text", "x")
    page.click("#classify")
    wait_until(page, "document.getElementById('ask-error').textContent.includes('does not answer')")
    assert page.is_enabled("#classify")
    for part in ("#verdict", "#down", "#rivals"):
        assert page.is_hidden(part)
    wait_until(page, "!location.hash.includes('text=')")


# Requests wait for the test, and their signal is ignored: an answer can arrive however late.
HELD = """() => {
  const send = window.fetch;
  window.held = [];
  window.fetch = (path, options) => new Promise((resolve) => {
    const text = JSON.parse(options.body).inputs[0];
    window.held.push({ text, go: () => resolve(send(path, { ...options, signal: undefined })) });
  });
}"""


def sent(page):
    return page.evaluate("window.held.map(({ text }) => text)")


def test_the_answer_follows_while_one_types(opened, bare, classifier):
    page = opened(bare)
    page.wait_for_selector("#points button")
    for text in ("a dull film", TEXT):
        page.locator("#text").press_sequentially(text)
        answered(page)
        answer = expected(classifier, None, text)
        assert (page.inner_text("#answer"), where(page)) == (answer.label, f"Exit at depth {answer.depth} of 12")
        page.fill("#text", "")
        assert page.is_hidden("#verdict")
        assert page.is_visible("#start")
        assert page.is_hidden("#ask-error")


def test_no_answer_of_another_text_is_shown(opened, bare, classifier):
    page = opened(bare)
    typed(page)
    page.evaluate(HELD)
    page.fill("#text", "a dull film")
    for part in ("#answer", "#where", "#depths svg", "#rivals table"):
        assert page.is_hidden(part)
    assert page.is_visible("#waiting")
    page.fill("#text", TEXT)  # as it was: nothing is requested
    assert page.is_visible("#answer")
    assert page.is_hidden("#waiting")
    for text in ("a dull film", "a warm film", "a thin film"):
        page.fill("#text", text)
        wait_until(page, f"window.held.at(-1)?.text === '{text}'")
    assert sent(page) == ["a dull film", "a warm film", "a thin film"]
    for early in (1, 0):  # answers to texts that are not in the field
        page.evaluate(f"window.held[{early}].go()")
        page.wait_for_timeout(100)
        assert page.is_hidden("#answer")
        assert page.get_attribute("#ask", "aria-busy") == "true"
    page.evaluate("window.held[2].go()")
    wait_until(page, "!document.getElementById('bench').classList.contains('pending')")
    answer = expected(classifier, None, "a thin film")
    assert (page.inner_text("#answer"), where(page)) == (answer.label, f"Exit at depth {answer.depth} of 12")
    assert page.get_attribute("#ask", "aria-busy") is None


def test_a_text_is_requested_once(opened, bare):
    page = opened(bare)
    page.wait_for_selector("#points button")
    page.evaluate(HELD)
    long = "word after word " * 3000
    page.focus("#text")
    page.keyboard.insert_text(long)  # a paste is one input
    page.keyboard.press("Enter")
    page.click("#classify")
    page.wait_for_timeout(400)  # longer than the pause after which a typed text is requested
    assert sent(page) == [long]
    page.evaluate("window.held[0].go()")
    answered(page)
    page.press("#text", "Enter")
    page.click("#classify")
    page.locator("#text").press("End")
    page.wait_for_timeout(400)
    assert sent(page) == [long]
    page.fill("#text", "typed and sent by the button")
    page.click("#classify")
    wait_until(page, "window.held.length === 2")  # before the pause has passed or after it: once
    page.wait_for_timeout(400)
    assert sent(page) == [long, "typed and sent by the button"]


def test_one_of_several_models_is_chosen(opened, classifier, tmp_path):
    from elbert import Classifier
    from tiny import write_bundle

    folder = write_bundle(tmp_path / "m", labels=("cold", "mild", "hot"), num_labels=3)
    other = Classifier.load(folder, dtype="float32", threads=1)
    with run_models({"films": classifier, "org/weather": other}) as address:
        page = opened(address)
        typed(page)
        assert page.locator("#models option").all_inner_texts() == ["films", "org/weather"]
        assert page.input_value("#models") == "films"
        page.fill("#spec", "depth(7)")
        page.fill("#text", "a cold day")
        page.select_option("#models", "org/weather")
        page.wait_for_url("**model=org%2Fweather*")
        answered(page)
        assert page.input_value("#models") == "org/weather"
        assert page.input_value("#text") == "a cold day"
        assert "cold / mild / hot" in page.inner_text("#model")
        assert f"of {other.depths}" in where(page)
        [answer] = other.predict(["a cold day"], page.input_value("#spec"))
        assert (page.inner_text("#answer"), f"at depth {answer.depth} of" in where(page)) == (answer.label, True)
        assert page.locator("#points button").all_inner_texts() == ["full"]
        again = opened(page.url)
        answered(again)
        assert (again.input_value("#models"), again.inner_text("#answer")) == ("org/weather", answer.label)
        page.go_back()
        answered(page)
        assert page.input_value("#models") == "films"
        opened.expected.append("404")
        page = opened(f"{address}?model=another")
        wait_until(
            page, "document.getElementById('ask-error').textContent.includes('expected one of films, org/weather')"
        )


def test_an_api_key_is_entered_once_and_stays_in_the_tab(opened, bare):
    error = {"error": "no API key; expected the header Authorization: Bearer KEY", "error_type": "Unauthorized"}

    def check(route):
        if route.request.headers.get("authorization") == "Bearer right":
            route.continue_()
        else:
            route.fulfill(status=401, json=error)

    opened.expected.append("401")
    page = opened("about:blank")
    for path in ("explorer/model.json", "v1/classify"):
        page.route(f"**/{path}", check)
    page.goto(bare)
    page.wait_for_selector("#api-key")
    assert page.is_hidden("#policy")
    assert page.is_disabled("#classify")
    page.fill("#api-key", "wrong")
    page.press("#api-key", "Enter")
    wait_until(page, "document.querySelector('.key-form .error').textContent.includes('does not accept this key')")
    page.fill("#api-key", "right")
    page.press("#api-key", "Enter")
    typed(page)
    page.reload()
    typed(page)
    assert "right" not in page.url
    assert page.evaluate("JSON.stringify(localStorage)").find("right") == -1
    page.click("text=Forget")
    page.click("#classify")
    page.wait_for_selector("#verdict", state="hidden")
    assert "needs its API key" in page.inner_text("#key")


def test_numbers_on_bars_can_be_read_before_and_after_the_exit(opened, bare):
    page = opened(bare)
    typed(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(CONTRASTS)
        assert {after for after, _ in found} == {True, False}
        assert min(contrast for _, contrast in found) >= 4.5, scheme


def test_policies_are_compared_on_the_labelled_texts(opened, address, evaluation):
    page = opened(address)
    swept(page)
    outputs = evaluation.outputs
    for spec in ("window(entropy=0.3, size=4)", "entropy(0.5)", "full"):
        page.fill("#spec", spec)
        depth, _ = replay_exits(outputs.probabilities, spec)
        right = outputs.probabilities[range(60), depth - 1].argmax(-1) == outputs.labels
        tiles = page.inner_text("#tiles")
        assert f"{100 * right.mean():.1f} %" in tiles
        assert f"\n{depth.mean():.2f}\n" in tiles
        page.evaluate("document.querySelector('#histogram details').open = true")
        rows = page.locator("#histogram tbody tr").all_inner_texts()
        counts = [sum(map(int, row.split("\t")[1:])) for row in rows]
        assert counts == [(depth == d).sum() for d in range(1, 13)]
    names = page.locator("#curve .legend button").all_inner_texts()
    assert {"window", "entropy", "patience", "fixed depths", "this policy"} <= set(names)
    drawn = page.locator("#curve path.curve").count()
    page.click("#curve .legend button:has-text('patience') >> nth=0")
    assert page.locator("#curve path.curve").count() == drawn - 1
    page.focus("#curve .legend button >> nth=0")
    page.keyboard.press("Space")
    assert page.get_attribute("#curve .legend button >> nth=0", "aria-pressed") == "false"
    page.focus("#curve svg[role=img]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#curve .tip")
    spec = page.inner_text("#curve .tip div >> nth=0")
    page.keyboard.press("Enter")  # the point's policy is put in use
    assert policy(page.input_value("#spec")) == policy(spec)


def test_a_hard_text_shows_its_trace_without_a_request(opened, address, evaluation):
    page = opened(address)
    swept(page)
    page.click("#hard-kinds button:has-text('Overthought')")
    assert page.get_attribute("#hard-kinds button:has-text('Overthought')", "aria-pressed") == "true"
    quote = page.inner_text("#hard li >> nth=0 >> .quote")
    index = [" ".join(text.split()) for text in evaluation.texts].index(quote)
    before = len(opened.requests)
    page.click("#hard li button >> nth=0")
    answered(page)
    assert page.input_value("#text") == evaluation.texts[index]
    label = ["negative", "positive"][evaluation.outputs.labels[index]]
    assert f"Its label is {label}." in page.inner_text("#beside")
    depth, reason = replay_exits(evaluation.outputs.probabilities[[index]], page.input_value("#spec"))
    assert f"at depth {depth[0]} of 12" in where(page)
    assert f"at {depth[0]}: {reason[0]}" in page.text_content("#depths svg")
    assert len(opened.requests) == before


def test_two_policies_and_two_models_side_by_side(opened, address, evaluation, tmp_path):
    import numpy as np

    page = opened(address)
    swept(page)
    outputs = evaluation.outputs
    page.fill("#spec", "entropy(0.5)")
    page.fill("#compare-spec", "depth(2)")
    depths = [replay_exits(outputs.probabilities, spec)[0] for spec in ("entropy(0.5)", "depth(2)")]
    answers = [outputs.probabilities[range(60), depth - 1].argmax(-1) for depth in depths]
    right = [answer == outputs.labels for answer in answers]
    differ = np.flatnonzero(answers[0] != answers[1])
    wait_until(page, "document.querySelector('#compare-result tbody') !== null")
    rows = dict(row.split("\t", 1) for row in page.locator("#compare-result tbody tr").all_inner_texts())
    assert rows["Accuracy"].split("\t")[:2] == [f"{100 * one.mean():.1f} %" for one in right]
    assert rows["Mean depth"].split("\t")[:2] == [f"{one.mean():.2f}" for one in depths]
    alone = [(right[k] & ~right[1 - k]).sum() for k in (0, 1)]
    assert [int(cell.split()[0]) for cell in rows["Alone right on"].split("\t")[:2]] == alone
    from scipy.stats import binomtest

    p = binomtest(int(alone[0]), int(sum(alone))).pvalue
    assert f"{len(differ)} texts of 60" in page.inner_text("#compare-result")
    assert f"p = {p:.3f}" in page.inner_text("#compare-result")
    page.click("#compare-result button")
    shown = page.locator("#hard .quote").all_inner_texts()
    assert shown == [" ".join(evaluation.texts[i].split()) for i in differ[:12]]
    page.fill("#compare-spec", "depth(99)")
    wait_until(page, "document.getElementById('compare-error').textContent.includes('12 depths')")
    assert page.is_hidden("#hard-kinds button[data-kind=differ]")
    # Another model: here the same outputs, one text of which has another last depth.
    page.click("#compare summary")
    with page.expect_download() as saving:
        page.click("text=Save this model's outputs")
    saved = json.loads(saving.value.path().read_text())
    saved["probabilities"][0][11].reverse()
    file = tmp_path / "other.json"
    file.write_text(json.dumps(saved))
    page.fill("#spec", "full")
    page.fill("#compare-spec", "full")
    page.set_input_files("#compare-file", file)
    wait_until(page, "document.getElementById('compare-result').textContent.includes('other.json')")
    assert "They answer 1 text of 60 differently" in page.inner_text("#compare-result")
    for wrong, message in [("{", "not JSON"), (json.dumps(saved | {"texts": []}), "the same texts"), ("[]", "labels")]:
        file.write_text(wrong)
        page.set_input_files("#compare-file", [])
        page.set_input_files("#compare-file", file)
        wait_until(page, f"document.getElementById('compare-error').textContent.includes('{message}')")


def test_hard_texts_are_searched_filtered_and_saved(opened, address, evaluation):
    page = opened(address)
    swept(page)
    page.fill("#spec", "entropy(0.5)")
    page.click("#hard-kinds button[data-kind=all]")
    page.fill("#hard-search", "DULL")
    page.select_option("#hard-label", "1")
    depth, reason = replay_exits(evaluation.outputs.probabilities, "entropy(0.5)")
    labels = evaluation.outputs.labels
    found = [i for i in range(60) if "dull" in evaluation.texts[i].lower() and labels[i] == 1]
    assert 0 < len(found) < 60
    wait_until(page, f"document.getElementById('hard-about').textContent.includes(' {len(found)} of 60 match')")
    with page.expect_download() as saving:
        page.click("#hard-save")
    assert saving.value.suggested_filename == "all.csv"
    rows = list(csv.DictReader(io.StringIO(saving.value.path().read_bytes().decode(), newline="")))
    assert [row["text"] for row in rows] == [evaluation.texts[i] for i in found]
    assert [int(row["exit_depth"]) for row in rows] == [depth[i] for i in found]
    assert [row["reason"] for row in rows] == [reason[i] for i in found]
    assert {(row["label"], row["policy"]) for row in rows} == {("positive", "entropy(0.5)")}
    page.fill("#hard-search", "no text has this")
    wait_until(page, "document.getElementById('hard-save').disabled")
    assert page.locator("#hard li").count() == 0


def test_rivals_are_matched_by_cost_where_texts_are_loaded(opened, address, evaluation):
    page = opened(address)
    swept(page)
    typed(page)
    probabilities = evaluation.outputs.probabilities
    most = replay_exits(probabilities, page.input_value("#spec"))[0].mean()
    wait_until(page, "document.getElementById('rivals-how').textContent.includes('no more than')")
    specs = [spec for spec in page.locator("#rivals tbody th").all_inner_texts()[1:] if spec != "full"]
    assert len(specs) > 5
    cheap = [replay_exits(probabilities, spec)[0].mean() <= most + 1e-9 for spec in specs]
    assert sum(cheap) >= len(specs) - 2  # a family whose cheapest dials cost more is shown with those


def test_by_keyboard_alone(opened, address):
    page = opened(address)
    swept(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the text"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("a warm and funny film")
    page.keyboard.press("Enter")
    answered(page)
    seen = []
    for _ in range(120):
        page.keyboard.press("Tab")
        name, shown = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            const near = getComputedStyle(e.nextElementSibling ?? e);
            return [e.id ? '#' + e.id : e.dataset.kind || e.dataset.spec || e.textContent.trim().slice(0, 20),
              [s, near].some((x) => x.outlineStyle !== 'none' && parseFloat(x.outlineWidth) >= 2)]; }"""
        )
        assert shown, f"no focus to be seen on {name}"
        seen.append(name)
        if name == "#window_entropy":
            before = page.input_value("#spec")
            page.keyboard.press("ArrowRight")
            assert page.input_value("#spec") != before
        if name == "late":
            break
    dials = ("kind", "window_entropy", "window_entropy-number", "window_size", "window_margin", "window_range")
    ids = ("classify", "pair-toggle", *dials, "spec", "rivals-table")
    assert {f"#{name}" for name in ids} | {"late"} <= set(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_scrolls_sideways_and_both_themes_can_be_read(opened, address, width, scheme):
    page = opened(address, width=width, color_scheme=scheme)
    swept(page)
    typed(page)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate(LIGHTNESS, "body") < 0.5
    assert dark == (scheme == "dark")
    page.click("#theme")
    assert (page.evaluate(LIGHTNESS, "body") < 0.5) != dark
    page.reload()
    page.wait_for_selector("#points button")
    assert (page.evaluate(LIGHTNESS, "body") < 0.5) != dark  # the choice is kept


LIGHTNESS = """(selector) => { const c = document.createElement('canvas').getContext('2d');
  c.fillStyle = getComputedStyle(document.querySelector(selector)).backgroundColor; c.fillRect(0, 0, 1, 1);
  const [r, g, b] = c.getImageData(0, 0, 1, 1).data; return (r + g + b) / 765; }"""


# The contrast of each number on a bar of the chart, over the bar and, after the exit, the veil.
CONTRASTS = """() => {
  const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const read = (color) => { c.fillStyle = color; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const svg = document.querySelector('#depths svg');
  svg.scrollIntoView({block: 'center'});
  const veil = getComputedStyle(svg.querySelector('.veil'));
  return [...svg.querySelectorAll('.share')].map((text) => {
    const box = text.getBoundingClientRect();
    const at = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const after = text.classList.contains('after');
    let bar = read(getComputedStyle(at.find((e) => e.matches('.part'))).fill);
    if (after) bar = read(veil.fill).map((v, i) => veil.opacity * v + (1 - veil.opacity) * bar[i]);
    const [a, b] = [light(read(getComputedStyle(text).fill)), light(bar)].sort((x, y) => y - x);
    return [after, (a + 0.05) / (b + 0.05)];
  });
}"""


@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_every_shape(opened, bare, shape, chrome):
    import numpy as np

    labels, depths, multi_label = SHAPES[shape]
    rng = np.random.default_rng(4)
    z = np.cumsum(rng.normal(0, 0.8, (depths, len(labels))), 0)
    probabilities = 1 / (1 + np.exp(-z)) if multi_label else np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    probabilities = probabilities.astype(np.float32)
    from elbert.exits.trace import read_entropy

    entropies = read_entropy(probabilities, multi_label).tolist()
    steps = [
        {"depth": m + 1, "scores": dict(zip(labels, probabilities[m].tolist())), "entropy": entropies[m]}
        for m in range(depths)
    ]
    heat = "tempered(window(entropy=0.3, size=3), 1.5, 1.2)"
    model = {"model": "x", "labels": labels, "depths": depths, "multi_label": multi_label, "evaluation": False}
    model |= {"answers": "labels" if multi_label else "class", "unit": 1.0}
    model |= {"default": "entropy(0.2)", "points": {"warm": {"policy": heat, "measured": {}}}}
    answer = {"label": "", "score": 1, "depth": depths, "depths": depths, "reason": "last", "tokens": 3, "error": None}
    page = opened("about:blank", width=360)
    page.route("**/explorer/model.json", lambda route: route.fulfill(json=model))
    page.route(
        "**/v1/classify",
        lambda route: route.fulfill(json={"data": [{**answer, "trace": steps}]}),
    )
    page.goto(bare)
    typed(page)
    for spec in ("full", "window(entropy=0.1, size=3)", "patience(1)", heat, "divergence(1, 0.05)", "confidence(0.9)"):
        page.fill("#spec", spec)
        depth, reason = replay_exits(probabilities[None], spec, multi_label=multi_label)
        assert f"at depth {depth[0]} of {depths}" in where(page)
        assert re.search(rf"at {depth[0]}: {reason[0]}", page.text_content("#depths svg"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
