"""Whether a sentence is in the language of the embedding model, English; guessed from letters and small words."""

from __future__ import annotations

import re
from collections import Counter

_SMALL_WORDS = {
    "en": "the of and to in with was is for on at no he she has had be by his her from",
    "es": "el la los las de del con una para por que se fue está paciente sin más",
    "fr": "le la les des du avec une pour par que est été dans sans au patiente et",
    "de": "der die das und mit eine für von ist wurde bei nicht im zur den ohne keine",
    "pt": "o os as do da com uma para por que foi não em sem ao mais paciente",
    "it": "il lo gli di del della con una per che è stato nel senza non",
    "hi-latin": "hai hain ka ki ke ko mein se nahi aur tha thi raha rahi kar liye ho gaya",
}
_WORDS_OF = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_LATIN_END = "\u0250"
_ENOUGH = 0.12


def is_foreign_script(text: str) -> bool:
    """Whether at least three in ten letters are not Latin; a Greek letter in the name of a gene makes no sentence foreign."""
    letters = [c for c in text if c.isalpha()]
    foreign = sum(c >= _LATIN_END for c in letters)
    return foreign > 2 and foreign >= 0.3 * len(letters)


def is_other_latin(text: str) -> bool:
    """Whether a note in Latin letters is more likely in another language than English.

    Says yes only where small words of that language are frequent and at least twice as frequent as English ones: clinicians'
    shorthand has few small words of any language.
    """
    words = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    total = sum(words.values())
    shares = {language: sum(words[w] for w in small) / max(total, 1) for language, small in _WORDS_OF.items()}
    english = shares.pop("en")
    best = max(shares.values())
    return total >= 20 and best >= _ENOUGH and best >= 2 * english
