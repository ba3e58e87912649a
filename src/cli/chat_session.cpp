#include "cli/chat_session.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/text.h"
#include "data/documents.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace ingrain::cli {
namespace {

constexpr uint64_t kMaxReadBytes = 1 << 20;

constexpr const char* kHelp =
    "  /read FILE     put a file or folder before the next question, as 'ingrain read' takes it\n"
    "  /system TEXT   what comes before the conversation; alone: show it\n"
    "  /undo          take back a /read that waits, else become what it was before the last question (also /forget)\n"
    "  /retry         another answer to the last question\n"
    "  /save [FILE]   write the memory; ingrain chat --memory FILE goes on with it\n"
    "  /fork FILE     write a copy and go on in it\n"
    "  /notes on|off  look each question up in the notes of what was read, and read the best passages before it\n"
    "  /stats         what was read and learnt, time a token\n"
    "  /quit          end; 'ingrain chat --last' goes on with what was not saved\n"
    "  \"\"\"            begins and ends a question of several lines\n";

const std::vector<std::string> kCommands{"read", "system", "undo",  "forget", "retry", "save",
                                         "fork", "notes",  "stats", "quit",   "exit",  "help"};

void print_step(const InnerStep& step) {
  std::printf("  step %lld: %.3f nats a token before its step, %.3f after\n", static_cast<long long>(step.step),
              step.loss_before, step.loss_after);
}

/// What was typed or dropped: perhaps in quotes, perhaps beginning with a home.
std::filesystem::path path_of(std::string typed) {
  if (typed.size() > 1 && (typed[0] == '"' || typed[0] == '\'') && typed.back() == typed[0])
    typed = typed.substr(1, typed.size() - 2);
  const char* const home = std::getenv("HOME");
  if (home != nullptr && (typed == "~" || typed.starts_with("~/"))) typed = home + typed.substr(1);
  return typed;
}

}  // namespace

ChatSession::ChatSession(Dialogue dialogue, GenerateOptions options, ChatFaces faces)
    : dialogue_(std::move(dialogue)),
      options_(std::move(options)),
      faces_(std::move(faces)),
      saved_(dialogue_.messages()) {}

bool ChatSession::asked() const {
  return std::ranges::any_of(dialogue_.messages(), [](const Message& m) { return m.role == "user"; });
}

void ChatSession::take(const std::string& said) {
  const size_t first = said.find_first_not_of(" \t\n");
  if (first == said.npos) return;
  const size_t space = said.find_first_of(" \n", first);
  // A path or a regular expression may begin a question, too: a command is a slash and letters, and nothing on further
  // lines, which are a question's; but for a system text.
  const std::string_view word = std::string_view(said).substr(first, space == said.npos ? said.npos : space - first);
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  if (word.size() < 2 || word[0] != '/' || !std::all_of(word.begin() + 1, word.end(), letter)) return answer(said);
  const size_t line_end = said.find('\n', first);
  if (line_end < said.find_last_not_of(" \t\n") && word != "/system") return answer(said);
  const size_t argument = space == said.npos ? said.npos : said.find_first_not_of(' ', space);
  command(said.substr(first + 1, space == said.npos ? said.npos : space - first - 1),
          argument == said.npos ? "" : said.substr(argument));
}

void ChatSession::answer(const std::string& question) {
  const size_t known = steps_.size();
  std::vector<serve::Passage> passages;
  note_waiting();
  if (faces_.notepad.on) look_up(question, passages);
  try {
    dialogue_.say("user", waiting_text() + question);
    const Answer out = dialogue_.answer(options_, show_text, [&](const InnerStep& step) { steps_.push_back(step); });
    if (out.tokens_read > 0) waiting_.clear();  // else it was stopped before the answer, and nothing was read
    written_ += out.tokens_written;
    seconds_ += out.seconds_reading + out.seconds_writing;
    print_end(out);
    print_sources(passages);
  } catch (...) {
    steps_.erase(steps_.begin() + static_cast<std::ptrdiff_t>(known), steps_.end());
    throw;
  }
  if (faces_.show_learning)
    for (size_t i = known; i < steps_.size(); ++i) print_step(steps_[i]);
}

