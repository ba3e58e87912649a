#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/notes.h"
#include "cli/writing_options.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "data/encoding.h"
#include "ingrain/dialogue.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

namespace ingrain::cli {
namespace {

constexpr uint64_t kMaxQuestions = 256 << 20, kMaxQuestion = 64 << 20;

struct AskCommand {
  std::string memory, question, questions, model, system, save;
  LoadOptions how;
  WritingOptions writing;
  NotepadOptions notepad;
  bool as_json = false, special = false;
};

/// The question, which is standard input for "-". Stopped if a signal comes while it is waited for.
std::string question_of(const AskCommand& o) {
  if (o.question != "-") return o.question;
  const char* const name = "standard input";
  std::string out;
  for (char some[4096];;) {
    wait_readable(STDIN_FILENO, name);
    const ssize_t got = ::read(STDIN_FILENO, some, sizeof some);
    if (got == 0) break;
    require(got > 0 || errno == EINTR, "{}: cannot be read: {}", name, std::strerror(errno));
    if (got > 0) out.append(some, static_cast<size_t>(got));
    require(out.size() <= kMaxQuestion, "{}: more than {}; 'ingrain read' makes a memory of so much", name,
            format_bytes(kMaxQuestion));
  }
  data::require_text(out, name);
  while (out.ends_with('\n')) out.pop_back();
  require(!out.empty(), "standard input: empty; there is no question");
  return out;
}

nlohmann::json as_json(const std::string& question, const Answer& answer, const Memory& memory,
                       const std::string& model) {
  return nlohmann::json{{"question", question},
                        {"answer", answer.text},
                        {"stopped_by", describe(answer.reason)},
                        {"tokens_read", answer.tokens_read},
                        {"tokens_written", answer.tokens_written},
                        {"seconds", answer.seconds_reading + answer.seconds_writing},
                        {"position", memory.position()},
                        {"model", model}};
}

void print_json(const nlohmann::json& root, int indent) {
  std::printf("%s\n", root.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

/// The question as said, and what the notes have to it read before it.
std::vector<serve::Passage> say(const AskCommand& o, const serve::Notepad* notes, const std::string& question,
                                Dialogue& dialogue) {
  if (!o.system.empty()) dialogue.say("system", o.system);
  dialogue.say("user", question);
  if (!notes) return {};
  std::vector<serve::Passage> passages = notes->search("", question, o.notepad.passages);
  dialogue.aside(serve::notes_text(passages));
  return passages;
}

/// Every line of a file asked of the memory as it is, a line of JSON each.
void ask_all(const AskCommand& o, const GenerateOptions& options, const Model& model, const std::string& folder,
             const serve::Notepad* notes) {
  const Memory memory = Memory::load(o.memory, model);
  require_no_other_kind(o.questions, "questions", "write a line of JSON for each");
  std::istringstream lines(read_file(o.questions, kMaxQuestions));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::string where = fmt::format("{}: line {}", o.questions, number);
    const nlohmann::json asked = parse_json(line, where);
    const Field fields(asked, where);
    const std::string question = fields.at("question").string();
    std::vector<std::string> candidates;
    if (const auto given = fields.find("candidates"))
      for (const Field& candidate : given->elements()) {
        candidates.push_back(candidate.string());
        if (candidates.back().empty()) candidate.refuse("is empty");
      }
    stop_if_interrupted("stopped; the answers so far are written");
    Dialogue dialogue(memory, {.special = o.special, .keep = 0});
    const auto passages = say(o, notes, question, dialogue);
    std::vector<double> scores;
    if (!candidates.empty()) scores = dialogue.scores(candidates, options);
    const Answer answer = dialogue.answer(options);
    nlohmann::json root = as_json(question, answer, dialogue.memory(), folder);
    if (notes) root["sources"] = sources_json(passages);
    if (!candidates.empty()) root["log_probabilities"] = scores;
    print_json(root, -1);
    std::fflush(stdout);
  }
  stop_if_interrupted("stopped; the answers so far are written");
}

void ask(const AskCommand& o) {
  const GenerateOptions options = o.writing.parse();
  if (o.question.empty() == o.questions.empty()) fail_usage("ask needs a QUESTION or --questions FILE, and not both");
  if (!o.questions.empty() && !o.save.empty())
    fail_usage("--save keeps one question and its answer; --questions asks each of the memory as it is");
  watch_interrupts("nothing was asked yet; the memory file stays as it was");
  if (!o.save.empty()) require_memory_writable(o.save, o.memory);  // known before hours of reading
  const std::unique_ptr<serve::Notepad> notes = o.notepad.on ? open_notes(o.memory) : nullptr;
  const auto folder = model_for_memory(o.memory, o.model);
  if (!o.save.empty()) require_no_input(o.save, folder);
  const Model model = ModelOptions{folder.string(), o.how}.open();
  require_possible(options, model);
  if (!o.questions.empty()) announce_interrupts("the answers so far are written");
  if (!o.questions.empty()) return ask_all(o, options, model, folder.string(), notes.get());
  Dialogue dialogue(Memory::load(o.memory, model), {.special = o.special, .keep = 0});
  if (!o.save.empty()) require_space(o.save, static_cast<uint64_t>(dialogue.memory().bytes()), "the memory");
  const std::string question = question_of(o);
  const auto passages = say(o, notes.get(), question, dialogue);
  stop_if_interrupted("stopped before the question was read; nothing was written");
  announce_interrupts(o.save.empty() ? "what was written is shown, the memory file stays as it was"
                                     : "what was written is shown and kept in the memory that --save names",
                      Said::after_text);
  const Answer answer = dialogue.answer(options, [&](std::string_view text) {
    if (!o.as_json) show_text(text);
  });
  const Memory& memory = dialogue.memory();
  if (!o.save.empty()) {
    dialogue.close();
    save_with_notes(o.save, [&] {
      carry_notes(o.memory, o.save);
      memory.save(o.save);
    });
  }
  if (o.as_json) {
    nlohmann::json root = as_json(question, answer, memory, folder.string());
    if (notes) root["sources"] = sources_json(passages);
    return print_json(root, 2);
  }
  std::printf("\n");
  print_sources(passages);
  std::fflush(stdout);
  if (answer.reason == StopReason::max_tokens)
    std::fprintf(stderr, "[stopped at --max-tokens %lld]\n", static_cast<long long>(options.max_tokens));
  if (::isatty(STDERR_FILENO) && answer.tokens_written > 0)
    std::fprintf(stderr, "[%s, %.1f/s]\n", counted(answer.tokens_written, "token").c_str(),
                 static_cast<double>(answer.tokens_written) / answer.seconds_writing);
}

}  // namespace

void add_ask_command(CLI::App& app) {
  auto* command = app.add_subcommand("ask", "Ask a memory a question; the memory file stays as it is");
  auto o = std::make_shared<AskCommand>();
  command->add_option("MEMORY", o->memory, "A memory file that 'ingrain read' made")->required();
  command->add_option("QUESTION", o->question, "What to ask it; -: standard input, of any number of lines");
  command->add_option(
      "--questions", o->questions,
      "Ask every line of this file, {\"question\": ..., \"candidates\": [...]}, of the memory as it is; "
      "prints a line of JSON each, with the candidates' log-probabilities as answers");
  command->add_option("--model", o->model,
                      "The memory's model folder (default: found by its fingerprint in models/ and INGRAIN_MODELS)");
  command->add_option("--system", o->system, "Instructions that come before the question");
  add_special_flag(*command, o->special);
  add_compute_options(*command, o->how);
  add_weights_option(*command, o->how);
  add_step_delay_option(*command, o->how);
  command->add_option("--save", o->save, "Write the memory, with the question and the answer, to this file");
  command->add_flag("--json", o->as_json, "Print JSON when done");
  o->writing.options.sampling.temperature = 0;
  o->writing.options.sampling.repetition_penalty = 1.2;  // bench/results/defaults.md
  o->notepad.add_to(*command);
  o->writing.add_to(*command);
  command->footer(
      "Example:\n  ingrain read models/reader-17m book.txt -o book.memory\n  ingrain ask book.memory \"Who is Mr. "
      "Knightley?\"");
  command->callback([o] { ask(*o); });
}

}  // namespace ingrain::cli
