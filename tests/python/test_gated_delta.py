"""The gated delta rule and Gated DeltaNet beside transformers' own, in plain PyTorch, on random numbers."""

import pytest

torch = pytest.importorskip("torch")
from transformers.models.qwen3_next import Qwen3NextConfig  # noqa: E402
from transformers.models.qwen3_next import modeling_qwen3_next as theirs  # noqa: E402


@pytest.mark.parametrize("tokens", [1, 5, 64, 200])
def test_the_rule_gives_their_numbers_in_chunks_and_token_by_token(ops_probe, tokens):
    torch.manual_seed(tokens)
    B, H, K, V = 2, 3, 32, 48
    q, k, v = torch.randn(B, tokens, H, K), torch.randn(B, tokens, H, K), torch.randn(B, tokens, H, V)
    q, k = torch.nn.functional.normalize(q, dim=-1), torch.nn.functional.normalize(k, dim=-1)
    g, beta, state = -torch.rand(B, tokens, H) * 2, torch.rand(B, tokens, H), torch.randn(B, H, K, V)
    ours = ops_probe("gated-delta", q=q, k=k, v=v, g=g, beta=beta, state=state)
    for rule in (theirs.torch_chunk_gated_delta_rule, theirs.torch_recurrent_gated_delta_rule):
        o, after = rule(q, k, v, g=g, beta=beta, initial_state=state, output_final_state=True, use_qk_l2norm_in_kernel=False)
        for form in ("", "_recurrent"):
            torch.testing.assert_close(ours["o" + form], o, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(ours["state" + form], after, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("key_heads, value_heads", [(2, 2), (2, 6)])
def test_the_mixer_gives_their_module_s_numbers_in_any_split(ops_probe, key_heads, value_heads):
    torch.manual_seed(1)
    D, K, V, times = 40, 16, 24, value_heads // key_heads
    config = Qwen3NextConfig(
        hidden_size=D, linear_num_key_heads=key_heads, linear_num_value_heads=value_heads, linear_key_head_dim=K,
        linear_value_head_dim=V, linear_conv_kernel_dim=4, num_hidden_layers=4, hidden_act="silu", rms_norm_eps=1e-6)
    module = theirs.Qwen3NextGatedDeltaNet(config, 0).eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    x = torch.randn(2, 90, D)
    # Theirs come by key head: q, k, the values' and the gates' rows that belong to it; ours kind by kind.
    qkvz = module.in_proj_qkvz.weight.view(key_heads, 2 * K + 2 * times * V, D)
    kinds = [part.reshape(-1, D) for part in torch.split(qkvz, [K, K, times * V, times * V], 1)]
    gates = [part.reshape(-1, D) for part in module.in_proj_ba.weight.view(key_heads, 2 * times, D).split(times, 1)]
    with torch.no_grad():
        expected = module(x)
        ours = ops_probe(
            "gated-delta-net", x=x, split=torch.tensor(70), key_heads=torch.tensor(key_heads),
            value_heads=torch.tensor(value_heads), key_dim=torch.tensor(K), value_dim=torch.tensor(V),
            **{"in": torch.cat(kinds), "gates": torch.cat(gates), "conv": module.conv1d.weight.squeeze(1),
               "A_log": module.A_log, "dt_bias": module.dt_bias, "norm": module.norm.weight, "out": module.out_proj.weight})
    torch.testing.assert_close(ours["y"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["y_split"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["state_split"], ours["state"], atol=1e-4, rtol=1e-4)
