"""The folder on disk: a plain ALBERT classifier, or one of its relatives, plus ``exits.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from elbert.bundle.certificate import files_hash
from elbert.bundle.operating_points import EXITS_FILE, OperatingPoint, read_points, read_precisions
from elbert.errors import BundleError
from elbert.exits import Policy
from elbert.exits import policy as read_policy
from elbert.model import ModelConfig, weight_files
from elbert.tokenization import Tokeniser

WANTED = ["*.json", "*.safetensors", "*.txt", "*.model"]  # what is fetched of a hub repository: never a pickle


@dataclass(frozen=True)
class Bundle:
    """A model folder that has been looked at: where it is, its sizes, its operating points."""

    folder: Path
    config: ModelConfig
    points: dict[str, OperatingPoint]
    default: str | None
    precisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # those whose accuracy was checked

    @classmethod
    def open(cls, model: str | Path | None = None) -> Bundle:
        """Open a folder, fetch a hub id, or with nothing named the bundled model.

        Raises:
            BundleError: nothing is there, or what is there is no classifier of a family that is known.
        """
        folder = bundled_model() if model is None else located(str(model))
        config = ModelConfig.of(read_json(folder / "config.json"), str(folder / "config.json"))
        points, default = read_points(folder / EXITS_FILE)
        return cls(folder, config, points, default, read_precisions(folder / EXITS_FILE))

    @property
    def harmless(self) -> list[str]:
        """The precisions that cost this model next to nothing, by what was measured."""
        return [name for name, measured in self.precisions.items() if measured.get("auto") is True]

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weights files: a certificate holds for these weights only."""
        return files_hash(weight_files(self.folder))

    def complaint(self, name: str, dtype: str, max_length: int) -> str | None:
        """What is wrong with using an operating point so; None where nothing is, or nothing is known of it."""
        conditions = self.points[name].conditions
        broken = conditions.broken(self.weights_hash, dtype, max_length) if conditions else []
        if not broken:
            return None
        return (
            f"operating point {name!r} was calibrated {', and '.join(broken)}: "
            "its figures, and its certificate if it has one, do not hold; calibrate again"
        )

    def tokeniser(self) -> Tokeniser:
        """The tokenizer of the folder.

        Raises:
            BundleError: there is none, or it belongs to another model.
        """
        tokeniser = Tokeniser.load(self.folder, self.config.max_length)
        if tokeniser.vocab_size > self.config.vocab_size:
            raise BundleError(
                f"{self.folder}: the tokenizer knows {tokeniser.vocab_size} tokens, the model "
                f"{self.config.vocab_size}: they belong to different models; restore the tokenizer files"
            )
        return tokeniser

    def policy(self, spec: str | Policy | None = None) -> Policy:
        """The policy of a spec or of an operating point's name.

        With nothing named, the folder's default operating point; without one, ``full``: a classifier that was not
        trained to answer early must not be made to.

        Raises:
            PolicyError: the spec cannot be read.
        """
        names = {name: point.policy for name, point in self.points.items()}
        if spec is None:
            return names[self.default] if self.default else read_policy("full")
        return read_policy(spec, names)


def bundled_model() -> Path:
    """The folder of the model that comes with the package: sentiment of English sentences."""
    return Path(str(files("elbert") / "bundled"))


def located(model: str) -> Path:
    """The local folder of a model: a path, or a hub id fetched into the hub's own cache.

    Raises:
        BundleError: it is neither.
    """
    path = local(model)
    if path is not None and path.is_dir():
        return path
    if path is not None and path.exists():
        raise BundleError(f"{model}: a file; expected the folder that holds config.json and model.safetensors")
    if path is None or model.count("/") > 1 or model.startswith((".", "/", "~")):
        raise BundleError(
            f"{model!r}: no such folder; give the folder of an ALBERT classifier "
            "(or BERT, RoBERTa, DistilBERT), or its hub id"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=WANTED))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BundleError(
            f"{model!r}: no such folder here, and the hub did not give it ({type(error).__name__}); "
            "check the spelling, or download it where there is a network"
        ) from error


def local(model: str) -> Path | None:
    """The path of that name, whether something is there or not; none where no file can be called so."""
    try:
        path = Path(model).expanduser()
        path.exists()
    except (OSError, RuntimeError):  # too long a name, a home that nobody has
        return None
    return path if model.strip() else None


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BundleError: it is missing, unreadable, or no object.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(
            f"{file}: missing; expected the folder of an ALBERT classifier "
            "(or BERT, RoBERTa, DistilBERT), as transformers saves it"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file}: not readable as JSON ({error}); download or save it again") from error
    if not isinstance(values, dict):
        raise BundleError(f"{file}: expected a JSON object, found {type(values).__name__}")
    return values
