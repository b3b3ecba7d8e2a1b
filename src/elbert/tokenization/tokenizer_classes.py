"""What transformers' tokenizer classes build from a vocabulary and the settings of a folder, without transformers.

Version 5 of transformers takes from ``tokenizer.json`` only the vocabulary, for ALBERT also the template and the table
of characters; the rest follows the settings.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from elbert.errors import BundleError
from elbert.tokenization.folder_settings import CONFIG_FILE, PLAIN, ROLES, FolderSettings
from elbert.tokenization.sentencepiece import REMEDY, Piece, check_charsmap, read_sentencepiece

SPACE = "▁"
# ALBERT was trained with the comma after a digit split off, which a piece such as "2010," would prevent. Such a piece
# keeps its id; its score becomes a hundred nats lower than that of any other segmentation.
DIGIT_COMMA_PENALTY = 100.0
ALBERT: Mapping[str, str] = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
BERT: Mapping[str, str] = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
ROBERTA: Mapping[str, str] = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "AlbertTokenizer": ALBERT,
    "BertTokenizer": BERT,
    "DistilBertTokenizer": BERT,
    "RobertaTokenizer": ROBERTA,
    PLAIN: {},
}
WITH_TYPE_IDS = ("BertTokenizer",)  # classes that return token_type_ids if the settings do not decide
VOCABULARY_FILES: Mapping[str, tuple[str, ...]] = {
    "BertTokenizer": ("vocab.txt",),
    "DistilBertTokenizer": ("vocab.txt",),
    "RobertaTokenizer": ("vocab.json", "merges.txt"),
}


def lay_over(tokenizer: Tokenizer, content: Mapping[str, Any], settings: FolderSettings, folder: Path) -> Tokenizer:
    """Return the tokenizer that the class of the settings makes of a ``tokenizer.json``, read as ``tokenizer``.

    Raises:
        BundleError: transformers cannot build it either.
    """
    model = content.get("model") or {}
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list) and settings.class_name != "AlbertTokenizer":
        vocabulary = {entry[0] if isinstance(entry, list) else entry: i for i, entry in enumerate(vocabulary)}
    if settings.class_name == "AlbertTokenizer" and isinstance(vocabulary, list):
        pieces = models.Unigram([(text, score) for text, score in vocabulary], 1, byte_fallback=False)
        built = _build_albert(Tokenizer(pieces), settings, read_charsmap(content.get("normalizer")), folder)
        add_tokens(built, settings)
        if tokenizer.post_processor is not None:
            built.post_processor = tokenizer.post_processor
    elif settings.class_name in ("BertTokenizer", "DistilBertTokenizer") and isinstance(vocabulary, dict):
        built = _build_bert(models.WordPiece(vocabulary, unk_token=settings.text("unk_token", "[UNK]")), settings)
    elif settings.class_name == "RobertaTokenizer" and isinstance(vocabulary, dict):
        merges = [(first, second) for first, second in map(_split_merge, model.get("merges") or [])]
        built = _build_roberta(models.BPE(vocabulary, merges, **BPE_SETTINGS), settings)
    else:
        return add_tokens(tokenizer, settings)  # the class uses the file as it is, or cannot read it
    return built


def build_from_vocabulary(folder: Path, settings: FolderSettings) -> Tokenizer:
    """Build the tokenizer of a class from its vocabulary files.

    Raises:
        BundleError: a file is missing or damaged.
    """
    names = VOCABULARY_FILES[settings.class_name]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BundleError(
            f"{folder}: {settings.class_name} found no vocabulary: {' and '.join(missing)} missing; "
            "name the right tokenizer_class in tokenizer_config.json, or copy the tokenizer files of the model"
        )
    paths = [str(folder / name) for name in names]
    if names == ("vocab.txt",):
        vocabulary = models.WordPiece.read_file(paths[0])
        return _build_bert(models.WordPiece(vocabulary, unk_token=settings.text("unk_token", "[UNK]")), settings)
    return _build_roberta(models.BPE(*models.BPE.read_file(*paths), **BPE_SETTINGS), settings)


def build_from_sentencepiece(path: Path, settings: FolderSettings) -> Tokenizer:
    """Build the tokenizer of the ``spiece.model`` at ``path``, as ALBERT's authors use it.

    Raises:
        BundleError: the file is not a unigram model, or lacks a special token that the settings name.
    """
    model = read_sentencepiece(path)
    vocabulary = [(piece.text, _adjust_score(piece)) for piece in model.pieces]
    pieces = models.Unigram(vocabulary, model.unk_id, model.byte_fallback)
    tokenizer = _build_albert(Tokenizer(pieces), settings, model.charsmap, path)
    known = sorted((tokenizer.token_to_id(name), name) for name in _special_texts(settings, tokenizer))
    mask = settings.text("mask_token", ALBERT["mask_token"])
    tokenizer.add_special_tokens([AddedToken(name, lstrip=name == mask, special=True) for _, name in known])
    # A special token that the model lacks would get an id beyond the embeddings.
    tokenizer = add_tokens(tokenizer, settings, only_known=True)
    # Writing and reading a tokenizer.json changes a score by its last bit, enough to decide a tie otherwise. After one
    # round trip the scores are stable.
    return Tokenizer.from_str(tokenizer.to_str())


def add_tokens(tokenizer: Tokenizer, settings: FolderSettings, *, only_known: bool = False) -> Tokenizer:
    """Add the tokens of the settings, in transformers' order, and return the tokenizer.

    A special token that only the class has by default is added only if the vocabulary has it: its id would be beyond
    the embeddings. ``only_known`` extends this to the tokens that the settings name.
    """
    tokens = list(settings.added.values())
    texts = {token.content for token in [*tokenizer.get_added_tokens_decoder().values(), *tokens]}
    for role in ROLES:
        default = DEFAULTS.get(settings.class_name, {}).get(role)
        if role in settings.named:
            token = settings.named[role]
        elif default is not None and role not in settings.values:
            token = AddedToken(default, special=True)
        else:
            continue
        is_known = tokenizer.token_to_id(token.content) is not None
        if token.content not in texts and (is_known or (role in settings.named and not only_known)):
            tokens.append(token)
    tokens += [token for token in settings.extra if token.content not in texts]
    named = {token.content for token in settings.named.values()} | settings.own
    for token in tokens:
        token.special = token.special or token.content in named
    tokenizer.add_tokens(tokens)
    return tokenizer


BPE_SETTINGS: Mapping[str, Any] = {
    "dropout": None,
    "continuing_subword_prefix": "",
    "end_of_word_suffix": "",
    "fuse_unk": False,
}


def _build_bert(model: models.WordPiece, settings: FolderSettings) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.boolean("tokenize_chinese_chars", True),
        strip_accents=settings.values.get("strip_accents"),
        lowercase=settings.boolean("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    add_tokens(tokenizer, settings)
    cls, sep = settings.text("cls_token", BERT["cls_token"]), settings.text("sep_token", BERT["sep_token"])
    ids = _find_ids(tokenizer, settings, (cls, sep))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=list(ids.items()),
    )
    return tokenizer


def _build_roberta(model: models.BPE, settings: FolderSettings) -> Tokenizer:
    tokenizer = Tokenizer(model)
    add_prefix_space = settings.boolean("add_prefix_space", False)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    add_tokens(tokenizer, settings)
    cls, sep = settings.text("cls_token", ROBERTA["cls_token"]), settings.text("sep_token", ROBERTA["sep_token"])
    ids = _find_ids(tokenizer, settings, (cls, sep))
    tokenizer.post_processor = processors.RobertaProcessing((sep, ids[sep]), (cls, ids[cls]), True, add_prefix_space)
    return tokenizer


def _build_albert(tokenizer: Tokenizer, settings: FolderSettings, charsmap: bytes, path: Path) -> Tokenizer:
    steps: list[normalizers.Normalizer] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not settings.boolean("keep_accents", False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings.boolean("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    if charsmap:
        steps.append(normalizers.Precompiled(charsmap))
    tokenizer.normalizer = normalizers.Sequence(steps)
    scheme = "always" if settings.boolean("add_prefix_space", True) else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme)]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme=scheme)
    names = {role: settings.text(role, ALBERT[role]) for role in ("cls_token", "sep_token")}
    for role, name in names.items():
        if tokenizer.token_to_id(name) is None:
            raise BundleError(f"{path}: no piece {name!r} for {role}; name it in tokenizer_config.json, or {REMEDY}")
    cls, sep = names.values()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", "$B:1", f"{sep}:1"],
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in dict.fromkeys((cls, sep))],
    )
    return tokenizer


def _split_merge(merge: Any) -> Any:
    return merge.split(" ") if isinstance(merge, str) else merge


def _find_ids(tokenizer: Tokenizer, settings: FolderSettings, names: tuple[str, str]) -> dict[str, int]:
    ids = {}
    for name in names:
        found = tokenizer.token_to_id(name)
        if found is None:
            raise BundleError(f"{CONFIG_FILE}: the vocabulary has no {name!r}, which {settings.class_name} needs")
        ids[name] = found
    return ids


def read_charsmap(normalizer: Any) -> bytes:
    """Return the table of characters of a ``tokenizer.json``, which is in one of its normalizers; empty without one.

    Raises:
        ValueError: the table is damaged.
    """
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    tables = [step.get("precompiled_charsmap") for step in steps if step.get("type") == "Precompiled"]
    decoded = [base64.b64decode(table) for table in tables if table]
    for table in decoded:
        check_charsmap(table)
    return decoded[0] if decoded else b""


def _adjust_score(piece: Piece) -> float:
    ends_in_digit_comma = piece.text.endswith(",") and piece.text[-2:-1].isdigit()
    return piece.score - DIGIT_COMMA_PENALTY if ends_in_digit_comma else piece.score


def _special_texts(settings: FolderSettings, tokenizer: Tokenizer) -> set[str]:
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    names = {settings.text(role, ALBERT[role]) for role in roles}
    return {name for name in names if tokenizer.token_to_id(name) is not None}
