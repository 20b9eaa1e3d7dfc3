"""Which series of a study the node works on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from braintumor.node.ledger import SeriesFacts
from braintumor.node.settings import Rule


def used_series(series: Iterable[SeriesFacts], rules: Sequence[Rule]) -> list[SeriesFacts]:
    """The series whose first fitting rule says ``process``; one that no rule fits is ignored."""
    return [one for one in series if _action(one, rules) == "process"]


def _action(series: SeriesFacts, rules: Sequence[Rule]) -> str:
    for rule in rules:
        if (
            rule.modality in ("", series.modality)
            and rule.calling in ("", series.calling)
            and re.search(rule.description, series.description, re.IGNORECASE)
        ):
            return rule.action
    return "ignore"
