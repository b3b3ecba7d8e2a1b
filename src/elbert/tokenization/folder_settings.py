"""The settings of a folder's tokenizer, merged from its files in the order in which transformers 5 merges them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from elbert._display import quote_error
from elbert._model_files import read_json
from elbert.errors import BundleError

CONFIG_FILE = "tokenizer_config.json"
SPECIALS_FILE = "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"
MODEL_FILE = "config.json"
REMEDY = "restore it, or delete it"
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
SIDES = ("left", "right")
BOOLEANS = ("do_lower_case", "keep_accents", "tokenize_chinese_chars", "add_prefix_space", "split_special_tokens")
# transformers would build the tokenizer from these, which no program writes into the file.
UNSUPPORTED = (
    *("vocab", "merges", "tokenizer_object", "gguf_file", "post_processor", "tokenizer_padding"),
    *("tokenizer_truncation", "model_specific_special_tokens", "_json_truncation", "_json_padding"),
)
MODEL_TYPES: Mapping[str, str] = {  # transformers' class where no file names one
    "albert": "AlbertTokenizer",
    "bert": "BertTokenizer",
    "distilbert": "BertTokenizer",
    "roberta": "RobertaTokenizer",
}
PLAIN = "TokenizersBackend"  # transformers' class that uses tokenizer.json as it is
ALIASES: Mapping[str, str] = {
    "PreTrainedTokenizer": PLAIN,
    "PythonBackend": PLAIN,
    "ElectraTokenizer": "BertTokenizer",
}


@dataclass(frozen=True)
class FolderSettings:
    """The settings of a folder.

    class_name:  transformers' class for the folder, as its version 5 chooses and names it
    values:      ``tokenizer_config.json``, completed by the older files; special tokens are texts
    named:       the special tokens with a role, by role
    extra:       the special tokens without a role
    added:       the added tokens by id, in the order of the ids
    own:         the texts of the special tokens of this model alone, such as image_token
    """

    class_name: str
    values: dict[str, Any]
    named: dict[str, AddedToken]
    extra: list[AddedToken]
    added: dict[int, AddedToken]
    own: frozenset[str] = frozenset()

    def token(self, role: str, default: str) -> AddedToken:
        """Return the special token of a role."""
        return self.named.get(role) or AddedToken(default, special=True)

    def text(self, role: str, default: str) -> str:
        """Return the text of the special token of a role."""
        return str(self.token(role, default).content)

    def boolean(self, name: str, default: bool) -> bool:
        """Return a setting that is true or false."""
        return bool(self.values.get(name, default))


def read_folder_settings(folder: Path, tokenizer_json: Mapping[str, Any] | None) -> FolderSettings:
    """Read the settings of the tokenizer in ``folder``; ``tokenizer_json`` is the content of its ``tokenizer.json``.

    Raises:
        BundleError: a file is damaged, or has a setting that cannot be followed.
    """
    config = folder / CONFIG_FILE
    values = read_object(config)
    _check_values(values, config)
    _rename_extra_tokens(values)
    own = _pop_own_tokens(values)
    if "added_tokens_decoder" not in values:
        _merge_specials(values, folder / SPECIALS_FILE)
        own |= _pop_own_tokens(values)
    if "added_tokens_decoder" in values:
        added = _read_added(values["added_tokens_decoder"], config)
    else:
        added = _read_legacy_added(values, own.values(), folder / ADDED_FILE)
        if tokenizer_json is not None:
            added |= _read_json_added(tokenizer_json.get("added_tokens") or [], folder / "tokenizer.json")
    # Only now, as in transformers: added_tokens.json does not make these tokens special.
    if "extra_special_tokens" not in values and "additional_special_tokens" in values:
        values["extra_special_tokens"] = values.pop("additional_special_tokens")
    if tokenizer_json is not None:
        _default_to_json(values, tokenizer_json)
    by_text = {token.content: token for token in added.values()}
    named: dict[str, AddedToken] = {}
    for role in ROLES:
        if values.get(role) is not None:
            token = _as_token(values[role], config, role)
            named[role] = by_text.get(token.content, token)
            values[role] = token.content
    extra = [_as_token(token, config, "extra_special_tokens") for token in _as_list(values.get("extra_special_tokens"))]
    of_model = [_as_token(token, config, "extra_special_tokens") for token in own.values()]
    texts = frozenset(token.content for token in of_model)
    class_name = choose_class(folder, values.get("tokenizer_class"))
    return FolderSettings(class_name, values, named, of_model + extra, dict(sorted(added.items())), texts)


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if there is no file.

    Raises:
        BundleError: the file is not a JSON object.
    """
    return read_json(path, remedy=REMEDY) if path.exists() else {}


def choose_class(folder: Path, declared: object) -> str:
    """Return transformers' class for ``folder``, whose ``tokenizer_config.json`` declares the class ``declared``."""
    config = read_object(folder / MODEL_FILE)
    for name in (declared, config.get("tokenizer_class")):
        if name:
            plain = str(name).removesuffix("Fast")
            return ALIASES.get(plain, plain)
    return MODEL_TYPES.get(str(config.get("model_type")), PLAIN)


