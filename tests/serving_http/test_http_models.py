"""Several models in one process, reload without dropping a request, API keys from a file, the access log."""

import gc
import io
import json
import threading
import weakref
from urllib.parse import quote

import pytest
from live_server import POINTS, Held, Live, until

from elbert.classifier import Classifier
from elbert.errors import BundleError, InputError
from elbert.serving.http import HttpSettings
from elbert.serving.http.api_keys import read_api_keys
from elbert.serving.http.logs import ACCESS, OPERATIONS, logging_to
from elbert.serving.http.model_set import ModelSet, ModelSource
from elbert.serving.settings import Settings, read_models
from tiny import write_bundle

TEXT = "a good film"


class LiveSet(Live):
    """A server of a set of models; ``held`` holds the layer calls of the classifiers that were loaded last."""

    def __init__(self, folders, http=None, **settings):
        self.folders, self.loaded = dict(folders), {}
        sources = [
            ModelSource(name, str(folder), lambda name=name: self.load(name)) for name, folder in folders.items()
        ]
        self.http = http or HttpSettings()
        self.service = ModelSet(sources, Settings(pause=0.001, **settings), self.http)
        self.app = self.service.app

    @property
    def backend(self):
        return next(iter(self.loaded.values())).backend

    def load(self, name):
        sound = Classifier.load(self.folders[name], dtype="float32", threads=1)
        held = Held(sound.backend)
        self.loaded[name] = Classifier(sound.bundle, sound.tokeniser, held, sound.policy, max_rows=8, threads=1)
        return self.loaded[name]

    def reload(self):
        self.on_loop(self.service.reload())


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return {
        "first": write_bundle(place / "a", seed=1, points=POINTS),
        "second": write_bundle(place / "b", seed=2),
    }


@pytest.fixture(scope="module")
def served(folders):
    with LiveSet(folders) as server:
        yield server


@pytest.fixture
def log():
    """The lines of the log, as JSON."""
    stream = io.StringIO()
    with logging_to(stream, as_json=True):
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def scores(answer):
    return sorted((row["label"], row["score"]) for row in answer)


def test_the_explorer_is_of_the_model_in_its_address(served):
    for path, name in [("", "first"), ("?model=first", "first"), ("?model=second", "second")]:
        about = served.get(f"/explorer/model.json{path}")[2]
        assert (about["name"], about["models"]) == (name, ["first", "second"])
        assert list(about["points"]) == list(served.loaded[name].bundle.points)
    status, _, body = served.get("/explorer/model.json?model=third")
    assert (status, "expected one of first, second" in body["error"]) == (404, True)


def test_requests_name_a_model_and_the_first_answers_the_others(served):
    alone = {name: served.loaded[name].predict([TEXT])[0].scores for name in served.folders}
    for name in ("first", "second", None, str(served.folders["second"])):
        body = {"input": [TEXT]} if name is None else {"input": [TEXT], "model": name}
        expected = "second" if name == str(served.folders["second"]) else name or "first"
        status, _, answer = served.post("/v1/classify", body)
        assert (status, answer["model"]) == (200, expected)
        assert answer["data"][0]["scores"] == pytest.approx(alone[expected], abs=1e-5)
    by_path = {
        "/models/second": {"inputs": TEXT, "parameters": {}},
        "/models/second/predict": {"inputs": TEXT},
        "/predict": {"inputs": TEXT, "model": "second"},
        "/": {"inputs": TEXT, "model": "second"},
    }
    for path, body in by_path.items():
        status, _, answer = served.post(path, body)
        ranked = answer[0] if isinstance(answer[0], list) else answer
        assert status == 200
        assert {row["label"]: row["score"] for row in ranked} == pytest.approx(alone["second"], abs=1e-5), path
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}
    assert served.post("/v2/models/second/infer", {"inputs": [tensor]})[2]["model_name"] == "second"