void ChatSession::print_end(const Answer& answer) const {
  std::string note;
  if (answer.reason == StopReason::interrupted) note = "stopped";
  if (answer.reason == StopReason::max_tokens) note = fmt::format("stopped at --max-tokens {}", options_.max_tokens);
  if (faces_.terminal && answer.tokens_written > 0) {
    const double rate = static_cast<double>(answer.tokens_written) / std::max(answer.seconds_writing, 1e-9);
    if (!note.empty()) note += "; ";
    note += fmt::format("{}, {:.1f}/s", counted(answer.tokens_written, "token"), rate);
  }
  std::printf("%s\n", note.empty() ? "" : (" [" + note + "]").c_str());
}

void ChatSession::command(const std::string& name, const std::string& argument) {
  if (name == "quit" || name == "exit") {
    open_ = false;
  } else if (name == "save" || name == "fork") {
    if (argument.empty() && (name == "fork" || file_.empty())) fail_usage("/{} needs the name of a file", name);
    save(argument.empty() ? file_ : argument);
    if (name == "fork") std::printf("the conversation goes on in this copy; what was saved before stays as it is\n");
  } else if (name == "undo" || name == "forget") {
    undo();
  } else if (name == "retry") {
    retry();
  } else if (name == "read") {
    add_file(argument);
  } else if (name == "system") {
    set_system(argument);
  } else if (name == "notes") {
    set_notepad(argument);
  } else if (name == "stats") {
    print_stats();
  } else {
    if (name != "help")
      std::printf("/%s is not a command%s\n", printable(name).c_str(), did_you_mean(name, kCommands).c_str());
    std::printf("%s", kHelp);
  }
}

void ChatSession::save(const std::string& file) {
  require_memory_writable(file, faces_.memory);
  dialogue_.close();
  save_with_notes(file, [&] {
    if (notes_ && notes_->passages("") > 0)
      save_notes(*notes_, file);
    else
      carry_notes(faces_.memory, file);
    dialogue_.memory().save(file);
  });
  file_ = file;
  saved_ = dialogue_.messages();
  std::printf("%s: %s read, %s\n", file.c_str(), counted(dialogue_.memory().position(), "token").c_str(),
              format_bytes(std::filesystem::file_size(file)).c_str());
}

/// The notes of what the memory had read when the conversation began, and of what was read in it.
serve::Notepad& ChatSession::notes() {
  if (!notes_) notes_ = notes_to_go_on(faces_.memory);
  return *notes_;
}

void ChatSession::look_up(const std::string& question, std::vector<serve::Passage>& passages) {
  passages = notes().search("", question, faces_.notepad.passages);
  dialogue_.aside(serve::notes_text(passages));
}

void ChatSession::set_notepad(const std::string& argument) {
  if (argument == "on" || argument == "off")
    faces_.notepad.on = argument == "on";
  else if (!argument.empty())
    fail_usage("/notes on, or /notes off");
  std::printf("the notepad is %s; %s\n", faces_.notepad.on ? "on" : "off",
              counted(notes().passages(""), "passage").c_str());
}

void ChatSession::add_file(const std::string& file) {
  if (file.empty()) fail_usage("/read needs the name of a file");
  const std::filesystem::path path = path_of(file);
  data::DocumentOptions options;
  options.max_document_bytes = kMaxReadBytes;
  const data::SourceList found = data::find_sources({path}, options);
  Waiting out{.name = path.filename().string(), .documents = {}};
  const size_t waits = waiting_text().size();
  size_t bytes = 0;
  data::BadLines none;
  for (const data::Source& source : found.sources) {
    int64_t number = 0;
    data::for_each_document(source, options, none, [&](std::string_view text, uint64_t) {
      require(text.find('\0') == text.npos, "{}: it is not text", source.path.string());
      bytes += text.size();
      require(waits + bytes <= kMaxReadBytes,
              "{}: with what waits already more than 1 MiB; 'ingrain read' makes a memory of more", file);
      out.documents.push_back({data::document_name(source, ++number), std::string(text)});
      return true;
    });
  }
  require(!out.documents.empty(), "{}: empty; there is nothing to read", file);
  std::printf("%s: %s, read with the next question\n", file.c_str(), format_bytes(bytes).c_str());
  waiting_.push_back(std::move(out));
}

