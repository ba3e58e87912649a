#include "cli/commands.h"
#include "cli/model_of_memory.h"
#include "cli/model_options.h"
#include "cli/exchange.h"

#include "base/error.h"
#include "base/interrupt.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {
namespace {

struct AskCommand {
  std::string memory, question, model, save;
  LoadOptions how;
  WritingOptions writing;
  bool as_json = false;
};

void ask(const AskCommand& o) {
  const GenerateOptions options = o.writing.parse();
  watch_interrupts();
  const auto folder = model_of_memory(o.memory, o.model);
  const Model model = ModelOptions{folder.string(), o.how}.open();
  Memory memory = Memory::load(o.memory, model);
  chat::Conversation conversation(conversation_form(folder, model));
  const Answer answer = exchange(memory, conversation, o.question, options, {}, [&](std::string_view text) {
    if (!o.as_json) show_text(text);
  });
  if (!o.save.empty()) memory.save(o.save);
  if (!o.as_json) {
    std::printf("\n");
    return;
  }
  const nlohmann::json root{{"question", o.question},
                            {"answer", answer.text},
                            {"stopped_by", describe(answer.reason)},
                            {"tokens_read", answer.tokens_read},
                            {"tokens_written", answer.tokens_written},
                            {"seconds", answer.seconds},
                            {"position", memory.position()},
                            {"model", folder.string()}};
  std::printf("%s\n", root.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

void add_ask_command(CLI::App& app) {
  auto* command = app.add_subcommand("ask", "Ask a memory a question; the memory file stays as it is");
  auto o = std::make_shared<AskCommand>();
  command->add_option("MEMORY", o->memory, "A memory file that 'ingrain read' made")->required();
  command->add_option("QUESTION", o->question, "What to ask it")->required();
  command->add_option("--model", o->model,
                      "The memory's model folder (default: found by its fingerprint in models/ and INGRAIN_MODELS)");
  add_compute_options(*command, o->how);
  add_weights_option(*command, o->how);
  command->add_option("--save", o->save, "Write the memory, with the question and the answer, to this file");
  command->add_flag("--json", o->as_json, "Print JSON when done");
  o->writing.options.sampling.temperature = 0;
  o->writing.options.sampling.repetition_penalty = 1.1;
  o->writing.add_to(*command);
  command->footer(
      "Example:\n  ingrain read models/reader-17m book.txt -o book.memory\n  ingrain ask book.memory \"Who is Mr. "
      "Knightley?\"");
  command->callback([o] { ask(*o); });
}

}  // namespace ingrain::cli