def _check_values(values: Mapping[str, Any], config: Path) -> None:
    for name in UNSUPPORTED:
        if name in values:
            raise BundleError(f"{config}: {name} is not supported; delete it, and save the tokenizer as tokenizer.json")
    if values.get("init_inputs"):
        raise BundleError(f"{config}: init_inputs is not supported; save the tokenizer as tokenizer.json")
    files = values.get("fast_tokenizer_files", ["tokenizer.json"])
    if files != ["tokenizer.json"]:
        raise BundleError(
            f"{config}: fast_tokenizer_files names files for versions of transformers, expected tokenizer.json alone; "
            "keep the right file as tokenizer.json, and delete the setting"
        )
    for name in ("truncation_side", "padding_side"):
        if name in values and values[name] not in SIDES:
            raise BundleError(f"{config}: {name} is {values[name]!r:.80}, expected left or right")
    for name in BOOLEANS:
        if name in values and not isinstance(values[name], bool):
            raise BundleError(f"{config}: {name} is {values[name]!r:.80}, expected true or false")
    if not isinstance(values.get("strip_accents"), bool | None):
        raise BundleError(f"{config}: strip_accents is {values['strip_accents']!r:.80}, expected true, false or null")
    names = values.get("model_input_names", ["input_ids"])
    if not isinstance(names, list) or "input_ids" not in names or not all(isinstance(name, str) for name in names):
        raise BundleError(f"{config}: model_input_names is {names!r:.80}, expected a list with input_ids")


def _rename_extra_tokens(values: dict[str, Any]) -> None:
    if "additional_special_tokens" in values and not values.get("extra_special_tokens"):
        values["extra_special_tokens"] = values.pop("additional_special_tokens")


def _pop_own_tokens(values: dict[str, Any]) -> dict[str, Any]:
    """Remove and return special tokens of this model alone, such as image_token: they have no role here."""
    names = [name for name, value in values.items() if name.endswith("_token") and _read_text(value) is not None]
    own = {name: values.pop(name) for name in names if name not in ROLES}
    if isinstance(values.get("extra_special_tokens"), dict):
        own |= values.pop("extra_special_tokens")
    return own


def _merge_specials(values: dict[str, Any], path: Path) -> None:
    """Lay the older file of special tokens over the settings, as transformers does without added_tokens_decoder."""
    for name, value in read_object(path).items():
        if name == "extra_special_tokens" and isinstance(value, list):
            value = [*_as_list(values.get(name)), *value]
        values[name] = {**value, "special": True} if isinstance(value, dict) and name in ROLES else value


def _read_added(tokens: Any, config: Path) -> dict[int, AddedToken]:
    try:
        return {int(number): _as_token(token, config, "added_tokens_decoder") for number, token in tokens.items()}
    except (AttributeError, ValueError) as error:
        raise BundleError(
            f"{config}: added_tokens_decoder is not an object of ids and tokens ({quote_error(error)})"
        ) from None


def _read_legacy_added(values: Mapping[str, Any], own: Iterable[Any], path: Path) -> dict[int, AddedToken]:
    """Read ``added_tokens.json``, which has only the ids of texts."""
    special = [*(values.get(role) for role in ROLES), *_as_list(values.get("extra_special_tokens")), *own]
    names = {_read_text(token) for token in special}
    added = {}
    for text, number in read_object(path).items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise BundleError(f"{path}: the id of {text!r:.80} is {number!r:.80}, expected a whole number")
        added[number] = AddedToken(text, normalized=text not in names, special=text in names)
    return added


def _read_json_added(tokens: Any, path: Path) -> dict[int, AddedToken]:
    try:
        return {int(token["id"]): _as_token(token, path, "added_tokens") for token in tokens}
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: added_tokens is not a list of tokens with ids ({error!r:.80})") from None


def _default_to_json(values: dict[str, Any], tokenizer_json: Mapping[str, Any]) -> None:
    """Complete the settings with the side of truncation and the token of padding that ``tokenizer.json`` has."""
    for name in ("add_bos_token", "add_eos_token"):
        values.pop(name, None)
    truncation, padding = tokenizer_json.get("truncation"), tokenizer_json.get("padding")
    if isinstance(truncation, dict) and str(truncation.get("direction")).lower() in SIDES:
        values.setdefault("truncation_side", str(truncation["direction"]).lower())
    if isinstance(padding, dict) and isinstance(padding.get("pad_token"), str):
        values.setdefault("pad_token", padding["pad_token"])


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _as_token(value: Any, path: Path, name: str) -> AddedToken:
    """Return a token that a file writes as a text or as ``{"content": …}``."""
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    if isinstance(value, Mapping):
        chosen = {flag: value[flag] for flag in flags if flag in value}
        text = value.get("content")
        if isinstance(text, str) and all(isinstance(flag, bool) for flag in chosen.values()):
            return AddedToken(text, **chosen)
    if isinstance(value, str):
        return AddedToken(value, special=True)
    raise BundleError(f"{path}: {name} has {value!r:.80}, expected a token as text or as an object with content")


def _read_text(token: object) -> str | None:
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None
