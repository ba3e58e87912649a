"""Every field of config.json that src/families reads, moved, left out, made null or contradicted in each family's file, beside what
AutoModelForCausalLM of transformers 5.24 computes from that file: the same loss of every token, or a refusal that names the field.

A run takes some of the changes for each family; INGRAIN_TEST_ALL=1 all of them (some 1,600, half an hour)."""
import copy
import json
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import decoder_models  # noqa: E402


def legacy(c, theta=777.0, scaling=None):
    """RoPE's fields as transformers 4 wrote them."""
    c.pop('rope_parameters', None)
    c['rope_theta'] = theta
    if scaling is not None: c['rope_scaling'] = scaling
LLAMA3 = dict(factor=8.0,low_freq_factor=1.0,high_freq_factor=4.0)
CHANGES = {
    'asis': lambda c: None,
    'theta top': lambda c: legacy(c),
    'theta nowhere': lambda c: c.pop('rope_parameters',None),
    'theta null top': lambda c: (c.pop('rope_parameters',None), c.update(rope_theta=None)),
    'scaling null': lambda c: (legacy(c), c.update(rope_scaling=None)),
    'scaling empty': lambda c: (legacy(c), c.update(rope_scaling={})),
    'rp empty + theta top': lambda c: c.update(rope_parameters={}, rope_theta=777.0),
    'rp null + theta top': lambda c: c.update(rope_parameters=None, rope_theta=777.0),
    'type linear': lambda c: legacy(c,777.0,dict(type='linear',factor=2.0)),
    'rope_type linear': lambda c: legacy(c,777.0,dict(rope_type='linear',factor=2.0)),
    'type vs rope_type': lambda c: legacy(c,777.0,dict(type='yarn',rope_type='linear',factor=2.0)),
    'scaling theta inside': lambda c: legacy(c,777.0,dict(rope_type='linear',factor=2.0,rope_theta=50.0)),
    'both objects': lambda c: c.update(rope_scaling=dict(rope_type='linear',factor=2.0),rope_parameters=dict(rope_type='linear',factor=3.0,rope_theta=900.0)),
    'rp theta and top': lambda c: c.update(rope_parameters=dict(rope_type='default',rope_theta=777.0),rope_theta=50.0),
    'rp no theta top theta': lambda c: c.update(rope_parameters=dict(rope_type='linear',factor=2.0),rope_theta=50.0),
    'rp type only': lambda c: c.update(rope_parameters=dict(type='linear',factor=2.0,rope_theta=50.0)),
    'rp no type': lambda c: c.update(rope_parameters=dict(rope_theta=50.0)),
    'rp no type factor': lambda c: c.update(rope_parameters=dict(rope_theta=50.0,factor=2.0)),
    'llama3 in': lambda c: legacy(c,777.0,dict(rope_type='llama3',original_max_position_embeddings=64,**LLAMA3)),
    'llama3 orig top': lambda c: (legacy(c,777.0,dict(rope_type='llama3',**LLAMA3)), c.update(original_max_position_embeddings=64)),
    'llama3 orig both': lambda c: (legacy(c,777.0,dict(rope_type='llama3',original_max_position_embeddings=32,**LLAMA3)), c.update(original_max_position_embeddings=64)),
    'llama3 orig none': lambda c: legacy(c,777.0,dict(rope_type='llama3',**LLAMA3)),
    'yarn in': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64)),
    'yarn none': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0)),
    'yarn top': lambda c: (legacy(c,777.0,dict(rope_type='yarn',factor=4.0)), c.update(original_max_position_embeddings=64)),
    'yarn both': lambda c: (legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=32)), c.update(original_max_position_embeddings=64)),
    'yarn af': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,attention_factor=1.7)),
    'yarn mscale': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,mscale=0.7,mscale_all_dim=1.1)),
    'yarn mscale one': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,mscale=0.7)),
    'yarn mscale zero': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,mscale=1.0,mscale_all_dim=0)),
    'yarn betas': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,beta_fast=16.0,beta_slow=2.0)),
    'yarn beta null': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,beta_fast=None,beta_slow=None,attention_factor=None)),
    'yarn int': lambda c: legacy(c,10000,dict(rope_type='yarn',factor=4,original_max_position_embeddings=64)),
    'yarn truncate': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=4.0,original_max_position_embeddings=64,truncate=False)),
    'yarn factor null': lambda c: legacy(c,777.0,dict(rope_type='yarn',factor=None,original_max_position_embeddings=64)),
    'dynamic': lambda c: legacy(c,777.0,dict(rope_type='dynamic',factor=2.0)),
    'default w factor': lambda c: legacy(c,777.0,dict(rope_type='default',factor=2.0)),
    'mrope': lambda c: legacy(c,777.0,dict(rope_type='mrope',mrope_section=[2,1,1])),
    'proportional': lambda c: legacy(c,777.0,dict(rope_type='proportional')),
    'by layer same': lambda c: c.update(rope_parameters=dict(full_attention=dict(rope_type='default',rope_theta=50.0),sliding_attention=dict(rope_type='default',rope_theta=900.0))),
    'head_dim null': lambda c: c.update(head_dim=None),
    'head_dim gone': lambda c: c.pop('head_dim',None),
    'kv null': lambda c: c.update(num_key_value_heads=None),
    'kv gone': lambda c: c.pop('num_key_value_heads',None),
    'eps gone': lambda c: c.pop('rms_norm_eps',None),
    'eps 1e-2': lambda c: c.update(rms_norm_eps=1e-2),
    'eps other name': lambda c: (c.pop('rms_norm_eps',None), c.update(layer_norm_eps=1e-2, norm_eps=1e-2, layer_norm_epsilon=1e-2)),
    'act gone': lambda c: (c.pop('hidden_act',None), c.pop('hidden_activation',None)),
    'act null': lambda c: c.update(hidden_act=None),
    'act gelu': lambda c: c.update(hidden_act='gelu'),
    'act gelu tanh': lambda c: c.update(hidden_act='gelu_pytorch_tanh'),
    'hidden_activation gelu tanh': lambda c: c.update(hidden_activation='gelu_pytorch_tanh'),
    'hidden_activation silu': lambda c: c.update(hidden_activation='silu'),
    'act relu2': lambda c: c.update(hidden_act='relu2'),
    'act swish': lambda c: c.update(hidden_act='swish'),
    'tie gone': lambda c: c.pop('tie_word_embeddings',None),
    'tie null': lambda c: c.update(tie_word_embeddings=None),
    'window 8': lambda c: c.update(sliding_window=8),
    'window 8 used': lambda c: c.update(sliding_window=8,use_sliding_window=True,max_window_layers=1),
    'window 8 used no max': lambda c: (c.update(sliding_window=8,use_sliding_window=True),c.pop('max_window_layers',None)),
    'window 8 used not': lambda c: c.update(sliding_window=8,use_sliding_window=False),
    'window 8 no types': lambda c: (c.update(sliding_window=8,use_sliding_window=True,max_window_layers=1),c.pop('layer_types',None)),
    'window null': lambda c: c.update(sliding_window=None),
    'window gone': lambda c: c.pop('sliding_window',None),
    'types gone': lambda c: c.pop('layer_types',None),
    'types null': lambda c: c.update(layer_types=None),
    'types all sliding': lambda c: c.update(layer_types=['sliding_attention']*c['num_hidden_layers'],sliding_window=8,use_sliding_window=True),
    'types all full': lambda c: c.update(layer_types=['full_attention']*c['num_hidden_layers'],sliding_window=8,use_sliding_window=True),
    'types chunked': lambda c: c.update(layer_types=['chunked_attention']*c['num_hidden_layers'],attention_chunk_size=16),
    'pattern 2': lambda c: (c.update(sliding_window_pattern=2,sliding_window=8),c.pop('layer_types',None)),
    '_pattern 2': lambda c: (c.update(_sliding_window_pattern=2,sliding_window=8),c.pop('layer_types',None)),
    'partial 0.5': lambda c: c.update(partial_rotary_factor=0.5),
    'partial 0.5 in rp': lambda c: c.update(rope_parameters=dict(rope_type='default',rope_theta=777.0,partial_rotary_factor=0.5)),
    'rotary_dim': lambda c: c.update(rotary_dim=4),
    'attn bias': lambda c: c.update(attention_bias=True),
    'mlp bias': lambda c: c.update(mlp_bias=True),
    'qkv_bias': lambda c: c.update(qkv_bias=True, use_qkv_bias=True),
    'softcap': lambda c: c.update(final_logit_softcapping=5.0),
    'attn softcap': lambda c: c.update(attn_logit_softcapping=2.0),
    'softcap null': lambda c: c.update(final_logit_softcapping=None,attn_logit_softcapping=None),
    'pretraining_tp': lambda c: c.update(pretraining_tp=2),
    'logit_scale': lambda c: c.update(logit_scale=0.5,logits_scaling=2.0),
    'multipliers': lambda c: c.update(embedding_multiplier=2.0,residual_multiplier=0.5,attention_multiplier=0.3,logits_scaling=3.0),
    'multipliers gone': lambda c: [c.pop(k,None) for k in ('embedding_multiplier','residual_multiplier','attention_multiplier','logits_scaling')],
    'query_pre': lambda c: c.update(query_pre_attn_scalar=100),
    'query_pre gone': lambda c: c.pop('query_pre_attn_scalar',None),
    'local base': lambda c: (legacy(c,777.0),c.update(rope_local_base_freq=50.0)),
    'local base + scaling': lambda c: (legacy(c,777.0,dict(rope_type='linear',factor=4.0)),c.update(rope_local_base_freq=50.0)),
    'no_rope_layers': lambda c: c.update(no_rope_layers=[0]*c['num_hidden_layers']),
    'no_rope gone': lambda c: (c.pop('no_rope_layers',None),c.pop('no_rope_layer_interval',None)),
    'no_rope interval 2': lambda c: (c.pop('no_rope_layers',None),c.update(no_rope_layer_interval=2)),
    'layer_rope_theta gone': lambda c: c.pop('layer_rope_theta',None),
    'bidirectional': lambda c: c.update(use_bidirectional_attention=True),
    'is_causal': lambda c: c.update(is_causal=False),
    'qk_norm field': lambda c: c.update(use_qk_norm=True,qk_layernorm=True),
    'experts': lambda c: c.update(num_local_experts=4,num_experts_per_tok=2),
    'arch gone': lambda c: c.pop('architectures',None),
    'type gone': lambda c: c.pop('model_type',None),
    'clip_qkv': lambda c: c.update(clip_qkv=0.5),
    'temperature beta': lambda c: c.update(llama_4_scaling_beta=0.5),
    'attn_temperature': lambda c: c.update(attn_temperature_tuning=True, floor_scale=8, attn_scale=0.5),
    'types sliding, not used': lambda c: c.update(layer_types=['sliding_attention']*c['num_hidden_layers'],sliding_window=8,use_sliding_window=False),
    'max pos small': lambda c: c.update(max_position_embeddings=64),
}