def name_of_answer(server, name):
    """The model that answers a request, which names it or none, and that of the explorer at this name."""
    body = {"input": [TEXT]} | ({} if name is None else {"model": name})
    status, _, answer = server.post("/v1/classify", body)
    query = "" if name is None else f"?model={quote(name)}"
    shown = server.get(f"/explorer/model.json{query}")
    assert status == shown[0]
    if status != 200:
        assert server.post("/predict", {"inputs": TEXT, "model": name})[0] == 404
        return answer["error"]
    assert shown[2]["name"] == answer["model"]
    return answer["model"]


def test_two_names_of_one_folder_are_two_models_and_the_folder_names_none(folders):
    folder = folders["first"]
    with LiveSet({"a": folder, "b": folder}) as server:
        assert [name_of_answer(server, name) for name in ("a", "b", None)] == ["a", "b", "a"]
        assert "expected one of a, b" in name_of_answer(server, str(folder))
        names = server.get("/openapi.json")[2]["components"]["schemas"]["ClassifyRequest"]["properties"]["model"]
        assert names["enum"] == ["a", "b", None]
        counts = server.counts()
        assert counts['te_request_count{method="batch",model="a"}'] == 2
        assert counts['te_request_count{method="batch",model="b"}'] == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_goes_before_the_folder_of_another_model(folders, tmp_path, monkeypatch, order):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").symlink_to(folders["first"])
    pairs = [("other", "x"), ("x", folders["second"])][::order]
    with LiveSet(dict(pairs)) as server:
        assert name_of_answer(server, "x") == "x"
        assert name_of_answer(server, "other") == "other"
        assert name_of_answer(server, str(folders["second"])) == "x", "only one model comes from there"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/classify", {"input": [TEXT], "model": "third"}),
        ("/predict", {"inputs": TEXT, "model": "third"}),
        ("/", {"inputs": TEXT, "parameters": {}, "model": "third"}),
    ],
)
def test_an_unknown_model_is_404_and_the_models_are_listed(served, path, body):
    status, _, answer = served.post(path, body)
    assert (status, answer["error_type"]) == (404, "NotFound")
    assert "'third'" in answer["error"]
    assert "first, second" in answer["error"]
    assert served.post("/models/third/predict", {"inputs": TEXT})[0] == 404


def test_models_are_listed_described_and_counted(served):
    assert [model["id"] for model in served.get("/v1/models")[2]["data"]] == ["first", "second"]
    info = served.get("/info")[2]
    assert info["served_model_name"] == "first"
    assert {name: one["model_id"] for name, one in info["elbert"]["models"].items()} == {
        name: str(folder) for name, folder in served.folders.items()
    }
    assert served.get("/models/second/info")[2]["served_model_name"] == "second"
    before = served.counts()
    served.post("/v1/classify", {"input": [TEXT], "model": "second"})
    after = served.counts()
    name = 'te_request_count{method="batch",model="%s"}'
    assert [after[name % model] - before[name % model] for model in ("first", "second")] == [0, 1]
    assert after['te_queue_size{model="second"}'] == 0
    document = served.get("/openapi.json")[2]
    assert {"/models/first", "/models/second/predict", "/v2/models/second/infer"} <= set(document["paths"])
    assert document["components"]["schemas"]["ClassifyRequest"]["properties"]["model"]["enum"][0] == "first"


def test_all_models_share_the_bounds_on_work(folders):
    with LiveSet(folders, max_concurrent_requests=2) as server:
        for classifier in server.loaded.values():
            classifier.backend.open.clear()
        body = json.dumps({"input": [TEXT, TEXT], "model": "first"}).encode()
        with server.connect("POST", "/v1/classify", body):
            until(lambda: server.get("/models/first/info")[2]["elbert"]["under_way"] == 2)
            status, headers, _ = server.post("/v1/classify", {"input": [TEXT, TEXT], "model": "second"})
            assert (status, "retry-after" in headers) == (429, True)
        for classifier in server.loaded.values():
            classifier.backend.open.set()


