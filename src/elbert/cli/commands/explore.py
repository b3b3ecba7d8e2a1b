"""``elbert explore``: a page on this machine that shows why each text left where it did."""

from __future__ import annotations

import argparse
import random
import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import labelled
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.serving import Evaluation


HERE = "127.0.0.1"
MOST_TEXTS = 2000  # a page replays a policy over these while a dial moves


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--data", metavar="FILE", help="labelled csv, tsv, jsonl or parquet to compare policies on")
    parser.add_argument("--skip-bad", action="store_true", help="report and count bad rows instead of stopping")
    parser.add_argument("--policy", metavar="P", help="where the dials start (unsaid: the model's default)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on this machine (unsaid: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    from elbert._optional import require

    uvicorn = require("uvicorn", "serve")  # before the model runs, which can take long
    from elbert.serving import app

    with listening(arguments.port) as place:
        classifier = load_classifier(arguments, arguments.policy)
        application = app(classifier, evaluation(arguments, classifier))
        address = f"http://{HERE}:{place.getsockname()[1]}/"
        sys.stdout.write(f"explorer: {address} (Ctrl-C ends it)\n")
        sys.stdout.flush()
        if not arguments.no_browser:  # in a thread: a browser in the terminal keeps whoever opens it waiting
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
        uvicorn.Server(config).run(sockets=[place])
    return 0


def listening(port: int) -> socket.socket:
    """A socket on this machine only; whoever connects before the server runs is kept waiting, not refused.

    Raises:
        InputError: the port cannot be had.
    """
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((HERE, port))
        place.listen()
    except (OSError, OverflowError) as error:
        place.close()
        raise InputError(f"--port {port}: cannot be had ({error}); give another, or none for any free one") from error
    return place


def evaluation(arguments: argparse.Namespace, classifier: Classifier) -> Evaluation | None:
    """What every depth says about the labelled texts; about some of them, drawn by lot, where there are many."""
    if arguments.data is None:
        return None
    from pathlib import Path

    from elbert.evaluation import collect
    from elbert.serving import Evaluation, most_texts

    texts, labels = labelled(arguments, classifier)
    most = most_texts(classifier, MOST_TEXTS)
    drawn = sorted(random.Random(0).sample(range(len(texts)), min(most, len(texts))))
    if len(drawn) < len(texts):
        sys.stderr.write(f"elbert: the page takes {len(drawn):,} of {len(texts):,} texts, drawn by lot\n")
    some = [texts[i] for i in drawn]
    outputs = collect(classifier, some, [labels[i] for i in drawn])
    return Evaluation(some, outputs, Path(arguments.data).name, len(texts))
