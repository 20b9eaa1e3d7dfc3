"""The tiny model, trained once per session."""

import pytest

from tests.report.rewriting import cases, tiny


@pytest.fixture(scope="session")
def tiny_pairs():
    """What the tiny model knows by heart: prompt -> answer."""
    return dict(tiny.pairs_of(cases.first_visit()))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, tiny_pairs):
    """Its folder; read only, copy it before changing anything."""
    return tiny.make(tmp_path_factory.mktemp("tiny") / "tiny-llama", tiny_pairs.items())
