// What a model must have read to take part in a conversation: the template's own rendering of all messages. Knows texts
// only: no model, no memory. What of it is new to a memory is chat/common_prefix.h's question.
#pragma once

#include "chat/chat_template.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::chat {

/// The form of a conversation: the model's own template, or, for models without one, questions and answers as text.
struct Form {
  std::optional<std::string> source;                          // of the template
  std::optional<std::string> bos_token = {}, eos_token = {};  // as the template sees them
  std::vector<std::string> control = {};  // spellings of tokens that are text where a message says them
  std::vector<std::pair<std::string, std::string>> named = {};  // what else a template sees: name and token
};

/// A part of a rendered conversation. `literal`: text, though it reads like a control token, because a message said it.
struct Piece {
  std::string text;
  bool literal = false;
  bool operator==(const Piece&) const = default;
};
using Rendering = std::vector<Piece>;

/// All of its text.
std::string text_of(const Rendering& rendering);

/// Without a template an answer that a message says comes after "Answer: ": whether that blank is not its own. One that
/// the model wrote comes after "Answer:" as it was written.
bool lacks_blank(std::string_view answer);

/// Messages and their rendering. A value: a copy goes on independently.
class Conversation {
 public:
  /// `system`: instructions that come first, or empty. Error if the template cannot be parsed.
  explicit Conversation(Form form, std::string_view system = {});

  /// The next message. Roles: as the template knows them ("system", "user", "assistant", "tool"). Control tokens in
  /// `content` are text.
  void add(std::string_view role, std::string_view content);
  /// The next message, an answer as the model wrote it: of its pieces, those that are not literal are control tokens.
  void add_answer(const Rendering& answer);
  /// The next message whatever its members ("tool_calls", content in parts); every string in it is said, not meant.
  void add_message(nlohmann::ordered_json message);
  /// What the template sees besides the messages: the tools that may be called (a list, or null) and more variables (an
  /// object, or null). Strings in the tools are said, not meant.
  void set_tools(const nlohmann::ordered_json& tools);
  void set_extra(nlohmann::ordered_json variables) { extra_ = std::move(variables); }

  /// The whole conversation as the model is to read it. `answer_follows`: up to where the next answer begins. Error:
  /// what the template itself refuses, in its words.
  Rendering render(bool answer_follows) const;

  size_t size() const { return messages_.size(); }
  void remove_last() { messages_.erase(messages_.size() - 1); }
  /// The control tokens, as they are spelt, that are text where a message says them.
  const std::vector<std::string>& control() const { return form_.control; }
  /// The one that `text` begins with, the longest; nullptr: none.
  const std::string* control_at(std::string_view text) const;
  /// Where the first one begins in `text`; npos: nowhere.
  size_t find_control(std::string_view text) const;
  bool has_template() const { return template_ != nullptr; }

  /// Texts before which an answer ends, besides the model's end-of-text tokens.
  std::vector<std::string> stops() const;

  /// The messages, with marks around what is said; for restore() alone.
  const nlohmann::ordered_json& marked_messages() const { return messages_; }
  void restore(nlohmann::ordered_json marked_messages) { messages_ = std::move(marked_messages); }
  /// The messages without the marks.
  nlohmann::ordered_json messages() const;

 private:
  std::string marked(std::string_view said) const;
  std::string as_text() const;

  Form form_;
  std::array<bool, 256> begins_{};  // with these bytes control tokens begin
  std::shared_ptr<const chat::ChatTemplate> template_;
  nlohmann::ordered_json messages_, tools_, extra_;
};

}  // namespace ingrain::chat
