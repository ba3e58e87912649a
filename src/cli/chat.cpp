#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/line_editor.h"
#include "cli/model_of_memory.h"
#include "cli/model_options.h"
#include "cli/paths.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"

#include <cstdio>

namespace ingrain::cli {
namespace {

struct ChatCommand {
  std::string model, memory, system;
  LoadOptions how;
  WritingOptions writing;
  bool show_learning = false;
};

/// SmolLM2 with its adapter where its base has been fetched (./ingrain chat does that), else the small model that is
/// always here.
std::filesystem::path default_model() {
  const auto models = project_folder() / "models";
  const bool fetched = std::filesystem::exists(models / "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");
  return models / (fetched ? "smollm2-135m-reader" : "reader-17m");
}

void chat(const ChatCommand& o) {
  const GenerateOptions options = o.writing.parse();
  const std::filesystem::path folder = !o.memory.empty()  ? model_of_memory(o.memory, o.model)
                                       : !o.model.empty() ? std::filesystem::path(o.model)
                                                          : default_model();
  const Model model = ModelOptions{folder.string(), o.how}.open();
  Memory memory = o.memory.empty() ? Memory(model) : Memory::load(o.memory, model);
  ChatSession session(std::move(memory), chat::Conversation(conversation_form(folder, model), o.system), options,
                      o.show_learning);
  std::printf("%s%s. /help lists the commands; Ctrl-C ends an answer, Ctrl-D the conversation.\n",
              folder.filename().c_str(),
              session.memory().position() > 0
                  ? (", having read " + with_commas(session.memory().position()) + " tokens").c_str()
                  : "");
  while (session.open()) {
    std::fflush(stdout);
    const auto line = read_line("> ");
    if (!line) break;
    watch_interrupts();
    try {
      session.take(*line);
    } catch (const Error& e) {
      std::printf("%s\n", e.what());
    }
  }
}

}  // namespace

void add_chat_command(CLI::App& app) {
  auto* command = app.add_subcommand("chat", "Talk with a model that remembers the whole conversation");
  auto o = std::make_shared<ChatCommand>();
  command->add_option("MODEL", o->model,
                      "A model folder (default: the memory's own model, else models/smollm2-135m-reader if its base is "
                      "there, else models/reader-17m)");
  command->add_option("--memory", o->memory, "Begin with this memory file (it is not changed)");
  command->add_option("--system", o->system, "Instructions that come before the conversation");
  add_compute_options(*command, o->how);
  add_weights_option(*command, o->how);
  command->add_flag("--show-learning", o->show_learning,
                    "After each answer: every inner step's loss on its chunk, before and after it");
  o->writing.options.sampling.temperature = 0.7;
  o->writing.options.sampling.top_p = 0.9;
  o->writing.options.sampling.repetition_penalty = 1.1;
  o->writing.add_to(*command);
  command->footer(
      "Examples:\n  ingrain chat --memory book.memory\n  ingrain chat models/reader-17m --temperature 0.5\n"
      "In the conversation: /save FILE, /fork FILE, /forget, /stats, /help, /quit.");
  command->callback([o] { chat(*o); });
}

}  // namespace ingrain::cli
