// The state of `ingrain chat`: a dialogue with a memory, and the commands that begin with a slash.
#pragma once

#include "cli/notes.h"
#include "cli/writing_options.h"
#include "ingrain/dialogue.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ingrain::cli {

struct ChatFaces {
  bool show_learning = false;
  bool terminal = false;  // rates are shown, and what only a person needs
  NotepadOptions notepad = {};
  std::string memory = {};  // the file that it began with, whose notes go along; or empty
};

class ChatSession {
 public:
  ChatSession(Dialogue dialogue, GenerateOptions options, ChatFaces faces);

  /// What the person said: a command, or something to answer. Prints as it goes. Error leaves the session as it was.
  void take(const std::string& said);
  bool open() const { return open_; }
  /// Whether something was said that no file has.
  bool unsaved() const { return asked() && dialogue_.messages() != saved_; }
  /// Whether there is a question.
  bool asked() const;
  const Dialogue& dialogue() const { return dialogue_; }
  void save(const std::string& file);

 private:
  void answer(const std::string& question);
  void command(const std::string& name, const std::string& argument);
  void look_up(const std::string& question, std::vector<serve::Passage>& passages);
  void set_notepad(const std::string& argument);
  serve::Notepad& notes();
  /// A file of /read, which waits for the next question.
  struct Waiting {
    std::string name;
    std::vector<serve::Notepad::Document> documents;
    bool noted = false;
  };
  void add_file(const std::string& file);
  std::string waiting_text() const;
  void note_waiting();
  void set_system(const std::string& text);
  void retry();
  bool undo();
  void print_stats() const;
  void print_end(const Answer& answer) const;

  Dialogue dialogue_;
  GenerateOptions options_;
  ChatFaces faces_;
  bool open_ = true;
  std::vector<Message> saved_;  // the messages when it began, or as a file last got them
  std::vector<Waiting> waiting_;
  std::vector<InnerStep> steps_;           // of the questions read in this session
  std::string file_;                       // of the last /save or /fork
  std::unique_ptr<serve::Notepad> notes_;  // once needed
  int64_t written_ = 0;
  double seconds_ = 0;
};

}  // namespace ingrain::cli
