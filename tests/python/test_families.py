"""Families that differ from Llama in more than numbers: their folders as transformers 4 and 5 write them, and their GGUF files, give each token's loss."""
import json

import pytest

import decoder_models as models
import gguf_models
from decoder_models import assert_same, change, make, save, torch, transformers

OWN = ["qwen3_5", "gemma3", "mistral", "ministral", "ministral3", "granite", "granite_swa", "olmo2", "olmo3", "phi3", "phi4_mini"]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", OWN)
def test_tied_or_not(ingrain, tmp_path, family, tied):
    assert_same(ingrain, tmp_path, save(make(family, tie_word_embeddings=tied), tmp_path), tmp_path, seeds=[1])


@pytest.mark.parametrize("family", OWN)
def test_an_imported_folder_gives_what_its_source_gives(ingrain, tmp_path, family):
    model = save(make(family), tmp_path / "source", torch.bfloat16)
    done = ingrain("import", tmp_path / "source", "-o", tmp_path / "ours")
    assert done.returncode == 0, done.stderr
    assert_same(ingrain, tmp_path / "ours", model, tmp_path, seeds=[1])


@pytest.mark.parametrize("family", [name for name in OWN if name in gguf_models.ARCHITECTURES] + ["mistral_full"])
def test_gguf_gives_the_same_losses(ingrain, tmp_path, family):
    own = dict(query_pre_attn_scalar=24) if family == "gemma3" else {}  # GGUF has no key for it: a head's size
    model = make(family, **own)
    gguf_models.write(model, tmp_path / "model.gguf", family)
    assert_same(ingrain, tmp_path / "model.gguf", model, tmp_path, seeds=[1])


def test_gemma3_as_transformers_4_wrote_it(ingrain, tmp_path):
    model = save(make("gemma3"), tmp_path)
    change(tmp_path, rope_parameters=None, layer_types=None, _sliding_window_pattern=None, sliding_window_pattern=6, rope_theta=1000000.0,
           rope_local_base_freq=10000.0, rope_scaling={"rope_type": "linear", "factor": 4.0})
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


HEAD, TEXT = "lm_head.weight", "model.language_model."


def as_transformers_4(name):
    """"language_model.model.norm.weight", "language_model.lm_head.weight", "vision_tower..."."""
    if name == HEAD:
        return "language_model." + name
    return name.replace(TEXT, "language_model.model.") if name.startswith(TEXT) else name.removeprefix("model.")


def model_before_all(name):
    return "model." + name


@pytest.mark.parametrize("names", [lambda name: name, as_transformers_4, lambda name: name.removeprefix("model."), model_before_all,
                                   lambda name: "model." + name if name == HEAD else name],
                         ids=["as saved", "transformers 4", "without model.", "model. before all", "the head in it"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_text_model_of_one_for_text_and_images(ingrain, tmp_path, tied, names):
    text = make("gemma3", tie_word_embeddings=tied)
    text_config = {**text.config.to_dict(), "hidden_size": 32}
    vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    config = transformers.Gemma3Config(text_config=text_config, vision_config=vision, mm_tokens_per_image=4, tie_word_embeddings=tied)
    whole = transformers.Gemma3ForConditionalGeneration(config).eval()
    whole.model.language_model.load_state_dict(text.model.state_dict())
    whole.lm_head.load_state_dict(text.lm_head.state_dict())
    whole.tie_weights()
    whole.save_pretrained(tmp_path)
    models.rename_tensors(tmp_path, names)
    assert "text_config" in json.loads((tmp_path / "config.json").read_text())
    if names == model_before_all and not tied:
        _, loaded = type(whole).from_pretrained(tmp_path, output_loading_info=True)
        assert set(loaded["missing_keys"]) == {HEAD}  # transformers makes one up
        done = ingrain("eval", tmp_path, "--tokens", tmp_path / "config.json")
        assert done.returncode == 1 and f"has no tensor '{HEAD}'" in done.stderr
        return
    assert_same(ingrain, tmp_path, text, tmp_path, seeds=[1])


def test_the_text_model_of_qwen3_5_for_text_and_images(ingrain, tmp_path):
    text = make("qwen3_5")
    vision = dict(hidden_size=16, intermediate_size=16, depth=1, num_heads=2, out_hidden_size=32, num_position_embeddings=16)
    whole = transformers.Qwen3_5ForConditionalGeneration(transformers.Qwen3_5Config(text_config=text.config.to_dict(), vision_config=vision)).eval()
    whole.model.language_model.load_state_dict(text.model.state_dict())
    whole.lm_head.load_state_dict(text.lm_head.state_dict())
    whole.save_pretrained(tmp_path)
    assert "text_config" in json.loads((tmp_path / "config.json").read_text())
    assert_same(ingrain, tmp_path, text, tmp_path, seeds=[1])


def test_qwen3_5_s_layers_where_a_file_does_not_list_them(ingrain, tmp_path):
    model = save(make("qwen3_5"), tmp_path)
    change(tmp_path, layer_types=None)
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])
    change(tmp_path, layer_types=["sliding_attention"] * 5)
    done = ingrain("generate", tmp_path, "--prompt", "Hi")
    assert done.returncode == 1 and "'layer_types[0]'" in done.stderr and "full_attention and linear_attention are supported" in done.stderr