def test_a_reload_answers_old_requests_with_the_old_model_and_frees_it(folders, tmp_path, log):
    place = tmp_path / "m"
    place.symlink_to(folders["first"])
    with LiveSet({"tiny": place}) as server:
        old = weakref.ref(server.loaded["tiny"].bundle), weakref.ref(server.loaded["tiny"].backend)
        before = server.get("/info")[2]["elbert"]["weights"]
        expected = dict(server.loaded["tiny"].predict([TEXT])[0].scores)
        held = server.loaded["tiny"].backend
        held.open.clear()
        results = []
        client = threading.Thread(target=lambda: results.append(server.post("/v1/classify", {"input": [TEXT]})))
        client.start()
        until(lambda: server.get("/info")[2]["elbert"]["under_way"] == 1)
        place.unlink()
        place.symlink_to(folders["second"])
        reload = threading.Thread(target=server.reload)
        reload.start()
        until(lambda: server.get("/info")[2]["elbert"]["weights"] != before)
        assert server.post("/v1/classify", {"input": [TEXT]})[0] == 200, "new requests have the new model"
        assert results == [], "and the old one is still held"
        held.open.set()
        client.join(30)
        reload.join(30)
        status, _, answer = results[0]
        assert status == 200
        assert answer["data"][0]["scores"] == pytest.approx(expected, abs=1e-5)
        del held
        gc.collect()
        until(lambda: (gc.collect(), old[0]() is None is old[1]())[1])
        assert server.counts()['te_request_count{method="batch"}'] == 2
    lines = [line["message"] for line in log() if line["logger"] == OPERATIONS]
    assert lines[0] == "the models and the API keys are read again"
    assert lines[2:] == ["the reload has ended; models loaded again: 1 of 1"]
    assert lines[1].startswith("the model tiny is loaded again")


def test_a_folder_that_does_not_load_keeps_the_old_model_with_one_line(folders, log):
    with LiveSet(folders) as server:
        server.folders["first"] = "/nowhere/at all"
        server.reload()
        assert server.post("/v1/classify", {"input": [TEXT]})[0] == 200
        assert server.get("/ready")[0] == 200
        messages = [line["message"] for line in log() if line["logger"] == OPERATIONS]
        assert [message[:31] for message in messages[1:-1]] == [
            "the model first stays as it is:",
            "the model second is loaded agai",
        ]
        assert messages[0] == "the models and the API keys are read again"
        assert messages[-1] == "the reload has ended; models loaded again: 1 of 2"
        with pytest.raises(BundleError):
            server.load("first")


def test_a_reload_that_fails_or_comes_at_another_time_has_a_line(folders, log, monkeypatch):
    def of_operations():
        return [line for line in log() if line["logger"] == OPERATIONS]

    def signal(server):
        server.loop.call_soon_threadsafe(server.service.request_reload)

    early = LiveSet({"tiny": folders["first"]})
    early.service.request_reload()
    assert of_operations()[-1]["message"].startswith("no reload: the server is starting; send the signal again")
    with LiveSet({"tiny": folders["first"]}) as server:
        monkeypatch.setattr(server.service, "_build_app", lambda: 1 / 0)
        signal(server)
        until(lambda: of_operations()[-1]["level"] == "error")
        assert of_operations()[-1]["message"] == "the models stay as they are: the reload failed"
        monkeypatch.undo()
        go_on, load = threading.Event(), server.load
        server.load = lambda name: (go_on.wait(20), load(name))[1]
        signal(server)
        until(lambda: of_operations()[-1]["message"] == "the models and the API keys are read again")
        signal(server)
        until(lambda: of_operations()[-1]["message"] == "a reload is in progress; another one begins after it")
        go_on.set()
        until(lambda: [line["message"][:20] for line in of_operations()].count("the reload has ended") == 2)
        assert server.post("/predict", {"inputs": TEXT})[0] == 200


