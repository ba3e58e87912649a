// Chat templates: the small programs, in the Jinja language, by which models say how a conversation becomes
// text. Rendered as the Python package `transformers` renders them. What is supported:
// docs/chat_templates.md.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ingrain::chat {

/// What a template sees besides the messages.
struct ChatOptions {
  bool add_generation_prompt = false;
  nlohmann::ordered_json tools;  // a list, or null for none
  nlohmann::ordered_json extra;  // an object of more variables (enable_thinking, documents, ...), or null
  std::optional<std::string> bos_token, eos_token;
  std::optional<std::tm> now;                 // for strftime_now(); otherwise the local time
  uint64_t work_limit = uint64_t{256} << 20;  // bytes made or looked at; 32 times the input's size come on top
};

/// A parsed template. Immutable: any number of threads may render with one.
/// Templates come from model files, so they are hostile: work, depth and size are bounded.
class ChatTemplate {
 public:
  /// `name` stands for the template in errors. Error (with a line number) for what cannot be parsed.
  explicit ChatTemplate(std::string_view source, std::string name = "chat template");
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The conversation as text. `messages` is a list of objects, as a rule with "role" and "content".
  /// Error: what the template itself refuses (raise_exception), in its own words; or what went wrong, with
  /// its line.
  std::string render(const nlohmann::ordered_json& messages, const ChatOptions& options = {}) const;

 private:
  struct Tree;
  std::unique_ptr<const Tree> tree_;
  std::string name_;
};

}  // namespace ingrain::chat
