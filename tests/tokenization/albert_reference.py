"""ALBERT's tokenizer as its authors wrote it: plain Python around SentencePiece."""

import unicodedata


def prepare(text: str) -> str:
    text = " ".join(text.strip().split()).replace("``", '"').replace("''", '"')
    text = unicodedata.normalize("NFKD", text)
    return "".join(character for character in text if not unicodedata.combining(character)).lower()


def encode(model, text: str) -> list[int]:
    """Ids with [CLS] = 2 and [SEP] = 3 around; a comma after a digit is split off, as in ALBERT's training."""
    pieces: list[str] = []
    for piece in model.encode(prepare(text), out_type=str):
        if len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit():
            pieces += [*_respell(model, piece[:-1]), ","]
        else:
            pieces.append(piece)
    return [2, *(model.piece_to_id(piece) for piece in pieces), 3]


def _respell(model, piece: str) -> list[str]:
    spelled = model.encode(piece.replace("▁", ""), out_type=str)
    if piece[0] != "▁" and spelled[0][0] == "▁":
        spelled = [spelled[0][1:], *spelled[1:]] if len(spelled[0]) > 1 else spelled[1:]
    return spelled