std::string ChatSession::waiting_text() const {
  std::string out;
  for (const Waiting& file : waiting_)
    for (const auto& [name, text] : file.documents)
      out += fmt::format("{}:\n\n{}\n\n", std::filesystem::path(name).filename().string(), text);
  return out;
}

void ChatSession::note_waiting() {
  for (Waiting& file : waiting_) {
    if (file.noted) continue;
    for (const serve::Notepad::Document& document : file.documents) notes().add("", document.name, document.text);
    file.noted = true;
  }
}

void ChatSession::set_system(const std::string& text) {
  std::vector<Message> messages = dialogue_.messages();
  const bool has = !messages.empty() && messages[0].role == "system";
  if (text.empty()) return void(std::printf("%s\n", has ? messages[0].content.c_str() : "there is none"));
  if (has) messages.erase(messages.begin());
  messages.insert(messages.begin(), {"system", text});
  dialogue_.set_messages(messages);
  std::printf("%s\n", messages.size() > 1 ? "from the next question on; the conversation is read again after it"
                                          : "from the next question on");
}

bool ChatSession::undo() {
  if (!waiting_.empty()) {
    std::printf("%s: is not read with the next question\n", waiting_.back().name.c_str());
    waiting_.pop_back();
    return true;
  }
  if (!dialogue_.undo(options_)) {
    std::printf(asked() ? "what an older version of ingrain kept of this conversation cannot be taken back\n"
                        : "there is nothing that could be forgotten\n");
    return false;
  }
  while (!steps_.empty() && steps_.back().step >= dialogue_.memory().steps()) steps_.pop_back();
  std::printf("forgotten; %s read\n", counted(dialogue_.memory().position(), "token").c_str());
  return true;
}

void ChatSession::retry() {
  const std::vector<Message> messages = dialogue_.messages();
  const auto last = std::find_if(messages.rbegin(), messages.rend(), [](const Message& m) { return m.role == "user"; });
  if (last == messages.rend()) fail_usage("there is no question to answer again");
  const std::string question = last->content;
  std::vector<Waiting> waiting;
  waiting.swap(waiting_);
  if (!undo()) return waiting_.swap(waiting);
  ++options_.sampling.seed;
  if (options_.sampling.temperature == 0)
    std::printf("--temperature 0 gives the same answer; --temperature 0.7 would not\n");
  try {
    answer(question);
  } catch (...) {
    waiting_.swap(waiting);
    throw;
  }
  waiting_.swap(waiting);
}

void ChatSession::print_stats() const {
  const Memory& memory = dialogue_.memory();
  const int64_t dropped = dialogue_.tokens_dropped();
  const std::string of_which =
      dropped > 0 ? fmt::format(" ({} of them dropped again by the model's template)", with_commas(dropped)) : "";
  std::printf("%s read%s, %s, memory of %s\n", counted(memory.position() + dropped, "token").c_str(), of_which.c_str(),
              counted(memory.steps(), "inner step").c_str(), format_bytes(memory.bytes()).c_str());
  if (written_ > 0)
    std::printf("%s written, %.2f ms each, reading included\n", counted(written_, "token").c_str(),
                1e3 * seconds_ / static_cast<double>(written_));
  constexpr size_t kShown = 8;
  for (size_t i = steps_.size() > kShown ? steps_.size() - kShown : 0; i < steps_.size(); ++i) print_step(steps_[i]);
}

}  // namespace ingrain::cli
