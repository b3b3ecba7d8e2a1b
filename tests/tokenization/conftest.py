import random
from pathlib import Path

import pytest

from elbert.tokenization import Tokeniser

ALBERT = Path(__file__).parents[2] / ".." / "shared" / "data" / "albert-spiece"
SENTENCE = "the film is a fine thing, and 12, 13, 2010, of them were bad (so bad) naive co-star caf resume it's"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A folder with nothing but a small spiece.model, trained here the way ALBERT's was."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("tiny")
    draw, words = random.Random(7), SENTENCE.split()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(draw.choices(words, k=9)) for _ in range(400)]),
        model_prefix=str(folder / "spiece"),
        model_type="unigram",
        vocab_size=90,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        user_defined_symbols=["(", ")", '"', "-", "."],
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
        num_threads=1,
    )
    (folder / "spiece.vocab").unlink()
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder) -> Tokeniser:
    return Tokeniser.load(tiny_folder, max_length=64)


@pytest.fixture(scope="session")
def albert_folder() -> Path:
    """Google's spiece.model, with the repaired Hugging Face form beside it; it lies outside the repository."""
    if not (ALBERT / "spiece.model").is_file():
        pytest.skip("../shared/data/albert-spiece is not here")
    return ALBERT
