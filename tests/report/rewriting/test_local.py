"""A model in a folder: run for real, without network or code from the folder, and never for longer than allowed."""

import json
import shutil
import socket
import subprocess
import sys
import time
from datetime import datetime

import pytest
import torch
from safetensors.torch import load_file, save_file

from braintumor.domain import Action, LanguageModelError, Origin, Section
from braintumor.report.rewriting import Message, TransformersModel, rewrite
from braintumor.report.rewriting.local import plain
from tests.report.rewriting import cases


@pytest.fixture(scope="module")
def model(tiny_folder):
    return TransformersModel(tiny_folder)


@pytest.fixture
def copy(tiny_folder, tmp_path):
    """A copy of the tiny model that may be spoilt."""
    return shutil.copytree(tiny_folder, tmp_path / "copy")


def user(text):
    return [Message("user", text)]


def test_it_says_what_it_learnt_every_time(model, tiny_pairs):
    assert model.name == "tiny-llama"
    for question, answer in list(tiny_pairs.items())[:6]:
        assert model.complete(user(question), max_tokens=300) == answer
        assert model.complete(user(question), max_tokens=300) == answer


def test_a_report_is_worded_by_it_in_both_languages(model):
    report = cases.report_of(cases.first_visit())
    after = rewrite(report, model, when=datetime(2026, 1, 2), variant="prefix/2", deadline_s=900)
    assert [entry.detail for entry in after.audit if entry.action is Action.REFUSED] == []
    volume = {code: after.texts[code].sections[Section.FINDINGS][0] for code in ("en", "hi")}
    assert volume["en"].text == (
        "The volume of the whole tumour is 60.3\u00a0mL by voxel count and 60.1\u00a0mL by Simpson's rule."
    )
    assert volume["hi"].origin is Origin.MODEL


def test_what_it_never_learnt_does_not_get_in(model):
    report = cases.report_of(cases.follow_up())
    after = rewrite(report, model, when=datetime(2026, 1, 2), variant="prefix/2", languages=["en"])
    assert [entry for entry in after.audit if entry.action is Action.REFUSED]
    assert any(line.origin is Origin.TEMPLATE for line in after.texts["en"].sections[Section.FINDINGS])


CHATS = {
    "knows system messages": "{% for m in messages %}{{ m['content'] }}\n{% endfor %}",
    "knows none": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "{% for m in messages %}{{ m['content'].removeprefix('Be brief.\n\n') }}\n{% endfor %}",
}


@pytest.mark.parametrize("template", CHATS.values(), ids=CHATS)
def test_a_chat_template_is_used(copy, tiny_pairs, template):
    (copy / "chat_template.jinja").write_text(template)
    question, answer = next(iter(tiny_pairs.items()))
    model = TransformersModel(copy)
    assert model.complete(user(question), max_tokens=300) == answer
    model.complete([Message("system", "Be brief."), *user(question)], max_tokens=300)


def test_messages_without_a_template_stand_one_below_the_other():
    assert plain([Message("system", "Reword."), Message("user", "1. One.")]) == "Reword.\n\n1. One.\n"


