"""``elbert rank``: one list or a file of lists, JSON lines or a table; and calibration on lists."""

import json

import pytest

from elbert import Classifier
from elbert.cli.main import main
from ranking_lists import make_lists, write_ranker

TEXTS = ["a good film", "it was dull", "the plot"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_ranker(tmp_path_factory.mktemp("ranker") / "model")


@pytest.fixture(scope="module")
def expected(folder):
    return Classifier.load(folder, threads=1).rank("the film", TEXTS)


def call(capsys, *arguments):
    status = main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def to_lines(out):
    return [json.loads(line) for line in out.splitlines()]


def write_lists(file, lists):
    file.write_text("".join(json.dumps({"query": query, "texts": texts}) + "\n" for query, texts in lists))
    return file


def test_texts_of_the_command_line(capsys, folder, expected):
    status, out, _ = call(capsys, "rank", "--query", "the film", *TEXTS, "--model", folder, "--json", "--top-k", 2)
    assert status == 0 and [line["index"] for line in to_lines(out)] == [one.index for one in expected[:2]]
    assert to_lines(out)[0].keys() == expected[0].to_dict().keys()
    status, out, _ = call(capsys, "rank", "--query", "the film", *TEXTS, "--model", folder, "--table")
    assert status == 0 and out.splitlines()[1].split()[1] == str(expected[0].index)


@pytest.mark.parametrize("ending", ["txt", "csv", "jsonl"])
def test_texts_of_a_file(capsys, folder, expected, tmp_path, ending):
    file = tmp_path / f"texts.{ending}"
    rows = {"txt": TEXTS, "csv": ["text", *TEXTS], "jsonl": [json.dumps({"text": text}) for text in TEXTS]}
    file.write_text("\n".join(rows[ending]) + "\n")
    status, out, _ = call(capsys, "rank", "--query", "the film", "--input", file, "--model", folder)
    assert status == 0 and [line["index"] for line in to_lines(out)] == [one.index for one in expected]


def test_lists_of_a_file(capsys, folder, tmp_path):
    lists = make_lists(5)
    file, output = write_lists(tmp_path / "lists.jsonl", lists), tmp_path / "ranked.jsonl"
    policy = ("--policy", "outranked(2, 0.5)", "--top-k", 2)
    status, out, _ = call(capsys, "rank", "--input", file, "--model", folder, "--output", output, *policy)
    assert status == 0 and out == ""
    found = to_lines(output.read_text())
    rankings = list(Classifier.load(folder, threads=1).rank_each(lists, 2, "outranked(2, 0.5)"))
    assert [one["query"] for one in found] == [query for query, _ in lists]
    assert [[r["index"] for r in one["results"]] for one in found] == [
        [r.index for r in ranking] for ranking in rankings
    ]


BAD = [
    ('{"query": "q"}', "texts are missing or null"),
    ('{"query": "q", "texts": []}', "an empty list"),
    ('{"query": "q", "texts": "one text"}', "texts are str 'one text'"),
    ('{"query": "q", "texts": ["a", 1]}', "text 1 is int 1"),
    ('{"texts": ["a"]}', "query is missing or null"),
    ('{"query": 5, "texts": ["a"]}', "query is int 5"),
    ('{"query": "q", "texts": ["a", "\\ud800"]}', "text 1"),
    ("nonsense", "invalid JSON"),
]


@pytest.mark.parametrize(("line", "why"), BAD, ids=[why for _, why in BAD])
def test_bad_lists_are_named_with_their_line(capsys, folder, tmp_path, line, why):
    file = tmp_path / "lists.jsonl"
    good = json.dumps({"query": "q", "texts": TEXTS})
    file.write_text(f"{good}\n{line}\n{good}\n")
    status, _, error = call(capsys, "rank", "--input", file, "--model", folder)
    assert status == 2 and f"{file}:2: " in error and why in error and error.count("\n") == 1
    status, out, error = call(capsys, "rank", "--input", file, "--model", folder, "--skip-bad")
    assert status == 0 and len(to_lines(out)) == 2 and "1 bad row skipped" in error


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", "b"], "texts without a query"),
        (["--query", "q"], "give either texts or --input"),
        (["--query", "q", "a", "--input", "x.txt"], "give either texts or --input"),
        (["--input", "lists.csv"], "expected .jsonl or .ndjson"),
        (["--input", "none.jsonl"], "no such file"),
        (["--query", "q", "a", "--top-k", "0"], "top_k is 0"),
        (["--query", "q", "a", "--policy", "outranked"], "accepted is outranked(top, margin, size)"),
        (["--query", "q", "a", "--table", "--output", "x.jsonl"], "give one of them"),
        (["--query", "q", "a", "--output", "x.csv"], "rank writes JSON lines; name it x.jsonl"),
        (["--query", "q", "a", "--output", "x.json"], "rank writes JSON lines; name it x.jsonl"),
        (["--query", "q", "-a"], "put -- before texts that begin with a dash"),
    ],
)
def test_wrong_arguments_are_one_line(capsys, folder, arguments, why):
    status, _, error = call(capsys, "rank", *arguments, "--model", folder)
    assert status == 2 and why in error and error.count("\n") == 1


def test_the_bundled_model_cannot_rank(capsys):
    status, _, error = call(capsys, "rank", "--query", "q", "a")
    assert status == 2 and "2 outputs" in error and error.count("\n") == 1


def test_calibration_on_lists(capsys, tmp_path):
    pytest.importorskip("scipy")
    folder = write_ranker(tmp_path / "model")
    file = write_lists(tmp_path / "lists.jsonl", make_lists(40, longest=6))
    options = ("--data", file, "--model", folder, "--top-k", 2, "--name", "top")
    status, out, _ = call(capsys, "calibrate", *options, "--risk", 0.5, "--error", 0.2)
    assert status == 0 and "20 calibration lists" in out and "the top 2 changed in" in out
    status, out, _ = call(capsys, "rank", "--query", "q", *TEXTS, "--model", folder, "--policy", "top", "--json")
    assert status == 0 and len(to_lines(out)) == 3
    status, _, error = call(capsys, "predict", "a film", "--model", folder, "--policy", "top")
    assert status == 2 and "for rank only" in error
    status, _, error = call(capsys, "calibrate", *options, "--max-drop", 1)
    assert status == 2 and "--max-drop does not fit lists" in error


def test_an_empty_file_of_lists_is_noted(capsys, folder, tmp_path):
    (tmp_path / "none.jsonl").write_text("")
    assert main(["rank", "--model", str(folder), "--input", str(tmp_path / "none.jsonl")]) == 0
    assert capsys.readouterr() == ("", f"elbert: {tmp_path / 'none.jsonl'}: no lists, nothing to rank\n")
