import pytest

from browser import NODE_MODULES, Engine


@pytest.fixture(scope="package")
def v8():
    """The policy modules, which need no page: ``$signals``, ``$rules``, ``$specs`` and others."""
    return Engine(
        "policy/replays.js", "policy/chance.js", "policy/families.js", "policy/sentences.js", "policy/members.js"
    )


@pytest.fixture(scope="package")
def classifier():
    """The bundled model, on one thread."""
    from elbert import Classifier

    return Classifier.load(dtype="float32", threads=1)


@pytest.fixture(scope="package")
def evaluation(classifier):
    """Sixty labelled texts; every third label is an early depth's answer, so that some texts are overthought."""
    from elbert.evaluation import collect
    from elbert.serving.explorer import Evaluation
    from tiny import texts

    some = [f"{text} {i}" for i, text in enumerate(texts(59, seed=3, longest=14))] + [
        "<b onclick=x>a dull</b> film & plot"
    ]
    found = collect(classifier, some, [0] * 60)
    answers = found.probabilities.argmax(-1)
    labels = [int(answers[i, 0 if i % 3 == 0 else -1]) for i in range(60)]
    labels[1] = 1 - labels[1]
    return Evaluation(some, collect(classifier, some, labels), "sixty.csv", 60)


@pytest.fixture(scope="package")
def axe():
    """The script of axe-core."""
    script = NODE_MODULES / "axe-core" / "axe.min.js"
    if not script.is_file():
        pytest.skip("needs the npm package axe-core: make node_modules/installed")
    return script.read_text(encoding="utf-8")


@pytest.fixture
def opened(chrome):
    """Open a page: ``opened(address, width=…, color_scheme=…)``; at the end nothing may have gone wrong in it.

    Console messages that contain one of ``opened.expected`` are part of the test.
    """
    contexts, wrong, requests = [], [], []

    def at(address, width=1280, height=900, javascript=None, **options):
        context = chrome.new_context(
            viewport={"width": width, "height": height}, **{"reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    at.requests, at.expected = requests, []
    yield at
    for context in contexts:
        context.close()
    assert not [message for message in wrong if not any(part in message for part in at.expected)]
    assert not [url for url in requests if not url.startswith(("http://127.0.0.1:", "file:///", "data:"))]
