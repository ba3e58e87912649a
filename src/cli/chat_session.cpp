#include "cli/chat_session.h"

#include "base/error.h"
#include "base/text.h"

#include <cstdio>

namespace ingrain::cli {
namespace {

constexpr size_t kForgettable = 16;                        // exchanges
constexpr uint64_t kForgettableBytes = uint64_t{1} << 30;  // of memories kept for them

void print_step(const InnerStep& step) {
  std::printf("  step %lld: %.3f nats a token before its step, %.3f after\n", static_cast<long long>(step.step),
              step.loss_before, step.loss_after);
}

}  // namespace

ChatSession::ChatSession(Memory memory, chat::Conversation conversation, GenerateOptions options, bool show_learning)
    : memory_(std::move(memory)),
      conversation_(std::move(conversation)),
      options_(std::move(options)),
      show_learning_(show_learning) {}

void ChatSession::take(const std::string& line) {
  const size_t first = line.find_first_not_of(" \t");
  if (first == line.npos) return;
  if (line[first] != '/') return answer(line);
  const size_t space = line.find(' ', first);
  const size_t argument = space == line.npos ? line.npos : line.find_first_not_of(' ', space);
  command(line.substr(first + 1, space == line.npos ? line.npos : space - first - 1),
          argument == line.npos ? "" : line.substr(argument));
}

void ChatSession::answer(const std::string& question) {
  Before before{memory_, conversation_};
  const size_t known = steps_.size();
  try {
    const Answer out = exchange(
        memory_, conversation_, question, options_, [&](const InnerStep& step) { steps_.push_back(step); }, show_text);
    written_ += out.tokens_written;
    seconds_ += out.seconds;
    std::printf("%s\n", out.reason == StopReason::interrupted ? " [stopped]" : "");
  } catch (...) {
    memory_ = before.memory;
    conversation_ = before.conversation;
    steps_.erase(steps_.begin() + static_cast<std::ptrdiff_t>(known), steps_.end());
    throw;
  }
  before_.push_back(std::move(before));
  while (before_.size() > kForgettable || (before_.size() > 1 && before_.size() * memory_.bytes() > kForgettableBytes))
    before_.pop_front();
  if (show_learning_)
    for (size_t i = known; i < steps_.size(); ++i) print_step(steps_[i]);
}

void ChatSession::command(const std::string& name, const std::string& argument) {
  if (name == "quit" || name == "exit") {
    open_ = false;
  } else if (name == "save" || name == "fork") {
    if (argument.empty() && (name == "fork" || file_.empty())) fail_usage("/{} needs the name of a file", name);
    save(argument.empty() ? file_ : argument);
    if (name == "fork") std::printf("the conversation goes on in this copy; what was saved before stays as it is\n");
  } else if (name == "forget") {
    forget();
  } else if (name == "stats") {
    print_stats();
  } else {
    if (name != "help")
      std::printf("/%s is not a command%s\n", printable(name).c_str(),
                  did_you_mean(name, {"save", "fork", "forget", "stats", "help", "quit"}).c_str());
    std::printf(
        "  /save [FILE]   write the memory; ingrain chat --memory FILE goes on with it\n"
        "  /fork FILE     write a copy and go on in it\n"
        "  /forget        become what it was before the last question\n"
        "  /stats         what was read and learnt, time a token\n"
        "  /quit          end; nothing is saved by itself\n");
  }
}

void ChatSession::save(const std::string& file) {
  memory_.save(file);
  file_ = file;
  std::printf("%s: %s tokens read, %s\n", file.c_str(), with_commas(memory_.position()).c_str(),
              format_bytes(std::filesystem::file_size(file)).c_str());
}

void ChatSession::forget() {
  if (before_.empty()) return void(std::printf("there is nothing that could be forgotten\n"));
  memory_ = std::move(before_.back().memory);
  conversation_ = std::move(before_.back().conversation);
  before_.pop_back();
  while (!steps_.empty() && steps_.back().step >= memory_.steps()) steps_.pop_back();
  std::printf("forgotten; %s tokens read\n", with_commas(memory_.position()).c_str());
}

void ChatSession::print_stats() const {
  std::printf("%s tokens read, %s inner steps, memory of %s\n", with_commas(memory_.position()).c_str(),
              with_commas(memory_.steps()).c_str(), format_bytes(memory_.bytes()).c_str());
  if (written_ > 0)
    std::printf("%s tokens written, %.2f ms each, reading included\n", with_commas(written_).c_str(),
                1e3 * seconds_ / static_cast<double>(written_));
  constexpr size_t kShown = 8;
  for (size_t i = steps_.size() > kShown ? steps_.size() - kShown : 0; i < steps_.size(); ++i) print_step(steps_[i]);
}

}  // namespace ingrain::cli
