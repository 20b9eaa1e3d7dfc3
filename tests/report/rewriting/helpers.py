"""A verifier made of numbers only, and a model that rewords and translates our own sentences as it should."""

import json
import re
from dataclasses import dataclass
from functools import cache

from braintumor.report import state
from braintumor.report.language import render_statement
from tests.report.rewriting.cases import CASES


@dataclass(frozen=True)
class Problem:
    kind: str
    detail: str


def numbers(text):
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", text))


def check(text, statement, code):
    """Same numbers as the deterministic sentence, and nothing about what is not in any statement."""
    found, wanted = numbers(text), numbers(render_statement(statement, code))
    problems = [Problem("number", f"{found} instead of {wanted}")] if found != wanted else []
    if re.search(r"glioblastoma|ignore|http", text, re.IGNORECASE):
        problems.append(Problem("added", "words that no fact supports"))
    return tuple(problems)


def agrees_back(back, statement):
    return check(back, statement, "en")


CHECKS = {"check": check, "agrees_back": agrees_back}


def asked(messages):
    """Number -> sentence of the last question."""
    return {int(n): text for n, text in re.findall(r"^(\d+)\. (.*)$", messages[-1]["content"], re.MULTILINE)}


def wanted(messages):
    """``en``, ``hi`` or ``back``."""
    system = messages[0]["content"]
    return "hi" if "into Hindi" in system else "back" if "into English" in system else "en"


PREFIXES = {"en": "rephrase English", "hi": "translate English to Hindi", "back": "translate Hindi to English"}
"""How the variant ``prefix/1`` asks for the same."""


def plain(text):
    return text.replace("\u00a0", " ")


def reworded(text):
    return f"On this study, {text[0].lower()}{text[1:]}"


@cache
def dictionary():
    """English sentence, as it is and reworded -> Hindi, over all cases."""
    pairs = {}
    for make in CASES.values():
        for statement in state(make()):
            english, hindi = plain(render_statement(statement, "en")), plain(render_statement(statement, "hi"))
            pairs[english] = pairs[reworded(english)] = hindi
    return pairs


def well(sentences, task):
    """What a good model makes of the sentences."""
    if task == "en":
        return {n: reworded(text) for n, text in sentences.items()}
    words = dictionary()
    if task == "hi":
        return {n: words[text] for n, text in sentences.items()}
    back = {hindi: english for english, hindi in words.items()}
    return {n: back[text] for n, text in sentences.items()}


def good(messages):
    """A well-behaved model."""
    return as_json(well(asked(messages), wanted(messages)))


def as_json(sentences):
    return json.dumps({str(n): text for n, text in sentences.items()}, ensure_ascii=False)
