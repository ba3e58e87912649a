"""The delta rule with erasing and writing apart, and Gated DeltaNet-2: beside fla-core's naive form where it is installed,
and beside the published layer's formula written out here, on random numbers."""

import importlib.metadata
import importlib.util

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional


def by_token(q, k, v, g, b, w, state):
    """The paper's recurrence: S = (I - k (b k)ᵀ) diag(exp g) S + k (w v)ᵀ."""
    S, out = state, []
    for t in range(q.shape[1]):
        S = g[:, t].exp()[..., None] * S
        u = w[:, t] * v[:, t] - torch.einsum("bhkv,bhk->bhv", S, b[:, t] * k[:, t])
        S = S + k[:, t, :, :, None] * u[:, :, None]
        out.append(torch.einsum("bhkv,bhk->bhv", S, q[:, t]) * q.shape[-1] ** -0.5)
    return torch.stack(out, 1), S


def fla_naive():
    """fla-core's file of plain PyTorch alone: the package needs a GPU's compiler to be imported."""
    try:
        path = importlib.metadata.distribution("fla-core").locate_file("fla/ops/gdn2/naive.py")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fla-core is not installed (0.6.0 has gdn2)")
    if not path.exists():
        pytest.skip("this fla-core has no gdn2")
    spec = importlib.util.spec_from_file_location("fla_gdn2_naive", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_inputs(tokens):
    torch.manual_seed(tokens)
    B, H, K, V = 2, 3, 32, 48
    unit = lambda: F.normalize(torch.randn(B, tokens, H, K), dim=-1)  # noqa: E731
    return dict(q=unit(), k=unit(), v=torch.randn(B, tokens, H, V), g=-torch.rand(B, tokens, H, K) * 2,
                b=torch.rand(B, tokens, H, K), w=torch.rand(B, tokens, H, V)), torch.randn(B, H, K, V)


def assert_the_same(ops_probe, x, state, o, after):
    ours = ops_probe("erase-write", q=x["q"], k=x["k"], e=x["b"] * x["k"], w=x["w"] * x["v"], g=x["g"], state=state)
    for form in ("", "_recurrent"):
        torch.testing.assert_close(ours["o" + form], o, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours["state" + form], after, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("tokens", [1, 5, 64, 200])
def test_the_rule_gives_the_formulas_numbers(ops_probe, tokens):
    x, state = random_inputs(tokens)
    assert_the_same(ops_probe, x, state, *by_token(**x, state=state))


@pytest.mark.parametrize("tokens", [1, 5, 64, 200])
@pytest.mark.parametrize("form", ["naive_recurrent_gdn2", "naive_chunk_gdn2"])
def test_the_rule_gives_fla_s_numbers(ops_probe, tokens, form):
    x, state = random_inputs(tokens)
    assert_the_same(ops_probe, x, state, *getattr(fla_naive(), form)(**x, initial_state=state, output_final_state=True))


@pytest.mark.parametrize("key_heads, value_heads", [(2, 2), (2, 6)])
def test_the_mixer_gives_the_published_layer_s_numbers_in_any_split(ops_probe, key_heads, value_heads):
    torch.manual_seed(1)
    D, K, V, width, times = 40, 16, 24, 4, value_heads // key_heads
    keys, values = key_heads * K, value_heads * V
    weight = lambda *sizes: torch.randn(*sizes) * 0.3  # noqa: E731
    p = {name: weight(rows, D) for name, rows in dict(q=keys, k=keys, v=values, b=keys, w=values, f0=V, g0=V).items()}
    p |= dict(f1=weight(keys, V), g1=weight(values, V), g_bias=weight(values), conv=weight(2 * keys + values, width),
              A_log=weight(key_heads), dt_bias=weight(keys), norm=1 + weight(V), o=weight(D, values))
    x = torch.randn(2, 90, D)

    def heads(y, d):
        return y.unflatten(-1, (-1, d))

    mixed = F.conv1d(F.pad((x @ torch.cat([p["q"], p["k"], p["v"]]).T).mT, (width - 1, 0)), p["conv"][:, None], groups=2 * keys + values)
    q, k, v = F.silu(mixed.mT).split([keys, keys, values], -1)
    g = -p["A_log"].exp()[:, None] * heads(F.softplus(x @ p["f0"].T @ p["f1"].T + p["dt_bias"]), K)
    q, k = (heads(y, K) * torch.rsqrt(heads(y, K).square().sum(-1, True) + 1e-6) for y in (q, k))
    q, k, g, b = (y.repeat_interleave(times, 2) for y in (q, k, g, heads((x @ p["b"].T).sigmoid(), K)))
    o, after = by_token(q, k, heads(v, V), g, b, heads((x @ p["w"].T).sigmoid(), V), torch.zeros(2, value_heads, K, V))
    z = heads(x @ p["g0"].T @ p["g1"].T + p["g_bias"], V)
    y = o * torch.rsqrt(o.square().mean(-1, True) + 1e-5) * p["norm"] * z.sigmoid()
    expected = y.flatten(2) @ p["o"].T

    ours = ops_probe(
        "gated-delta-net2", x=x, split=torch.tensor(70), key_heads=torch.tensor(key_heads), value_heads=torch.tensor(value_heads),
        key_dim=torch.tensor(K), value_dim=torch.tensor(V),
        **{"in": torch.cat([p["q"], p["k"], p["v"]]), "gates": torch.cat([p["b"], p["w"]]), "low": torch.cat([p["f0"], p["g0"]]),
           "decay": p["f1"], "out_gate": p["g1"], "out_gate_bias": p["g_bias"], "conv": p["conv"], "A_log": p["A_log"],
           "dt_bias": p["dt_bias"], "norm": p["norm"], "out": p["o"]})
    torch.testing.assert_close(ours["y"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["y_split"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["state"], after, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours["state_split"], ours["state"], atol=1e-4, rtol=1e-4)
