"""The index belongs to one patient and one request, and holds nothing afterwards."""

import numpy as np
import pytest

from braintumor.notes import embedding
from braintumor.notes.index import NoteIndex
from braintumor.notes.notices import Notices
from braintumor.notes.reading import Document


def document(text, number=1):
    return Document(number, f"{number}.txt", (text,), False, "0" * 64, None)


def test_similar_sentences_are_found():
    with NoteIndex(embedding.load(), 100) as index:
        index.add(document("The tumour was removed by craniotomy. The bus was late."), Notices())
        scores = index.similarity(embedding.load()(["Surgery of the brain tumour."]))
        assert scores[0] > 0.5 > scores[1]
        index.add(document("Brain surgery was done.", 2), Notices())
        assert index.similarity(embedding.load()(["Surgery of the brain tumour."]))[2] > 0.5


def test_afterwards_it_holds_nothing_and_answers_nothing():
    note = document("The tumour was removed by craniotomy.")
    with NoteIndex(embedding.load(), 100) as index:
        index.add(note, Notices())
        index.similarity(np.zeros((1, embedding.DIMENSIONS), np.float32))
        vectors, entries = index._vectors, index._entries
        assert vectors.any()
        assert len(index) == 1
    assert len(index) == 0
    assert not vectors.any()
    assert not entries
    assert index._vectors.size == 0
    for ask in (
        lambda: index.entries,
        lambda: index.add(note, Notices()),
        lambda: index.similarity(np.zeros((1, 384), np.float32)),
    ):
        with pytest.raises(RuntimeError):
            ask()


def test_it_is_emptied_when_a_request_fails():
    with pytest.raises(KeyError), NoteIndex(embedding.load(), 100) as index:
        index.add(document("The tumour was removed."), Notices())
        raise KeyError
    assert len(index) == 0


def test_beyond_the_limit_sentences_have_no_vector():
    notices = Notices()
    with NoteIndex(embedding.load(), 1) as index:
        index.add(document("The tumour was removed. The tumour was taken out."), notices)
        scores = index.similarity(embedding.load()(["The tumour was removed."]))
    assert scores[0] > 0.9
    assert scores[1] == 0
    assert [f.code for f in notices.flags(1)] == ["notes-too-long"]


def test_entries_show_no_text():
    with NoteIndex(embedding.load(), 10) as index:
        index.add(document("The tumour was removed."), Notices())
        assert "tumour" not in repr(index.entries[0])
