// The state of `ingrain chat`: a memory, a conversation, and the commands that begin with a slash.
#pragma once

#include "cli/exchange.h"

#include <deque>

namespace ingrain::cli {

class ChatSession {
 public:
  ChatSession(Memory memory, chat::Conversation conversation, GenerateOptions options, bool show_learning);

  /// One line from the person: a command, or something to answer. Prints as it goes. Error leaves the session as it
  /// was.
  void take(const std::string& line);
  bool open() const { return open_; }
  const Memory& memory() const { return memory_; }

 private:
  void answer(const std::string& question);
  void command(const std::string& name, const std::string& argument);
  void save(const std::string& file);
  void forget();
  void print_stats() const;

  /// The state before an exchange, for /forget.
  struct Before {
    Memory memory;
    chat::Conversation conversation;
  };

  Memory memory_;
  chat::Conversation conversation_;
  GenerateOptions options_;
  bool show_learning_, open_ = true;
  std::deque<Before> before_;     // the latest exchanges
  std::vector<InnerStep> steps_;  // of the questions read in this session
  std::string file_;              // of the last /save or /fork
  int64_t written_ = 0;
  double seconds_ = 0;
};

}  // namespace ingrain::cli
