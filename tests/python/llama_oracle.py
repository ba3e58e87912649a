"""A text's first tokens and their losses by llama.cpp, as JSON: python llama_oracle.py MODEL.gguf TEXT COUNT. Needs llama-cpp-python."""
import json
import sys

import numpy
from llama_cpp import Llama

model, text, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
llm = Llama(model, n_ctx=count, n_batch=count, logits_all=True, verbose=False)
tokens = [llm.token_bos(), *llm.tokenize(open(text, "rb").read(), add_bos=False)][:count]
llm.eval(tokens)
logits = numpy.array(llm.scores[: count - 1], dtype=numpy.float64)
logits -= logits.max(axis=1, keepdims=True)
log_p = logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))
print(json.dumps({"tokens": tokens, "nll": (-log_p[numpy.arange(count - 1), tokens[1:]]).tolist()}))