# What is no fault: a layer with a window within the trained length takes LongRoPE's first list (docs/models.md).
def documented(family, change):
    return family == "phi4_mini" and ("window 8" in change or "types all" in change or "pattern" in change)


def lenient(change):
    """What transformers refuses and we run, as it can mean but one thing."""
    return change in ("type gone", "head_dim null")


def chosen(family):
    """(family, change) of a run."""
    every = list(CHANGES)
    if os.environ.get("INGRAIN_TEST_ALL"):
        return every
    begin = list(decoder_models.FAMILIES).index(family)
    return [every[(begin + 16 * i) % len(every)] for i in range(7)]


def computed_by_transformers(folder, tokens):
    """The loss of every token, or None where transformers refuses the file."""
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        return decoder_models.expected_nll(model, tokens)
    except Exception:  # noqa: BLE001
        return None


@pytest.mark.parametrize("family", decoder_models.FAMILIES)
def test_a_field_wherever_it_stands_means_what_it_means_in_transformers(ingrain, tmp_path, family):
    folder = tmp_path / "model"
    decoder_models.make(family).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    tokens, file, wrong = decoder_models.some_tokens(1), tmp_path / "tokens", []
    tokens.tofile(file)
    for change in chosen(family):
        changed = copy.deepcopy(config)
        CHANGES[change](changed)
        (folder / "config.json").write_text(json.dumps(changed))
        done = ingrain("eval", folder, "--tokens", file, "--token-type", "u32", "--dtype", "fp32", "--learning", "off", "--json", "--per-token")
        if done.returncode:
            if str(folder) not in done.stderr:
                wrong.append((change, done.stderr))
            continue
        want = computed_by_transformers(folder, tokens)
        if want is None and not lenient(change):
            wrong.append((change, "transformers refuses it"))
        if want is None or documented(family, change):
            continue
        off = np.abs(np.array(json.loads(done.stdout)["learning_off"]["nll"][1:]) - want).max()
        if not off < 2e-4:
            wrong.append((change, off))
    assert not wrong
