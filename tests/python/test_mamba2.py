"""Mamba-2's recurrence and its mixer beside transformers' own, in plain PyTorch, on random numbers."""

import pytest

torch = pytest.importorskip("torch")
from transformers.models.mamba2 import Mamba2Config  # noqa: E402
from transformers.models.mamba2 import modeling_mamba2 as theirs  # noqa: E402


@pytest.mark.parametrize("tokens", [1, 5, 64, 200])
def test_the_recurrence_gives_their_numbers_in_chunks_and_token_by_token(ops_probe, tokens):
    torch.manual_seed(tokens)
    B, H, G, K, V = 2, 6, 2, 16, 24
    x, dt, A = torch.randn(B, tokens, H, V), torch.rand(B, tokens, H), -torch.rand(H) * 4
    b, c, D, state = torch.randn(B, tokens, G, K), torch.randn(B, tokens, G, K), torch.randn(H), torch.randn(B, H, K, V)
    ours = ops_probe("ssd", x=x, dt=dt, A=A, b=b, c=c, D=D, state=state)
    their_state = state.transpose(2, 3)
    y, after = theirs.mamba2_chunk_scan(x, dt, A, b, c, 32, D=D, initial_states=their_state, return_final_states=True)
    one, steps = their_state.contiguous().clone(), []
    for t in range(tokens):
        wide = lambda z: z[..., None].expand(*z.shape, V)  # noqa: E731
        steps.append(theirs.mamba2_selective_state_update(
            one, x[:, t], wide(dt[:, t]), A[:, None, None].expand(H, V, K), b[:, t], c[:, t], wide(D)))
    for y, after in ((y, after), (torch.stack(steps, 1), one)):
        for form in ("", "_recurrent"):
            torch.testing.assert_close(ours["y" + form], y, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(ours["state" + form], after.transpose(2, 3), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("heads, groups", [(5, 1), (6, 2)])
def test_the_mixer_gives_their_module_s_numbers_in_any_split(ops_probe, heads, groups):
    torch.manual_seed(1)
    V, K = 16, 12
    D = heads * V // 2
    config = Mamba2Config(
        hidden_size=D, num_heads=heads, head_dim=V, n_groups=groups, state_size=K, expand=2, conv_kernel=4, chunk_size=32,
        layer_norm_epsilon=1e-6, num_hidden_layers=1)
    module = theirs.Mamba2Mixer(config, 0).eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    x = torch.randn(2, 90, D)
    with torch.no_grad():
        expected = module(x)
        ours = ops_probe(
            "mamba2", x=x, split=torch.tensor(70), heads=torch.tensor(heads), head_dim=torch.tensor(V),
            groups=torch.tensor(groups), state_dim=torch.tensor(K),
            **{"in": module.in_proj.weight, "conv": module.conv1d.weight.squeeze(1), "conv_bias": module.conv1d.bias,
               "A_log": module.A_log, "D": module.D, "dt_bias": module.dt_bias, "norm": module.norm.weight,
               "out": module.out_proj.weight})
    torch.testing.assert_close(ours["y"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["y_split"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["state_split"], ours["state"], atol=1e-4, rtol=1e-4)
