#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/writing_options.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "ingrain/dialogue.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>

namespace ingrain::cli {
namespace {

struct AskCommand {
  std::string memory, question, model, system, save;
  LoadOptions how;
  WritingOptions writing;
  bool as_json = false, special = false;
};

/// The question, which is standard input for "-".
std::string question_of(const AskCommand& o) {
  if (o.question != "-") return o.question;
  std::string out{std::istreambuf_iterator<char>(std::cin), {}};
  while (out.ends_with('\n')) out.pop_back();
  require(!out.empty(), "standard input: empty; there is no question");
  return out;
}

void print_json(const std::string& question, const Answer& answer, const Memory& memory, const std::string& model) {
  const nlohmann::json root{{"question", question},
                            {"answer", answer.text},
                            {"stopped_by", describe(answer.reason)},
                            {"tokens_read", answer.tokens_read},
                            {"tokens_written", answer.tokens_written},
                            {"seconds", answer.seconds_reading + answer.seconds_writing},
                            {"position", memory.position()},
                            {"model", model}};
  std::printf("%s\n", root.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void ask(const AskCommand& o) {
  const GenerateOptions options = o.writing.parse();
  watch_interrupts(o.save.empty() ? "what was written is shown, the memory file stays as it was"
                                  : "what was written is shown and kept in the memory that --save names",
                   Said::after_text);
  const auto folder = model_for_memory(o.memory, o.model);
  const Model model = ModelOptions{folder.string(), o.how}.open();
  Dialogue dialogue(Memory::load(o.memory, model), {.special = o.special, .keep = 0});
  const std::string question = question_of(o);
  if (!o.system.empty()) dialogue.say("system", o.system);
  dialogue.say("user", question);
  const Answer answer = dialogue.answer(options, [&](std::string_view text) {
    if (!o.as_json) show_text(text);
  });
  const Memory& memory = dialogue.memory();
  if (!o.save.empty()) {
    dialogue.close();
    memory.save(o.save);
  }
  if (o.as_json) return print_json(question, answer, memory, folder.string());
  std::printf("\n");
  std::fflush(stdout);
  if (answer.reason == StopReason::max_tokens)
    std::fprintf(stderr, "[stopped at --max-tokens %lld]\n", static_cast<long long>(options.max_tokens));
  if (::isatty(STDERR_FILENO) && answer.tokens_written > 0)
    std::fprintf(stderr, "[%lld tokens, %.1f/s]\n", static_cast<long long>(answer.tokens_written),
                 static_cast<double>(answer.tokens_written) / answer.seconds_writing);
}

}  // namespace

void add_ask_command(CLI::App& app) {
  auto* command = app.add_subcommand("ask", "Ask a memory a question; the memory file stays as it is");
  auto o = std::make_shared<AskCommand>();
  command->add_option("MEMORY", o->memory, "A memory file that 'ingrain read' made")->required();
  command->add_option("QUESTION", o->question, "What to ask it; -: standard input, of any number of lines")->required();
  command->add_option("--model", o->model,
                      "The memory's model folder (default: found by its fingerprint in models/ and INGRAIN_MODELS)");
  command->add_option("--system", o->system, "Instructions that come before the question");
  add_special_flag(*command, o->special);
  add_compute_options(*command, o->how);
  add_weights_option(*command, o->how);
  command->add_option("--save", o->save, "Write the memory, with the question and the answer, to this file");
  command->add_flag("--json", o->as_json, "Print JSON when done");
  o->writing.options.sampling.temperature = 0;
  o->writing.options.sampling.repetition_penalty = 1.2;  // bench/results/defaults.md
  o->writing.add_to(*command);
  command->footer(
      "Example:\n  ingrain read models/reader-17m book.txt -o book.memory\n  ingrain ask book.memory \"Who is Mr. "
      "Knightley?\"");
  command->callback([o] { ask(*o); });
}

}  // namespace ingrain::cli
