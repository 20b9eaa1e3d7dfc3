"""The network: shapes, the attention gate's equation, and variants by configuration."""

import pytest
import torch

from braintumor.segment.network import AttentionGate, AttentionUNet, ChannelAttention, NetworkConfig, SpatialAttention

SMALL = NetworkConfig(channels=(16, 32, 64))


@pytest.mark.parametrize("size", [(32, 64), (96, 32)])
def test_logits_have_one_channel_per_label_and_the_input_size(size):
    network = AttentionUNet(SMALL).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 4, *size)).shape == (2, 4, *size)


def test_the_published_network_has_the_papers_widths():
    config = NetworkConfig()
    assert config.channels == (32, 64, 128, 256, 512)
    assert config.stride == 16
    network = AttentionUNet(config)
    assert [encoder.body[1][0].out_channels for encoder in network.encoders] == [32, 64, 128, 256, 512]
    assert all(decoder.gate is not None for decoder in network.decoders)


def test_attention_gate_follows_equation_1():
    torch.manual_seed(0)
    gate = AttentionGate(8).eval()
    x, g = torch.randn(1, 8, 5, 6), torch.randn(1, 8, 5, 6)
    w_x, w_g = gate.w_x[0].weight[:, :, 0, 0], gate.w_g[0].weight[:, :, 0, 0]
    norm_x, norm_g = gate.w_x[1], gate.w_g[1]
    with torch.inference_mode():
        hidden = torch.zeros(1, 4, 5, 6)
        for row in range(5):
            for column in range(6):
                wx = w_x @ x[0, :, row, column]
                wg = w_g @ g[0, :, row, column]
                scale_x = norm_x.weight / torch.sqrt(norm_x.running_var + norm_x.eps)
                scale_g = norm_g.weight / torch.sqrt(norm_g.running_var + norm_g.eps)
                hidden[0, :, row, column] = torch.relu(wx * scale_x + norm_x.bias + wg * scale_g + norm_g.bias)
        alpha = torch.sigmoid((gate.w_alpha.weight * hidden).sum(dim=1, keepdim=True) + gate.w_alpha.bias)
        torch.testing.assert_close(gate(x, g), alpha * x)


def test_attention_weights_never_amplify():
    x = torch.randn(2, 32, 7, 9)
    with torch.inference_mode():
        for module in (ChannelAttention(32), SpatialAttention()):
            assert (module(x).abs() <= x.abs()).all()


def test_ablations_are_configurations():
    plain = AttentionUNet(NetworkConfig(channels=(16, 32), attention=False, cbam=False))
    names = [name for name, _ in plain.named_parameters()]
    assert not any("gate" in name or "mlp" in name for name in names)


def test_configuration_survives_json():
    assert NetworkConfig.from_dict(SMALL.as_dict()) == SMALL
    with pytest.raises(TypeError):
        NetworkConfig.from_dict({"chanels": (1, 2)})


def test_context_widens_only_the_input():
    network = AttentionUNet(NetworkConfig(channels=(16, 32), context=1)).eval()
    assert network.config.in_channels == 12
    assert network(torch.zeros(1, 12, 16, 16)).shape == (1, 4, 16, 16)


def test_training_outputs_hold_the_deeper_levels_and_the_presence():
    network = AttentionUNet(NetworkConfig(channels=(16, 32, 64), deep_supervision=True, classify=True)).eval()
    x = torch.randn(2, 4, 32, 16)
    with torch.inference_mode():
        outputs = network.outputs(x)
        torch.testing.assert_close(network(x), outputs.logits)
    assert [tuple(level.shape) for level in outputs.deeper] == [(2, 4, 16, 8), (2, 4, 8, 4)]
    assert outputs.presence.shape == (2,)
    plain = AttentionUNet(SMALL).outputs(x)
    assert plain.deeper == ()
    assert plain.presence is None
