"""``elbert explore``: a page on this machine that shows why each text exited where it did."""

from __future__ import annotations

import argparse
import random
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from elbert._display import plural
from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import add_column_options, add_skip_bad, check_data_files, read_labelled, run_examples
from elbert.errors import InputError
from elbert.serving.settings import PORT

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.serving.explorer import Evaluation


HOST = "127.0.0.1"
MAX_TEXTS = 2000  # the page replays a policy over all of them while a dial moves
SHUTDOWN_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--data", metavar="FILE", help="labelled csv, tsv, jsonl or parquet to compare policies on")
    add_skip_bad(parser)
    add_column_options(parser)
    parser.add_argument("--policy", metavar="P", help="policy that the page starts with (default: the model's own)")
    parser.add_argument("--port", default="0", metavar="N", help="port on this machine (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and do not open a browser")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    check_data_files(arguments, arguments.data)  # before slow modules and the model
    from elbert._optional import require

    for module in ("uvicorn", "httptools", "starlette", "msgspec", "prometheus_client"):  # before the model is loaded
        require(module, "serve")
    from elbert.serving.http import explorer_application
    from elbert.serving.http.server import bind_socket, server_url
    from elbert.serving.http.server import run as serve
    from elbert.serving.service import Service
    from elbert.serving.settings import Settings

    with bind_socket(HOST, read_port(arguments.port)) as bound:
        classifier = load_classifier(arguments, arguments.policy)
        service = Service(classifier, Settings(shutdown_timeout=SHUTDOWN_SECONDS))
        app = explorer_application(service, collect_evaluation(arguments, classifier))
        serve(service, app, bound, lambda: announce(server_url(bound), open_browser=not arguments.no_browser))
    raise KeyboardInterrupt  # a signal is the only way to end it; the command line reports it as for every command


def announce(address: str, *, open_browser: bool) -> None:
    """Print the address, and open it in a browser."""
    sys.stdout.write(f"explorer: {address} (Ctrl-C stops it)\n")
    sys.stdout.flush()
    if open_browser:  # in a thread: a browser in the terminal blocks its caller
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def read_port(text: str) -> int:
    """Return the number of ``--port``.

    Raises:
        InputError: it is no port.
    """
    try:
        return int(PORT(text))
    except ValueError as error:
        raise InputError(f"--port: {error}") from None


def collect_evaluation(arguments: argparse.Namespace, classifier: Classifier) -> Evaluation | None:
    """Run the labelled texts, or a random sample of them, through all depths; None without ``--data``."""
    if arguments.data is None:
        return None
    from pathlib import Path

    from elbert.serving.explorer import Evaluation, max_texts

    examples, labels = read_labelled(arguments, classifier)
    most, total = max_texts(classifier, MAX_TEXTS, labels.values), len(examples)
    sample = sorted(random.Random(0).sample(range(total), min(most, total)))
    if len(sample) < total:
        sys.stderr.write(f"elbert: the page shows a random sample of {len(sample):,} of {plural(total, 'text')}\n")
    some, outputs = run_examples([examples[i] for i in sample], labels.take(sample), arguments.skip_bad, classifier)
    return Evaluation([example.content() for example in some], outputs, Path(arguments.data).name, total)
