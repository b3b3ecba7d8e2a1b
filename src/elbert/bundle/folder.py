"""The model folder: a plain ALBERT classifier, or one of a related family, plus ``exits.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from elbert._display import plural, quote_error
from elbert._model_files import read_json
from elbert.bundle.certificate import files_hash
from elbert.bundle.operating_points import EXITS_FILE, OperatingPoint, read_points, read_precisions
from elbert.errors import BundleError
from elbert.exits import Policy
from elbert.exits import policy as parse_policy
from elbert.model import ModelConfig, weight_files
from elbert.tokenization import Tokeniser

BUNDLED = "bundled"  # the name of the bundled model, where no folder has it
SHOWN_LABELS = 20
DOWNLOADED_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # of a hub repository; never a pickle


@dataclass(frozen=True)
class Bundle:
    """An opened model folder: its path, the model's configuration, its operating points."""

    folder: Path
    config: ModelConfig
    points: dict[str, OperatingPoint]
    default: str | None
    precisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # measurements of each

    @classmethod
    def open(cls, model: str | Path | None = None) -> Bundle:
        """Open a folder or a hub id, which is downloaded; without ``model``, or for ``bundled``, the bundled model.

        Raises:
            BundleError: there is no such model, or it is not a classifier of a supported family.
        """
        folder = bundled_model() if model is None else locate_model(str(model))
        config = ModelConfig.from_dict(read_config_file(folder), str(folder / "config.json"))
        points, default = read_points(folder / EXITS_FILE)
        return cls(folder, config, points, default, read_precisions(folder / EXITS_FILE))

    @property
    def text_points(self) -> dict[str, OperatingPoint]:
        """The operating points for single texts: those of rankings compare the texts of a list."""
        return {name: point for name, point in self.points.items() if not point.policy.list_rules}

    @property
    def safe_precisions(self) -> list[str]:
        """The precisions that ``dtype="auto"`` may choose: those with a negligible measured loss of accuracy."""
        return [name for name, measured in self.precisions.items() if measured.get("auto") is True]

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weight files: a certificate holds for these weights only."""
        return files_hash(weight_files(self.folder))

    def describe(self) -> list[tuple[str, object]]:
        """Return what the model is and has, by name, for people."""
        labels = self.config.labels
        return [
            ("encoder", f"{self.config.backbone.title}, {plural(self.config.depths, 'depth')}"),
            ("labels", ", ".join(labels[:SHOWN_LABELS]) + (", …" if len(labels) > SHOWN_LABELS else "")),
            ("operating points", ", ".join(self.points) or "none: it runs to full depth until a policy is named"),
        ]

    def describe_mismatch(self, name: str, dtype: str, max_length: int, long: str | None = None) -> str | None:
        """Describe how this use differs from an operating point's conditions; None if it does not or has none.

        ``long`` is how long texts are read: cut, or a spec of windows; None where that is not known yet. Token
        classifiers read all windows, and are not compared by it.
        """
        conditions, long = self.points[name].conditions, None if self.config.task.per_token else long
        if conditions is None:
            return None
        differences = conditions.describe_differences(self.weights_hash, dtype, max_length, long)
        if not differences:
            return None
        return (
            f"operating point {name!r} was calibrated {', and '.join(differences)}: "
            "its figures, and its certificate if it has one, do not hold; calibrate again"
        )

    def load_tokeniser(self) -> Tokeniser:
        """Load the tokenizer of the folder.

        Raises:
            BundleError: there is none, or it belongs to another model.
            MissingExtra: only transformers can read it, and transformers is not installed.
        """
        tokeniser = Tokeniser.load(self.folder, self.config.max_length, per_token=self.config.task.per_token)
        if tokeniser.vocab_size > self.config.vocab_size:
            raise BundleError(
                f"{self.folder}: the tokenizer has {plural(tokeniser.vocab_size, 'token')}, the model "
                f"{self.config.vocab_size}: they belong to different models; restore the tokenizer files"
            )
        return tokeniser

    def resolve_policy(self, spec: str | Policy | None = None) -> Policy:
        """Return the policy of a spec or of an operating point's name.

        Without ``spec``, the folder's default operating point; if it has none, ``full``, because a classifier that was
        not trained for early exits must run at full depth.

        Raises:
            PolicyError: the spec cannot be parsed.
        """
        names = {name: point.policy for name, point in self.points.items()}
        if spec is None:
            return names[self.default] if self.default else parse_policy("full")
        return parse_policy(spec, names)


def bundled_model() -> Path:
    """Return the folder of the model that comes with the package: sentiment of English sentences."""
    return Path(str(files("elbert") / "bundled"))


def locate_model(model: str) -> Path:
    """Return the local folder of a model: a path, or a hub id, downloaded into the hub's cache.

    Raises:
        BundleError: there is no such folder, and no such hub repository.
    """
    path = find_local_path(model)
    if path is not None and path.is_dir():
        return path
    if model == BUNDLED:
        return bundled_model()
    if path is not None and path.exists():
        raise BundleError(f"{model}: a file; expected the folder that holds config.json and model.safetensors")
    if path is None or model.count("/") > 1 or model.startswith((".", "/", "~")):
        raise BundleError(
            f"{model!r}: no such folder; give the folder of an ALBERT classifier "
            "(or BERT, RoBERTa, DistilBERT), or its hub id"
        )
    return Path(download(model))


def download(model: str, revision: str | None = None) -> str:
    """Return the folder of a model of the hub, downloaded if it is not in the cache.

    Raises:
        BundleError: the hub has no such model or revision, or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return snapshot_download(model, revision=revision, allow_patterns=DOWNLOADED_FILES)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = {
            LocalEntryNotFoundError: "the hub cannot be reached",
            HFValidationError: "this cannot be a name on the hub",
        }.get(type(error), f"the download from the hub failed: {quote_error(error)}")
        at = "" if revision is None else f" at revision {revision!r}"
        raise BundleError(
            f"{model!r}{at}: no such folder here, and {reason}; check the spelling and the network, "
            "or give the path of a folder with the model"
        ) from error


def find_local_path(model: str) -> Path | None:
    """Return the path of that name, which need not exist; None if it cannot be a path."""
    try:
        path = Path(model).expanduser()
        path.exists()
    except (OSError, RuntimeError):  # a name that is too long, or the home of an unknown user
        return None
    return path if model.strip() else None


def read_config_file(folder: Path) -> dict[str, Any]:
    """Return the contents of ``config.json``.

    Raises:
        BundleError: the file is missing, too large, or not a JSON object.
    """
    absent = "expected the folder of an ALBERT classifier (or BERT, RoBERTa, DistilBERT), as transformers saves it"
    return read_json(folder / "config.json", absent=absent)