def test_a_sequence_to_sequence_model_runs_too(tiny_folder, tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    folder = shutil.copytree(tiny_folder, tmp_path / "t5", ignore=shutil.ignore_patterns("*config.json", "*.safetensors"))
    shutil.copy(tiny_folder / "tokenizer_config.json", folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=1200,
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    answer = TransformersModel(folder).complete(user("translate English to Hindi: No tumour was segmented."), max_tokens=8)
    assert isinstance(answer, str)


def test_nothing_is_fetched(tiny_folder, tiny_pairs, tmp_path, monkeypatch):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    # transformers asks its hub about tokenisers with more than 100000 words, unless told not to
    words = Tokenizer(models.WordLevel({f"w{n}": n for n in range(100_100)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    large = tmp_path / "large"
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="w1").save_pretrained(large)
    GPT2LMHeadModel(GPT2Config(vocab_size=100_100, n_embd=8, n_layer=1, n_head=1, eos_token_id=1)).save_pretrained(large)

    def forbidden(*_, **__):
        raise AssertionError("network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    question, answer = next(iter(tiny_pairs.items()))
    assert TransformersModel(tiny_folder).complete(user(question), max_tokens=300) == answer
    TransformersModel(large).complete(user("w7 w8"), max_tokens=2)


def spoil_config(folder):
    (folder / "config.json").write_text("{")


def spoil_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def spoil_layer(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: t for name, t in tensors.items() if "layers.1" not in name}, folder / "model.safetensors", {"format": "pt"}
    )


def spoil_shape(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:5].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def spoil_kind(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-thing"}))


def pickle_weights(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def lose_weights(folder):
    (folder / "model.safetensors").unlink()


def lose_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def lose_everything(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_config, "cannot be loaded"),
        (spoil_weights, "cannot be loaded"),
        (spoil_layer, "not whole"),
        (spoil_shape, "cannot be loaded|not whole"),
        (spoil_kind, "cannot be loaded"),
        (pickle_weights, "pickled"),
        (lose_weights, "missing"),
        (lose_tokenizer, "cannot be loaded"),
        (lose_everything, "no language model"),
    ],
)
def test_a_broken_folder_is_told_in_plain_words(copy, spoil, words):
    spoil(copy)
    with pytest.raises(LanguageModelError, match=words):
        TransformersModel(copy)


def test_code_in_the_folder_is_never_run(copy):
    config = json.loads((copy / "config.json").read_text())
    own = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own", "AutoTokenizer": ["own.Own", None]}
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": own, "model_type": "own"}))
    (copy / "own.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\nclass Own: pass\n")
    (copy / "custom_generate").mkdir()
    (copy / "custom_generate" / "generate.py").write_text((copy / "own.py").read_text())
    with pytest.raises(LanguageModelError):
        TransformersModel(copy)
    (copy / "config.json").write_text(json.dumps({**config, "auto_map": own}))
    TransformersModel(copy).complete(user("x"), max_tokens=2)  # a known kind is taken from transformers itself
    assert not (copy / "ran").exists()
    assert not (copy / "custom_generate" / "ran").exists()


def test_the_time_limit_holds_inside_and_outside_of_a_step(tiny_folder, monkeypatch):
    model = TransformersModel(tiny_folder, timeout_s=0.2)
    for slow in (None, lambda *_, **__: time.sleep(3)):
        if slow is not None:
            monkeypatch.setattr(model._network, "generate", slow)
        else:
            monkeypatch.setattr(model._network.generation_config, "eos_token_id", None)
        started = time.monotonic()
        with pytest.raises(LanguageModelError, match=r"within 0\.2 s"):
            model.complete(user("rephrase English: " + "The whole tumour " * 20), max_tokens=400)
        assert time.monotonic() - started < 1.2


def test_a_failure_tells_neither_prompt_nor_words_of_the_library(model, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("The patient's sentence")

    with pytest.raises(LanguageModelError, match="longer than the language model can read"):
        model.complete(user("far too long " * 500), max_tokens=5)
    monkeypatch.setattr(model._network, "generate", fails)
    with pytest.raises(LanguageModelError) as told:
        model.complete(user("Secret"), max_tokens=5)
    assert str(told.value).startswith("The language model failed (RuntimeError)")
    assert told.value.__cause__ is None


def test_transformers_is_imported_only_where_a_folder_is_used():
    code = "import sys, braintumor.report.rewriting; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_transformers_that_something_else_imported_before_does_no_harm():
    lines = (
        "import sys",
        "from transformers.utils.import_utils import is_torchvision_available as there",
        "there()",
        "from braintumor.report.rewriting.local import hide_broken_torchvision",
        "hide_broken_torchvision()",
        "from transformers import LlamaConfig, LlamaForCausalLM",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=300)
