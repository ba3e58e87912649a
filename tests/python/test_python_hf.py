"""What ingrain.hf.export writes, in transformers: the same numbers as ours, and learning while it reads."""

import pytest

from conftest import ROOT
from python_package import EMMA, save_tiny

import torch  # noqa: E402, I001
import ingrain  # noqa: E402
from ingrain import hf  # noqa: E402

transformers = pytest.importorskip("transformers")

SHAPES = {
    "ours": {},
    "a Llama": dict(qk_norm=False, post_norm=False, fast_post_norm=False, rope_interleaved=False, tie_word_embeddings=False,
                    attention_bias=True, learned_inner_rates=True, num_key_value_heads=2, sliding_window=30,
                    rope_scaling=dict(rope_type="llama3", factor=8.0, original_max_position_embeddings=16,
                                      low_freq_factor=1.0, high_freq_factor=4.0)),
    "one that does not learn": dict(suffix_len=0, layers=[{"sliding_window": None}, {"rope": False}, {}],
                                    hidden_act="gelu_pytorch_tanh", embedding_scale=4.0, residual_scale=0.5, post_norm=False),
}


def exported(folder, **changes):
    changes.setdefault("initializer_range", 0.2)
    if changes.get("suffix_len") == 0:
        changes["fast_intermediate_size"] = 0
    path = save_tiny(folder / "tiny", **changes)
    hf.export(path, folder / "hf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder / "hf", trust_remote_code=True, dtype=torch.float32)
    return ingrain.Model.load(path, dtype="fp32", device="cpu"), theirs


@pytest.mark.parametrize("shape", SHAPES)
def test_it_reads_as_we_do(tmp_path, shape):
    ours, theirs = exported(tmp_path, **SHAPES[shape])
    tokens = ours.encode(EMMA[:150], document=True)
    memory = ingrain.Memory(ours)
    nll = memory.read(tokens).nll[1:]
    ids = torch.tensor([tokens])
    there = theirs.new_memory()
    logits = torch.cat([theirs.read(part, there) for part in ids.split([1, 6, 40, len(tokens) - 47], 1)], 1)
    assert (torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none") - nll).abs().max() < 1e-4
    assert (logits[0, -1] - memory.next_logits()).abs().max() < 1e-4
    assert theirs(ids, labels=ids).loss.item() == pytest.approx(nll.mean().item(), abs=1e-5)
    for s, (gate, up, down) in enumerate(there.fast):
        learnt = memory.fast_weights()
        assert (torch.cat([gate[0], up[0]]) - learnt[f"fast.{s}.w13"]).abs().max() < 1e-4
        assert (down[0] - learnt[f"fast.{s}.w2"]).abs().max() < 1e-4
        assert (gate[0] - theirs.model.layers[theirs.config.prefix + s].fast_mlp.gate_proj.weight).abs().max() > 1e-3


def test_generate_writes_what_we_write_and_goes_on_from_a_memory(tmp_path):
    ours, theirs = exported(tmp_path)
    tokens = ours.encode(EMMA[:100], document=True)
    memory = ingrain.Memory(ours)
    memory.read(tokens)
    written = memory.fork().generate(max_tokens=20, temperature=0)
    list(written)
    ids = torch.tensor([tokens])
    assert theirs.generate(ids, max_new_tokens=20, do_sample=False)[0, len(tokens) :].tolist() == written.tokens
    there = theirs.new_memory()
    theirs.read(ids[:, :-5], there)
    name = type(theirs).prepare_inputs_for_generation.__globals__["CACHE"]
    for given in (ids, ids[:, -5:]):  # the whole text, as with a cache, or what is new
        out = theirs.generate(given, max_new_tokens=20, do_sample=False, **{name: there.fork()})
        assert out[0, given.shape[1] :].tolist() == written.tokens
    twice = theirs.generate(ids.repeat(2, 1), max_new_tokens=20, do_sample=False)
    assert twice[:, len(tokens) :].tolist() == [written.tokens] * 2
    with pytest.raises(ValueError, match="padding"):
        theirs(ids, attention_mask=torch.zeros_like(ids))


def test_the_tokenizer_comes_along_and_a_trained_module_can_be_exported(tmp_path):
    from ingrain.torch import TTTModel

    ours, _ = exported(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf", trust_remote_code=True)
    assert tokenizer.encode("Emma", add_special_tokens=False) == ours.encode("Emma")
    module = TTTModel.load(ours.path)
    with torch.no_grad():
        module.get_parameter("final_norm").mul_(0)
    hf.export(module, tmp_path / "zero")
    silent = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "zero", trust_remote_code=True)
    assert silent(torch.tensor([[1, 2, 3]])).logits.abs().max() == 0


def test_what_its_code_does_not_compute_is_refused_by_name(tmp_path):
    path = save_tiny(tmp_path / "tiny", attention_sink=True, qk_norm=False)
    with pytest.raises(ingrain.Error, match="'attention_sink' is true"):
        hf.export(path, tmp_path / "hf")
    path = save_tiny(tmp_path / "late", inner_step_delay=3)
    with pytest.raises(ingrain.Error, match="'inner_step_delay' is 3"):
        hf.export(path, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_the_shipped_model_is_exported_whole(tmp_path):
    hf.export(ROOT / "models/reader-17m", tmp_path / "hf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf", trust_remote_code=True, dtype=torch.float32)
    ours = ingrain.Model.load(ROOT / "models/reader-17m", dtype="fp32", device="cpu")
    tokens = ours.encode(EMMA[:3000], document=True)[:600]
    memory = ingrain.Memory(ours)
    nll = memory.read(tokens).nll[1:]
    assert memory.steps == 2
    ids = torch.tensor([tokens])
    logits = theirs.read(ids, theirs.new_memory())
    assert (torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none") - nll).abs().max() < 1e-3