@pytest.mark.parametrize("architecture", ["Qwen3_5MoeForCausalLM", "Qwen3NextForCausalLM"])
def test_a_mixture_of_experts_is_refused_by_name(ingrain, tmp_path, architecture):
    save(make("llama"), tmp_path)
    change(tmp_path, architectures=[architecture], model_type="some")
    done = ingrain("generate", tmp_path, "--prompt", "Hi")
    assert done.returncode == 1 and architecture in done.stderr and "mixture of experts" in done.stderr


def test_olmo3_as_transformers_4_wrote_it_stretches_full_layers_only(ingrain, tmp_path):
    model = save(make("olmo3"), tmp_path)
    change(tmp_path, rope_parameters=None, layer_types=None, rope_theta=500000.0,
           rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64})
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


@pytest.mark.parametrize("word", ["su", "longrope"])
def test_phi3_as_transformers_4_wrote_it(ingrain, tmp_path, word):
    model = save(make("phi4_mini"), tmp_path)
    rope = json.loads((tmp_path / "config.json").read_text())["rope_parameters"]
    change(tmp_path, rope_parameters=None, rope_theta=10000.0, partial_rotary_factor=0.75, original_max_position_embeddings=64,
           rope_scaling={"type": word, "short_factor": rope["short_factor"], "long_factor": rope["long_factor"]})
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


def test_longrope_of_layers_that_see_no_further_than_before_stretching(ingrain, tmp_path):
    model = save(make("phi4_mini", sliding_window=40), tmp_path)
    tokens = models.some_tokens(1, 60)  # transformers takes the short factors for texts up to 64
    want, ours = models.expected_nll(model, tokens), models.our_nll(ingrain, tmp_path, tokens, tmp_path)
    assert abs(want - ours).max() < 1e-4


def test_a_window_that_is_not_said_is_the_classs(ingrain, tmp_path):
    model = save(make("mistral_full"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["sliding_window"] is None  # null: no window
    assert_same(ingrain, tmp_path, model, tmp_path, seeds=[1])


def test_a_retrofit_leaves_windows_that_the_model_has(ingrain, tmp_path):
    save(make("gemma3"), tmp_path / "base")
    done = ingrain("retrofit", tmp_path / "base", "-o", tmp_path / "reader", "--window", "100", "--chunk", "16")
    assert done.returncode == 0, done.stderr
    layers = json.loads((tmp_path / "reader" / "config.json").read_text())
    windows = [layer.get("sliding_window", layers["sliding_window"]) for layer in layers["layers"]]
    assert windows == [24, 24, 24, 24, 24, 100, 24]


def test_gemma4_is_refused_by_name(ingrain, tmp_path):
    save(make("llama"), tmp_path)
    change(tmp_path, architectures=["Gemma4ForCausalLM"], model_type="gemma4_text")
    done = ingrain("generate", tmp_path, "--prompt", "Hi")
    assert done.returncode == 1 and "'Gemma4ForCausalLM' is not supported" in done.stderr
