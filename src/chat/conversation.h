// What a model must read, turn by turn, to take part in a conversation. Knows texts only: no model, no memory.
#pragma once

#include "chat/chat_template.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::chat {

/// The form of a conversation: the model's own template, or, for models without one, questions and answers as text.
struct Form {
  std::optional<std::string> source;                // of the template
  std::optional<std::string> bos_token, eos_token;  // as the template sees them
};

/// A conversation that is read and written as it goes on: each turn gives only the text that is new.
/// A value: a copy goes on independently.
class Conversation {
 public:
  /// `system`: instructions that come first, or empty. Error if the template cannot be parsed.
  explicit Conversation(Form form, std::string system = {});

  /// The text by which the user's next turn is to be read, up to where the answer begins. Error: what the template
  /// itself refuses, in its words.
  std::string ask(std::string_view question);
  /// What was answered. `end`: the text of the token that ended it, if one did ("<|im_end|>"); it was read, too.
  void answered(std::string_view answer, std::string_view end = {});

  bool has_template() const { return template_ != nullptr; }

  /// Texts before which an answer ends, besides the model's end-of-text tokens.
  std::vector<std::string> stops() const;

 private:
  std::string rendered() const;
  std::string new_part(const std::string& now) const;

  Form form_;
  std::shared_ptr<const chat::ChatTemplate> template_;
  nlohmann::ordered_json messages_;
  std::string read_;          // the conversation's text up to the last answer, as the template gives it
  std::string answer_, end_;  // the last answer and what ended it
};

}  // namespace ingrain::chat
