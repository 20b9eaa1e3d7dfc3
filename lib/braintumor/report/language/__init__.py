"""Statements in words: one file of messages per language, numbers, units and dates by CLDR."""

from braintumor.report.language.speaker import Language, language_of, languages, render_statement, write_text

__all__ = ["Language", "language_of", "languages", "render_statement", "write_text"]