def test_keys_of_a_file_are_read_again_and_the_log_names_them(folders, tmp_path, log):
    file = tmp_path / "keys"
    file.write_text("# clients\nalice key-of-alice\nbob key-of-bob\n")
    http = HttpSettings(api_key="the-first", api_key_file=str(file))
    with LiveSet({"tiny": folders["first"]}, http) as server:

        def status(key):
            return server.post("/predict", {"inputs": TEXT}, authorization=f"Bearer {key}")[0]

        assert [status(key) for key in ("the-first", "key-of-alice", "key-of-bob", "alice", "")] == [200] * 3 + [
            401
        ] * 2
        file.write_text("bob key-of-bob\ncarol key-of-carol\n")
        assert status("key-of-carol") == 401, "until a reload"
        server.reload()
        assert [status(key) for key in ("key-of-carol", "key-of-alice")] == [200, 401]
        file.write_text("")
        server.reload()
        assert [status(key) for key in ("key-of-carol", "x")] == [200, 401], "no keys would open the server"
    names = "the API keys of these names are in force: "
    reloads = [line["message"] for line in log() if line["logger"] == OPERATIONS and "key" in line["message"]]
    read = "the models and the API keys are read again"
    assert reloads[:3] == [read, f"{names}api-key, bob, carol", read]
    assert reloads[3].startswith("the API keys stay as they are: ")
    requests = [line for line in log() if line["logger"] == ACCESS]
    assert [line["key"] for line in requests][:5] == ["api-key", "alice", "bob", None, None]
    assert "key-of" not in json.dumps(log())
    names = "the API keys of these names are in force: "
    reloads = [line["message"] for line in log() if line["logger"] == OPERATIONS and "key" in line["message"]]
    read = "the models and the API keys are read again"
    assert reloads[:3] == [read, f"{names}api-key, bob, carol", read]
    assert reloads[3].startswith("the API keys stay as they are: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("alice\n", ":1: expected a name and a key"),
        ("alice secret-1 more\n", ":1: expected"),
        ("a/b secret-1\n", ":1: expected"),
        ("a secret-1\n\na secret-2\n", ":3: the name or the key of 'a' occurs twice"),
        ("a secret-1\nb secret-1\n", ":2: the name or the key of 'b' occurs twice"),
        ("a secret-é\n", "visible ASCII"),
        ("# none\n", "no keys"),
        (None, "missing; expected a name and a key"),
    ],
)
def test_a_key_file_that_is_wrong_is_refused_without_showing_a_key(tmp_path, content, message):
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError) as caught:
        read_api_keys(HttpSettings(api_key_file=str(file)))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("access", [True, False, None])
def test_the_access_log_has_a_line_for_each_request_in_both_forms(served, as_json, access):
    stream, has_lines = io.StringIO(), access or (access is None and as_json)

    def of_this_test():  # a request of the test before, or another library, may log a line meanwhile
        return [line for line in stream.getvalue().splitlines() if "of-this-test" in line]

    with logging_to(stream, as_json=as_json, access=access):
        served.post("/predict", {"inputs": "secret text"}, x_request_id="first-of-this-test")
        served.get("/a%20%0Aroute%1B[31m%20status=200", x_request_id="second-of-this-test")
        until(lambda: not has_lines or len(of_this_test()) == 2)
    # A line comes when the answer has been sent, and the next request may be quicker.
    lines = sorted(of_this_test(), key=lambda line: "second-of-this-test" in line)
    assert "secret" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    if not has_lines:
        assert lines == []
    elif as_json:
        first, second = map(json.loads, lines)
        assert (first["route"], first["status"], first["model"], first["request_id"]) == (
            "/predict",
            200,
            "first",
            "first-of-this-test",
        )
        assert (second["status"], second["error_type"]) == (404, "NotFound")
        assert list(first)[:4] == ["time", "level", "message", "logger"]
    else:
        assert "request request_id=first-of-this-test route=/predict method=POST model=first status=200 ms=" in lines[0]
        assert ' route="/a route' in lines[1]
        assert " status=404 error_type=NotFound " in lines[1]


def test_models_of_the_flag(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").mkdir()
    found = {
        model: [(one.name, one.model) for one in read_models((model,))] for model in ("lr=1", "x=lr=1", "a/b=c", "m")
    }
    assert found == {
        "lr=1": [(None, "lr=1")],
        "x=lr=1": [("x", "lr=1")],
        "a/b=c": [(None, "a/b=c")],
        "m": [(None, "m")],
    }
    assert [(one.name, one.model) for one in read_models(())] == [(None, None)]
    for models, message in (
        (("x,y",), "several models need names"),
        (("a=x", "y"), "several models need names"),
        (("a=x", "a=y"), "two models with the name 'a'"),
    ):
        with pytest.raises(InputError, match=message):
            read_models(models)
