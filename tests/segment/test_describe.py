"""Shapes, parameters and FLOPs of a network against numbers worked out by hand."""

import json

import pytest

from braintumor.cli import main
from braintumor.segment.describe import describe
from braintumor.segment.network import AttentionUNet, NetworkConfig


def test_parts_of_a_plain_network_of_two_levels():
    parts = describe(AttentionUNet(NetworkConfig(channels=(8, 16), attention=False, cbam=False)).eval(), 32, 16)
    assert [part.name for part in parts] == ["encoder 1", "encoder 2", "decoder 1", "head"]
    assert [part.shape for part in parts] == [(8, 32, 16), (16, 16, 8), (8, 32, 16), (4, 32, 16)]
    first = parts[0]
    weights = 4 * 8 * 9 + 8 * 8 * 9
    assert first.parameters == weights + 4 * 8  # and scale and shift of two batch norms
    assert first.gflop == pytest.approx(2 * weights * 32 * 16 / 1e9)
    assert parts[-1].parameters == 8 * 4 + 4


def test_attention_adds_parameters_to_the_decoders_only():
    plain = describe(AttentionUNet(NetworkConfig(channels=(8, 16), attention=False, cbam=False)).eval(), 32, 32)
    gated = describe(AttentionUNet(NetworkConfig(channels=(8, 16), attention=True, cbam=False)).eval(), 32, 32)
    more = [b.parameters - a.parameters for a, b in zip(plain, gated, strict=True)]
    assert more[:2] == [0, 0]
    assert more[2] > 0


def test_model_info_adds_up_and_speaks_json(capsys):
    main_returns = _call("model", "info", "--json")
    content = json.loads(capsys.readouterr().out)
    assert main_returns == 0
    assert content["parameters"] == sum(part["parameters"] for part in content["parts"])
    assert len(content["checksum_sha256"]) == 64
    assert _call("model", "info") == 0
    assert content["checksum_sha256"] in capsys.readouterr().out
    assert _call("model", "info", "--height", "100") == 2


def _call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return stop.value.code or 0
