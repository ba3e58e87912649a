// A prompt as the model reads it: the conversation in the model's own template, or a text as it is.
#pragma once

#include "chat/conversation.h"
#include "serve/engine/engine.h"

#include <set>

namespace ingrain::serve {

struct PromptTokens {
  std::vector<int32_t> tokens;
  /// So many of them say nothing of what the first user asks: instructions and tools, which conversations share.
  size_t shared = 0;
  std::string text;                // of a conversation: that of all tokens
  std::vector<std::string> stops;  // texts before which an answer ends, besides end-of-text tokens
};

/// Prompts of one model. Safe to use by many threads at once.
class PromptReader {
 public:
  explicit PromptReader(const Model& model);

  /// Messages are taken as OpenAI's API has them: null members are dropped, arguments of tool calls that are JSON in a
  /// string become objects, content in parts of text becomes one text where the model has no template. Error: what the
  /// template refuses, in its words; UsageError for ids that the model does not have, or a prompt of nothing.
  /// `known`: tokens that it may begin with, which then stand as they are: of a long text not all is encoded anew.
  PromptTokens read(const Prompt& prompt, std::span<const int32_t> known = {}) const;

  /// Of `known` bytes of the prompt's text, whether they lack a part of its last answer or what comes before that.
  /// False where it has no answer.
  bool lacks_of_answers(const Prompt& prompt, const PromptTokens& read, size_t known) const;

  bool has_template() const { return empty_.has_template(); }

  /// The text of read().
  std::string text(const Prompt& prompt) const;

  /// What the next prompt begins with, up to the end of this answer, where it is other tokens than the prompt's and the
  /// answer's own: messages as they were said, and the answer as it is `returned` (null: as it was written). Nothing
  /// where that is not certain: an answer with thoughts or calls that a limit or a stop string cut. `tokens`: those
  /// that the memory has read.
  std::optional<std::vector<int32_t>> text_after(const Prompt& prompt, const PromptTokens& read,
                                                 const nlohmann::ordered_json& returned,
                                                 std::span<const int32_t> tokens, StopReason reason) const;

  /// The answer as a message: text that the model wrote is text, a control token is one. In JSON: a list of
  /// {"text", "literal"}.
  nlohmann::ordered_json answer(std::span<const int32_t> tokens, StopReason reason, std::string_view text) const;

 private:
  int64_t bos_of(bool first) const;
  std::vector<int32_t> encode(const chat::Rendering& rendering, bool first) const;
  std::vector<int32_t> encode_after(std::span<const int32_t> known, const chat::Rendering& rendering, bool first) const;
  chat::Rendering next_prompt(const Prompt& prompt, const nlohmann::ordered_json& said,
                              const nlohmann::ordered_json& answer, const char* question) const;
  size_t end_of_answer(const Prompt& prompt, const nlohmann::ordered_json& said, nlohmann::ordered_json answer,
                       std::string_view text) const;
  chat::Rendering rendering_of(const Prompt& prompt, const nlohmann::ordered_json& messages) const;
  std::string bytes_of(std::span<const int32_t> tokens) const;
  nlohmann::ordered_json as_pieces(std::span<const int32_t> tokens) const;
  bool ended_by_token(std::span<const int32_t> tokens) const;
  chat::Conversation conversation_of(const Prompt& prompt, const nlohmann::ordered_json& messages) const;
  size_t shared_of(const Prompt& prompt, std::span<const int32_t> tokens) const;

  Model model_;
  chat::Conversation empty_;  // holds the parsed template
  bool cuts_at_words_;        // a text may be encoded in parts that end between two words
  std::set<int32_t> added_;   // tokens behind which a text begins anew
};

}  // namespace ingrain::serve
