"""A language model in a folder on this machine, run by transformers on the CPU without any network access."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braintumor.domain import LanguageModelError
from braintumor.report.rewriting.model import Message, bounded

if TYPE_CHECKING:
    import torch

_REMEDY = "Name a folder with config.json, tokenizer.json and model.safetensors, as transformers saves it"


class TransformersModel:
    """A causal or a sequence-to-sequence model; decoding is greedy, so the same messages give the same answer.

    Weights are read as safetensors only and code in the folder is never run: loading a folder cannot run anything. Answers are
    made one at a time, whoever asks; an answer that is not ready in time is broken off after the token in work.
    """

    def __init__(self, folder: Path, *, timeout_s: float = 120.0) -> None:
        """Load the model; a large one takes minutes.

        Raises
        ------
        LanguageModelError
            If the folder holds no whole model, or pickled weights only, or transformers is not installed.
        """
        _check_files(folder)
        self._name, self._timeout_s, self._lock = folder.resolve().name, timeout_s, threading.Lock()
        self._tokenizer, self._network = _load(folder)

    @property
    def name(self) -> str:
        """The folder's name, without the path to it."""
        return self._name

    def complete(self, messages: Sequence[Message], *, max_tokens: int) -> str:
        """The model's greedy answer.

        Raises
        ------
        LanguageModelError
        """
        until = time.monotonic() + self._timeout_s
        try:
            return bounded(lambda: self._answer(messages, max_tokens, until), self._timeout_s)
        except LanguageModelError:
            raise
        except TimeoutError:
            problem = f"The language model did not answer within {self._timeout_s:g} s"
            raise LanguageModelError(problem, remedy="Allow more time, or use a smaller model") from None
        except Exception as error:  # noqa: BLE001  # a broken model fails in any way, and messages may hold the prompt
            problem = f"The language model failed ({type(error).__name__})"
            raise LanguageModelError(problem, remedy="Use another model") from None

    def _answer(self, messages: Sequence[Message], max_tokens: int, until: float) -> str:
        import torch

        with self._lock, torch.inference_mode():
            inputs = self._encoded(messages)
            length = inputs["input_ids"].shape[1]
            answer = self._network.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=min(max_tokens, self._room(length)),
                max_time=max(0.0, until - time.monotonic()),
                pad_token_id=self._padding(),
            )[0]
        if time.monotonic() >= until:
            raise TimeoutError
        new = answer if self._network.config.is_encoder_decoder else answer[length:]
        return str(self._tokenizer.decode(new, skip_special_tokens=True)).strip()

    def _encoded(self, messages: Sequence[Message]) -> dict[str, torch.Tensor]:
        if self._tokenizer.chat_template:
            encoded = self._tokenizer(self._chat(messages), add_special_tokens=False, return_tensors="pt")
        else:
            encoded = self._tokenizer(plain(messages), return_tensors="pt")
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}

    def _chat(self, messages: Sequence[Message]) -> str:
        """The messages by the model's template; one that knows no system messages gets them before the first question."""
        from jinja2 import TemplateError

        rows = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return str(self._tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True))
        except TemplateError:
            asked = [row for row in rows if row["role"] != "system"]
            said = [row["content"] for row in rows if row["role"] == "system"]
            asked[0] = {"role": "user", "content": "\n\n".join((*said, asked[0]["content"]))}
            return str(self._tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True))

    def _room(self, length: int) -> int:
        """Tokens that the model can add to a prompt of this length."""
        config = self._network.config
        positions = getattr(config.get_text_config(), "max_position_embeddings", None)
        if not isinstance(positions, int):
            return 2**31 - 1
        room = positions if config.is_encoder_decoder else positions - length
        if room < 1 or length > positions:
            raise LanguageModelError("The prompt is longer than the language model can read", remedy="Use another model")
        return room

    def _padding(self) -> int | None:
        known = self._tokenizer.pad_token_id
        return self._tokenizer.eos_token_id if known is None else known


def plain(messages: Sequence[Message]) -> str:
    """The messages for a model that knows no conversations: one after the other, a line break before the answer."""
    return "\n\n".join(message.content for message in messages) + "\n"


def _check_files(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise LanguageModelError("The folder holds no language model", remedy=_REMEDY, path=folder)
    if not any(folder.glob("*.safetensors")):
        pickled = any(path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl") for path in folder.iterdir())
        problem = "are pickled, and reading such a file can run any code" if pickled else "are missing"
        raise LanguageModelError(f"The language model's weights {problem}", remedy=_REMEDY, path=folder)


def hide_broken_torchvision() -> None:
    """Keep transformers from importing a torchvision that cannot be imported.

    Where torchvision is installed, transformers imports it for text models too, and one that was built for another torch would
    take them down with it. Something else may have imported transformers before, and then it remembers having seen torchvision.
    """
    try:
        importlib.import_module("torchvision")
    except Exception:  # noqa: BLE001  # torch answers a foreign extension with RuntimeError, the loader with OSError
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # means: there is none
        seen = sys.modules.get("transformers.utils.import_utils")
        for name in ("is_torchvision_available", "is_torchvision_v2_available"):
            forget = getattr(getattr(seen, name, None), "cache_clear", None)
            if forget is not None:
                forget()


def _load(folder: Path) -> tuple[Any, Any]:
    hide_broken_torchvision()
    try:
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError:
        raise LanguageModelError("transformers is not installed", remedy="Install it, or use an endpoint") from None
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its warnings are for whoever trains, and may repeat what was put in
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        loaded: Any = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto",
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001  # transformers fails in any way on a damaged folder
        problem = f"The language model cannot be loaded ({type(error).__name__})"
        raise LanguageModelError(problem, remedy=_REMEDY, path=folder) from None
    network, report = loaded
    if report["missing_keys"] or report["mismatched_keys"]:  # transformers would fill them with random numbers
        raise LanguageModelError("The language model's weights are not whole", remedy=_REMEDY, path=folder)
    return tokenizer, network.eval()
