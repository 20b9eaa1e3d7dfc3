"""A model that rewords our own templates as it should, and what it was asked."""

import json
import re


def asked(messages):
    """Number -> template of the last question."""
    return {int(n): text for n, text in re.findall(r"^(\d+)\. (.*) \[", messages[-1]["content"], re.MULTILINE)}


def language(messages):
    """The language that is asked for."""
    return "hi" if "Hindi" in messages[0]["content"] else "en"


def plain(text):
    return text.replace("\u00a0", " ")


def reworded(text, code="en"):
    return f"{'On this study' if code == 'en' else 'इस जाँच में'}, {text[0].lower()}{text[1:]}"


def well(messages):
    """Number -> what a good model makes of each sentence."""
    return {n: reworded(text, language(messages)) for n, text in asked(messages).items()}


def good(messages):
    """A well-behaved model."""
    return as_json(well(messages))


def as_json(sentences):
    return json.dumps({str(n): text for n, text in sentences.items()}, ensure_ascii=False)
