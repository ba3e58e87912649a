"""Models written by `ingrain quantize` give each token's loss, and their tokenizers the same ids; llama.cpp reads them, where it is installed."""
import pytest

from decoder_models import assert_same, expected_nll, make, our_nll, save, some_tokens, torch

gguf = pytest.importorskip("gguf")
ARCHITECTURES = {"llama": "llama", "smollm2": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "smollm3": "smollm3", "gemma3": "gemma3",
                 "granite": "granite", "olmo2": "olmo2", "ministral3": "mistral3", "phi3": "ingrain", "granite_swa": "ingrain"}


def text_of(reader, key):
    field = reader.get_field(key)
    return field.contents() if field else None


def quantize(ingrain, source, target, kind):
    done = ingrain("quantize", source, "-o", target, "--type", kind)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_a_hugging_face_folder_becomes_a_file_of_its_architecture(ingrain, tmp_path, family):
    own = dict(query_pre_attn_scalar=24) if family == "gemma3" else {}  # GGUF has no key for it: a head's size
    model = save(make(family, **own), tmp_path / "folder")
    quantize(ingrain, tmp_path / "folder", tmp_path / "model.gguf", "f32")
    assert text_of(gguf.GGUFReader(tmp_path / "model.gguf"), "general.architecture") == ARCHITECTURES[family]
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])


def test_bf16_is_the_rounding_of_matrices(ingrain, tmp_path):
    model = save(make("llama"), tmp_path / "folder")
    quantize(ingrain, tmp_path / "folder", tmp_path / "model.gguf", "bf16")
    with torch.no_grad():
        for value in model.parameters():
            if value.dim() == 2:
                value.copy_(value.to(torch.bfloat16))
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])


def test_few_bits_are_near_and_fewer_are_further(ingrain, tmp_path):
    model = save(make("llama", hidden_size=64, intermediate_size=96), tmp_path / "folder")
    tokens, off = some_tokens(1), []
    for kind in ["q8_0", "q5_0", "q4_0"]:
        quantize(ingrain, tmp_path / "folder", tmp_path / f"{kind}.gguf", kind)
        off.append(abs(our_nll(ingrain, tmp_path / f"{kind}.gguf", tokens, tmp_path) - expected_nll(model, tokens)).mean())
    assert 0 < off[0] < off[1] < off[2] < 2 and off[0] < 0.3


def test_what_is_there_is_kept_and_what_is_no_model_is_refused(ingrain, tmp_path):
    save(make("llama"), tmp_path / "folder")
    target = tmp_path / "model.gguf"
    target.write_text("mine")
    done = ingrain("quantize", tmp_path / "folder", "-o", target)
    assert done.returncode == 2 and "--force" in done.stderr and target.read_text() == "mine"
    done = ingrain("quantize", tmp_path / "folder", "-o", tmp_path / "x.gguf", "--type", "q9")
    assert done.returncode == 2 and "q4_k_m" in done.stderr
    done = ingrain("quantize", tmp_path, "-o", tmp_path / "x.gguf")
    assert done.returncode == 1 and not (tmp_path / "x.gguf").exists()
    done = ingrain("quantize", tmp_path / "folder", "-o", tmp_path / "none" / "x.gguf")
    assert done.returncode == 1, done.stderr


def test_a_model_of_the_hubs_cache_is_found_by_its_name(ingrain, tmp_path, monkeypatch):
    root = tmp_path / "hub" / "models--org--tiny"
    model = save(make("llama"), root / "snapshots" / "abc")
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    tokens = some_tokens(1)
    assert abs(our_nll(ingrain, "hf:org/tiny", tokens, tmp_path) - expected_nll(model, tokens)).max() < 1e-4
    done = ingrain("import", "hf:org/tiny", "-o", tmp_path / "ours")
    assert done.returncode == 0, done.stderr
    done = ingrain("import", "hf:org/other", "-o", tmp_path / "ours2")
    assert done.returncode == 1 and "hf download org/other" in done.stderr and "models--org--other" in done.stderr
