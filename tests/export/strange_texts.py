"""Texts that tokenizers read in special ways: special tokens, spaces, marks, letters of many scripts."""

SPECIALS = (
    "[MASK] ",
    " [MASK]",
    "\u3000[MASK]",
    "[SEP]",
    "[CLS]",
    "[PAD]",
    "[UNK]",
    "<unk>",
    "<pad>",
    "\u2581",
    "\u2581\u2581",
)
SPACES = (
    "  ",
    "\t",
    "\r\n",
    "\u00a0",
    "\u200b",
    "\u0085",
    "a\u200d",
    "x\ufe0f",
    "\ufeff",
    "\u202e",
    "\u00ad",
    "\u0000",
    "\ufffd",
)
LETTERS = (
    "ΑΣ",
    "Σ",
    "İ",
    "ı",
    "ß",
    "\u1e9e",
    "ﬁ",
    "½",
    "Å",
    "A\u030a",
    "e\u0301\u0327",
    "e\u0327\u0301",
    "\u0344",
    "\u0130\u0307",
)
ABROAD = (
    "한국",
    "\u1112\u1161\u11ab",
    "が",
    "か\u3099",
    "日本",
    "\u2f00",
    "\ufa10",
    "\u0600a",
    "1\u20e3",
    "\u0e33",
    "क्षि",
)
PICTURES = ("a🏻", "🏻", "👩\u200d👩\u200d👧", "🇫🇷", "\U0001f9d1\U0001f3fe")
MARKS = ("``", "''", "'''", "…", "don't", "U.S.", "1,000", "2010,")
NEW = ("\ua7f2", "\U0001fbf1", "\u0897", "\U00016d68", "a\u0897\u0301")  # newer than the library's tables
PIECES = (*SPECIALS, *SPACES, *LETTERS, *ABROAD, *PICTURES, *MARKS, *NEW)


def strange(rng):
    """A synthetic text: any characters, whole blocks of them, marks upon marks, specials, endless words."""
    blocks = [(0, 0x300), (0x300, 0x370), (0x590, 0x700), (0x900, 0xE80), (0x1100, 0x1200), (0x1E00, 0x2000)]
    blocks += [(0x2000, 0x2070), (0x3000, 0x3400), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xF900, 0x10000)]
    blocks += [(0x1F1E6, 0x1FB00), (0x10000, 0x110000), (0xE0000, 0xE0100)]
    kind, size = rng.randrange(5), rng.randrange(30)
    low, high = rng.choice(blocks)

    def drawn():
        if kind == 0:
            return chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)]))
        if kind == 1:
            return chr(rng.randrange(low, high))
        if kind == 2:
            return rng.choice("aeiou AEIOU.,!\n") + chr(rng.choice([rng.randrange(0x300, 0x370), 0x200D, 0xFE0F]))
        return rng.choice(PIECES) + rng.choice(["", " ", "a"])

    if kind == 4:
        return "".join(rng.choice("abcdefgh-'.é漢") for _ in range(size * 20))
    return "".join(drawn() for _ in range(size))
