"""A tiny causal language model made here in seconds, that knows the sentences of a few reports by heart.

    python -m tests.report.rewriting.tiny FOLDER

It proves that the way through tokeniser, network, decoding, parsing and checking works for real, and nothing about the
quality of language models: it repeats what it was trained on, and writes nonsense for anything else.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from braintumor.domain import Findings
from braintumor.report.language import write_text
from braintumor.report.rewriting.candidates import SECTIONS, candidates
from braintumor.report.rewriting.local import hide_broken_torchvision

Pair = tuple[str, str]

_PATTERNS = (
    (r"The ⟦1⟧ has ⟦2⟧ and ⟦3⟧\.", "The volume of the ⟦1⟧ is ⟦2⟧ and ⟦3⟧."),
    (r"The ⟦1⟧ has ⟦2⟧, ⟦3⟧\.", "⟦3⟧, the ⟦1⟧ has ⟦2⟧."),
    (r"⟦1⟧ ⟦2⟧ है।", "⟦1⟧ ⟦2⟧ के बराबर है।"),
)


def paraphrase(sentence: str) -> str:
    """Another order of words for some sentences; the others stay as they are."""
    for pattern, words in _PATTERNS:
        if re.fullmatch(pattern, sentence):
            return words
    return sentence


def pairs_of(findings: Findings) -> Iterator[Pair]:
    """Prompts of the variant ``prefix/2`` and their answers, for everything that a rewriting of these findings asks."""
    for code, name in (("en", "English"), ("hi", "Hindi")):
        for candidate in candidates(findings, write_text(findings, code), SECTIONS):
            text = candidate.template.text
            yield f"rephrase {name}: {text}", paraphrase(text)


def make(folder: Path, pairs: Iterable[Pair], *, epochs: int = 80) -> Path:
    """A folder as transformers saves it, with a model that learnt the pairs."""
    import torch

    hide_broken_torchvision()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    rows = [(f"{question}\n", answer) for question, answer in dict(pairs).items()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), ["<pad>", "<end>"]
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text for row in rows for text in row], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")
    generator_state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # on busy cores the threads of so small a network wait for each other
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
    )
    network = LlamaForCausalLM(config)
    _train(network, fast, rows, epochs)
    torch.random.set_rng_state(generator_state)
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    network.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def _train(network, tokenizer, rows, epochs):
    import torch

    questions = [tokenizer(question)["input_ids"] for question, _ in rows]
    answers = [[*tokenizer(answer)["input_ids"], tokenizer.eos_token_id] for _, answer in rows]
    order = sorted(range(len(rows)), key=lambda n: len(questions[n]) + len(answers[n]))
    size = 8
    batches = [order[n : n + size] for n in range(0, len(order), size)]
    steps = epochs * len(batches)
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        batch = batches[step % len(batches)]
        longest = max(len(questions[n]) + len(answers[n]) for n in batch)
        ids = torch.full((len(batch), longest), tokenizer.pad_token_id)
        labels = torch.full_like(ids, -100)
        for row, n in enumerate(batch):
            both = questions[n] + answers[n]
            ids[row, : len(both)] = torch.tensor(both)
            labels[row, len(questions[n]) : len(both)] = torch.tensor(answers[n])
        loss = network(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long(), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def main() -> None:
    from tests.report.rewriting.cases import CASES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=80, help="fewer make a model that errs")
    words = parser.parse_args()
    make(words.folder, [pair for findings in CASES.values() for pair in pairs_of(findings())], epochs=words.epochs)


if __name__ == "__main__":
    main()
