"""Models of other programs: every token's loss equals that of PyPI's `transformers` to 1e-4 in fp32."""
import json

import numpy as np
import pytest

import decoder_models as models
import gguf_models
from decoder_models import assert_same, change, make, rename_tensors, save, torch, transformers

gguf = pytest.importorskip("gguf")

SCALED = [(family, scaling) for family in sorted(models.FAMILIES.keys() - models.OWN_ROPE) for scaling in models.SCALINGS if scaling != "llama3" or family == "llama"]


@pytest.mark.parametrize("family", models.FAMILIES)
def test_a_hugging_face_folder_gives_the_same_losses(ingrain, tmp_path, family):
    assert_same(ingrain, tmp_path, save(make(family), tmp_path), tmp_path)


@pytest.mark.parametrize("family,scaling", SCALED)
def test_stretched_rope_gives_the_same_losses(ingrain, tmp_path, family, scaling):
    model = save(make(family, scaling), tmp_path)
    plain = make(family)
    plain.load_state_dict(model.state_dict())
    tokens = models.some_tokens(1)
    assert abs(models.expected_nll(model, tokens) - models.expected_nll(plain, tokens)).max() > 0.1  # the scaling matters
    assert_same(ingrain, tmp_path, model, tmp_path)


@pytest.mark.parametrize("scaling", models.SCALINGS)
def test_older_names_of_the_rope_fields_mean_the_same(ingrain, tmp_path, scaling):
    model = save(make("llama", scaling), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    rope["type"] = rope.pop("rope_type")
    config["rope_scaling"] = rope
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_files_are_read_exactly(ingrain, tmp_path, dtype):
    assert_same(ingrain, tmp_path, save(make("qwen2"), tmp_path, dtype), tmp_path, seeds=[1])


def test_sharded_files_are_one_model(ingrain, tmp_path):
    model = save(make("qwen3"), tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


@pytest.mark.parametrize("where", ["rope_scaling", "rope_parameters"])
def test_theta_counts_inside_the_ropes_object(ingrain, tmp_path, where):
    model = save(make("llama"), tmp_path)
    change(tmp_path, **{"rope_parameters": None, where: {"rope_type": "default", "rope_theta": 500000.0}})
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


def test_the_length_before_stretching_counts_beside_the_ropes_object(ingrain, tmp_path):
    model = save(make("llama", "yarn"), tmp_path)
    change(tmp_path, rope_parameters=None, rope_theta=500000.0, original_max_position_embeddings=64,
           rope_scaling={"rope_type": "yarn", "factor": 4.0})
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


def test_window_fields_of_a_family_without_windows_say_nothing(ingrain, tmp_path):
    model = save(make("llama"), tmp_path)
    change(tmp_path, sliding_window=8, use_sliding_window=True, max_window_layers=0)
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


def test_smollm3_without_rope_where_its_list_says_so(ingrain, tmp_path):
    model = save(make("smollm3", no_rope_layers=[0, 1, 1, 0, 0]), tmp_path)
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])
    assert ingrain("import", tmp_path, "-o", tmp_path / "ours").returncode == 0
    assert_same(ingrain, tmp_path / "ours", model, tmp_path, seeds=[1])


HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
NAMES = {  # what transformers 5.23 loads as the same model
    "without model.": lambda name: name.removeprefix("model."),
    "the head in it": lambda name: "model." + name if name == HEAD else name,
    "without model. but for the head": lambda name: "model." + name if name == HEAD else name.removeprefix("model."),
    "model. before all": lambda name: "model." + name,
    "some of each": lambda name: ["", "model.", "model.model."][sum(name.encode()) % 3 if name != HEAD else 1] + name.removeprefix("model."),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("family,left_out", [("smollm2", HEAD), ("smollm2", EMBEDDING), ("llama", None)])
def test_names_with_another_first_part_are_the_same_tensors(ingrain, tmp_path, family, left_out, names):
    """A shared matrix may have the name of the head alone."""
    model = save(make(family), tmp_path)
    if left_out == EMBEDDING:
        rename_tensors(tmp_path, lambda name: HEAD if name == EMBEDDING else name)
    rename_tensors(tmp_path, names)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items()), "so does transformers"
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])
    done = ingrain("import", tmp_path, "-o", tmp_path / "ours")
    assert done.returncode == 0, done.stderr


def test_a_shared_matrix_is_found_under_the_heads_name(ingrain, tmp_path):
    model = save(make("smollm2"), tmp_path)
    rename_tensors(tmp_path, lambda name: HEAD if name == EMBEDDING else name)
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


def test_a_head_of_its_own_counts_although_tied_and_import_says_so(ingrain, tmp_path):
    model = save(make("llama"), tmp_path)
    change(tmp_path, tie_word_embeddings=True)
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])
    done = ingrain("import", tmp_path, "-o", tmp_path / "ours")
    assert "('tie_word_embeddings'), but" in done.stderr
    assert_same(ingrain, tmp_path / "ours", model, tmp_path, seeds=[1])


