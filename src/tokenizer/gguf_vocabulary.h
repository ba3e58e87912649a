// A GGUF file's vocabulary: tokens, their types and scores, merges, and the steps that its kind of tokenizer has.
#pragma once

#include "formats/gguf.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

/// What llama.cpp assumes where the file says nothing of the beginning and end of a text.
struct GgufDefaults {
  std::optional<int32_t> bos, eos, unk;
  bool add_bos = false, add_eos = false;
};

/// Fills `spec`: vocabulary, added tokens, merges or scores, normalizer, pre-tokenizer, decoder, warnings. By
/// tokenizer.ggml.model: "gpt2" (byte-level BPE, and what tokenizer.ggml.pre makes of it), "gemma4", "llama"
/// (SentencePiece's BPE), "t5" (Unigram); Error naming others.
GgufDefaults read_gguf_vocabulary(const formats::Gguf& file, TokenizerSpec& spec);

}  // namespace ingrain::tokenizer
