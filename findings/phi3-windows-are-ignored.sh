#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549) and gguf 0.19.0: a GGUF file of architecture phi3 has a key for its sliding window, which
# converters write and transformers' Phi-3 obeys in every layer; llama.cpp reads it and attends to everything all the same, with a line in
# its log. The same key in gemma3 does what it says. So a Phi-3 model's scores beyond its window differ between the two from one file.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q xllamacpp==2026.10.11549 gguf==0.19.0
cd "$work" && cat >model.py <<'PY'
import sys
import gguf
import numpy as np

D, F, V, HEADS = 64, 128, 300, 4

def write(path, arch, window):
    random = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, arch)
    w.add_context_length(512), w.add_embedding_length(D), w.add_feed_forward_length(F), w.add_block_count(6)
    w.add_head_count(HEADS), w.add_head_count_kv(HEADS), w.add_layer_norm_rms_eps(1e-5), w.add_rope_freq_base(1e4)
    w.add_rope_dimension_count(D // HEADS), w.add_key_length(D // HEADS), w.add_value_length(D // HEADS)
    w.add_rope_scaling_orig_ctx_len(512), w.add_sliding_window(window), w.add_vocab_size(V)
    w.add_tokenizer_model("gpt2"), w.add_tokenizer_pre("default"), w.add_token_merges(["a b"])
    w.add_token_list(["ab"] + [f"word{i}" for i in range(V - 3)] + ["a", "b"]), w.add_token_types([1] * V), w.add_eos_token_id(1)
    def add(name, *shape):
        w.add_tensor(name, (random.standard_normal(shape) * 0.2).astype(np.float32))
    def ones(name, size=D):
        w.add_tensor(name, np.ones(size, np.float32))
    add("token_embd.weight", V, D), ones("output_norm.weight")
    for i in range(6):
        b = f"blk.{i}."
        ones(b + "attn_norm.weight"), ones(b + "ffn_norm.weight"), add(b + "attn_output.weight", D, D), add(b + "ffn_down.weight", D, F)
        if arch == "phi3":
            add(b + "attn_qkv.weight", 3 * D, D), add(b + "ffn_up.weight", 2 * F, D)
        else:
            for part in "qkv":
                add(f"{b}attn_{part}.weight", D, D)
            for part in ("ffn_gate", "ffn_up"):
                add(f"{b}{part}.weight", F, D)
            for part in ("attn_q_norm", "attn_k_norm"):
                ones(f"{b}{part}.weight", D // HEADS)
            for part in ("post_attention_norm", "post_ffw_norm"):
                ones(f"{b}{part}.weight")
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()

write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
PY
cat >scores.py <<'PY'
import http.client, json, os, sys, urllib.parse
import xllamacpp as x
p = x.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.warmup = sys.argv[1], 512, 1, False
p.cpuparams.n_threads = 2
server = x.Server(p)
c = http.client.HTTPConnection(urllib.parse.urlparse(server.listening_address).netloc, timeout=60)
ids = [(i * 37) % 290 + 3 for i in range(200)]
c.request("POST", "/completion", json.dumps({"prompt": ids, "n_predict": 1, "n_probs": 8, "temperature": 0}), {"Content-Type": "application/json"})
top = json.loads(c.getresponse().read())["completion_probabilities"][0]["top_logprobs"]
print(json.dumps([[t["id"], round(t["logprob"], 3)] for t in top]), flush=True)
os._exit(0)
PY
declare -A got
for arch in phi3 gemma3; do
  for window in 8 400; do
    venv/bin/python model.py "$arch-$window.gguf" "$arch" "$window"
    got[$arch-$window]=$(venv/bin/python scores.py "$arch-$window.gguf" 2>"$arch-$window.log" | tail -n 1)
    [[ ${got[$arch-$window]} == \[\[* ]] || { echo "no scores of $arch"; tail -n 3 "$arch-$window.log"; exit 1; }
    echo "$arch, window $window, after 200 tokens: ${got[$arch-$window]:0:60} ..."
  done
done
[[ ${got[phi3-8]} == "${got[phi3-400]}" && ${got[gemma3-8]} != "${got[gemma3-400]}" ]]