@pytest.mark.parametrize("said", [False, None])
def test_a_head_that_is_missing_is_called_so(ingrain, tmp_path, said):
    """Whether config.json says that nothing is shared, or nothing at all."""
    save(make("llama"), tmp_path)
    change(tmp_path, tie_word_embeddings=said)
    rename_tensors(tmp_path, lambda name: None if name == HEAD else name)
    done = ingrain("generate", tmp_path, "--prompt", "Hi")
    assert done.returncode == 1 and "a model without a head cannot predict" in done.stderr
    assert "config.json does not say that 'tie_word_embeddings' is true" in done.stderr


@pytest.mark.parametrize("full_layers", [0, 1])
def test_a_sliding_window_sees_as_far_in_all_layers_or_in_some(ingrain, tmp_path, full_layers):
    changes = dict(use_sliding_window=True, sliding_window=24, max_window_layers=full_layers)
    model = save(make("qwen2", **changes), tmp_path)
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


@pytest.mark.parametrize("store", ["source", "bf16"])
@pytest.mark.parametrize("family", ["smollm2", "qwen2"])
def test_an_imported_folder_gives_what_its_source_gives(ingrain, tmp_path, family, store):
    model = save(make(family), tmp_path / "source", torch.bfloat16)
    done = ingrain("import", tmp_path / "source", "-o", tmp_path / "ours", "--store", store)
    assert done.returncode == 0, done.stderr
    assert_same(ingrain, tmp_path / "ours", model, tmp_path, seeds=[1])
    size = (tmp_path / "ours" / "model.safetensors").stat().st_size
    assert size < 1.5 * (tmp_path / "source" / "model.safetensors").stat().st_size  # not widened to fp32


# GGUF: the same weights under llama.cpp's names. Its converter reorders the rows of q and k of Llama and its kin.

def write_gguf(model, path, arch, kind="F32", divisors=None, window=None):
    """Writes the model in type `kind`, and gives it the values that the file holds."""
    c = model.config
    writer = gguf.GGUFWriter(path, arch)
    gguf_models.add_sizes(writer, c)
    writer.add_rope_freq_base(c.rope_parameters["rope_theta"])
    if window is not None:
        writer.add_sliding_window(window)
    if c.rope_parameters["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(c.rope_parameters["factor"])
        writer.add_rope_scaling_orig_ctx_len(c.rope_parameters["original_max_position_embeddings"])
    if divisors is not None:
        writer.add_tensor("rope_freqs.weight", divisors)
    state = model.state_dict()
    for name, value in state.items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        x = value.numpy()
        if kind != "F32" and x.ndim == 2:
            quantization = gguf.GGMLQuantizationType[kind]
            blocks = gguf.quants.quantize(x, quantization)
            value.copy_(torch.from_numpy(gguf.quants.dequantize(blocks, quantization).astype(np.float32)))
            x = value.numpy()
        gguf_models.add_tensor(writer, c, arch, name, x, pairs=arch in ("llama", "smollm3"), kind=kind)
    gguf_models.finish(writer)
    return model


@pytest.mark.parametrize("family,arch", [("llama", "llama"), ("smollm2", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3"), ("smollm3", "smollm3")])
def test_a_gguf_file_gives_the_same_losses(ingrain, tmp_path, family, arch):
    model = write_gguf(make(family), tmp_path / "model.gguf", arch)
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path)


def test_a_window_in_a_gguf_file_of_a_family_without_windows_says_nothing(ingrain, tmp_path):
    model = write_gguf(make("llama"), tmp_path / "model.gguf", "llama", window=8)
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantized_gguf_gives_the_losses_of_its_values(ingrain, tmp_path, kind):
    model = write_gguf(make("llama", intermediate_size=64), tmp_path / "model.gguf", "llama", kind)
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])


def test_yarn_in_gguf_gives_the_same_losses(ingrain, tmp_path):
    model = write_gguf(make("qwen2", "yarn"), tmp_path / "model.gguf", "qwen2")
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])


def test_llama3_scaling_is_recovered_from_gguf(ingrain, tmp_path, monkeypatch):
    monkeypatch.setitem(models.SCALINGS, "llama3", {**models.SCALINGS["llama3"], "original_max_position_embeddings": 8192})
    scaled = make("llama", "llama3", hidden_size=128, rope_theta=10000.0, initializer_range=0.12)
    inverse = 10000.0 ** -(np.arange(0, 32, 2) / 32)
    divisors = (inverse / scaled.model.rotary_emb.inv_freq.numpy()).astype(np.float32)
    assert len(np.unique(divisors.round(3))) > 3  # frequencies kept, divided by 8, and between
    model = write_gguf(scaled, tmp_path / "model.gguf", "llama", divisors=divisors)
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])
    done = ingrain("import", tmp_path / "model.gguf", "-o", tmp_path / "ours")
    assert "rope_freqs" not in done.stderr
