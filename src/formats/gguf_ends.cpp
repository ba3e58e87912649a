#include "formats/gguf_ends.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace ingrain::formats {
namespace {

// The lists are llama.cpp's (src/llama-vocab.cpp, October 2026): interface facts of published models.
constexpr std::string_view kEnds[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>",
                                      "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>",
                                      "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
                                      "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
                                      // Of code models: padding, and the beginnings of another file or repository.
                                      "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>",
                                      "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};
constexpr std::string_view kOtherControls[] = {
    "<|fim_prefix|>",  "<fim-prefix>",  "<fim_prefix>",    "<｜fim▁begin｜>", "<PRE>",           "▁<PRE>",
    "<|code_prefix|>", "<|prefix|>",    "<|fim_suffix|>",  "<fim-suffix>",    "<fim_suffix>",    "<｜fim▁hole｜>",
    "<SUF>",           "▁<SUF>",        "<|code_suffix|>", "<|suffix|>",      "<|fim_middle|>",  "<fim-middle>",
    "<fim_middle>",    "<｜fim▁end｜>", "<MID>",           "▁<MID>",          "<|code_middle|>", "<|middle|>"};

template <size_t count>
bool among(const std::string_view (&list)[count], std::string_view spelling) {
  return std::find(std::begin(list), std::end(list), spelling) != std::end(list);
}

}  // namespace

bool names_control_token(std::string_view spelling) {
  return among(kEnds, spelling) || among(kOtherControls, spelling);
}

std::vector<int64_t> gguf_end_ids(const Gguf& file) {
  std::vector<int64_t> out;
  const auto add = [&](int64_t id) {
    if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
  };
  const std::vector<std::string_view> tokens =
      file.get<std::vector<std::string_view>>("tokenizer.ggml.tokens").value_or(std::vector<std::string_view>());
  for (const char* name : {"eos", "eot", "eom"})
    // A large number says "none" in files of some converters.
    if (const auto id = file.get<uint64_t>(fmt::format("tokenizer.ggml.{}_token_id", name));
        id && *id <= static_cast<uint64_t>(std::numeric_limits<int32_t>::max()))
      add(static_cast<int64_t>(*id));
  const auto has = [&](std::string_view spelling) {
    return std::find(tokens.begin(), tokens.end(), spelling) != tokens.end();
  };
  // In two forms of conversation <|end|> ends a part of an answer.
  const bool parts = (has("<|return|>") || has("<|flush|>")) && (has("<|call|>") || has("<|calls|>"));
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!among(kEnds, tokens[id]) || (parts && tokens[id] == "<|end|>")) continue;
    add(static_cast<int64_t>(id));
  }
  return out;
}

}  // namespace ingrain::formats
