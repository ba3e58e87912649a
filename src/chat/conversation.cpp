#include "chat/conversation.h"

namespace ingrain::chat {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

Conversation::Conversation(Form form, std::string system)
    : form_(std::move(form)), messages_(nlohmann::ordered_json::array()) {
  if (form_.source) template_ = std::make_shared<const chat::ChatTemplate>(*form_.source);
  if (!system.empty()) messages_.push_back({{"role", "system"}, {"content", std::move(system)}});
}

std::string Conversation::rendered() const {
  chat::ChatOptions options;
  options.add_generation_prompt = true;
  options.bos_token = form_.bos_token;
  options.eos_token = form_.eos_token;
  return template_->render(messages_, options);
}

std::string Conversation::ask(std::string_view question) {
  const bool first = read_.empty();
  messages_.push_back({{"role", "user"}, {"content", question}});
  if (!template_) {
    const std::string system = first && messages_.size() > 1 ? messages_[0]["content"].get<std::string>() + "\n\n" : "";
    read_ = (first ? "\n\n" + system : "\n\n") + "Question: " + std::string(trimmed(question)) + "\nAnswer:";
    return read_;
  }
  try {
    const std::string now = rendered();
    const std::string out = first ? now : new_part(now);
    read_ = now;
    return out;
  } catch (...) {
    messages_.erase(messages_.size() - 1);
    throw;
  }
}

/// What follows the last answer in `now`. A template that changes earlier turns (drops thoughts, say) leaves what was
/// read as it is; then the new turn alone is rendered.
std::string Conversation::new_part(const std::string& now) const {
  const std::string_view answer = trimmed(answer_);
  if (now.starts_with(read_)) {
    const size_t at = now.find(answer, read_.size());
    if (at != now.npos && trimmed(std::string_view(now).substr(read_.size(), at - read_.size())).empty()) {
      std::string_view rest = std::string_view(now).substr(at + answer.size());
      if (!end_.empty() && rest.starts_with(end_)) rest.remove_prefix(end_.size());
      return std::string(rest);
    }
  }
  Conversation alone = *this;
  alone.messages_ = nlohmann::ordered_json::array({messages_.back()});
  return alone.rendered();
}

void Conversation::answered(std::string_view answer, std::string_view end) {
  messages_.push_back({{"role", "assistant"}, {"content", trimmed(answer)}});
  answer_ = answer;
  end_ = end;
}

std::vector<std::string> Conversation::stops() const {
  if (template_) return {};
  return {"\nQuestion:", "\n\n"};
}

}  // namespace ingrain::chat
