#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/notes.h"
#include "cli/writing_options.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/unfinished.h"
#include "ingrain/reader.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>

namespace ingrain::cli {
namespace {

struct GenerateCommand {
  ModelOptions model;
  WritingOptions writing;
  std::string memory, prompt, save;
  bool as_json = false;
};

void generate_command(const GenerateCommand& o) {
  const GenerateOptions options = o.writing.parse();
  watch_interrupts("nothing was read or written yet");
  if (!o.save.empty()) {
    require_memory_writable(o.save, o.memory);
    require_no_input(o.save, resolve_model(o.model.folder));
  }
  const Model model = o.model.open();
  require_possible(options, model);
  Memory memory = o.memory.empty() ? Memory(model) : Memory::load(o.memory, model);
  if (!o.save.empty()) require_space(o.save, static_cast<uint64_t>(memory.bytes()), "the memory");
  const std::vector<int32_t> prompt = model.encode(o.prompt, /*parse_special=*/true);
  if (memory.position() == 0 && !prompt.empty()) warn_of_double_bos(model, prompt[0]);
  stop_if_interrupted("stopped before anything was read or written");
  announce_interrupts(o.save.empty() ? "nothing is kept" : "what was read is kept in the memory file");
  const auto keep_going = [](int64_t) { return !interrupted(); };
  Reader(memory, {.learn = options.learn != Learn::off, .parse_special = true, .keep_going = keep_going})
      .read(std::string_view(o.prompt));
  require(memory.position() > 0, "there is nothing to continue; give --prompt or --memory");
  announce_interrupts(
      o.save.empty() ? "what was written is shown" : "what was written is shown and kept in the memory file",
      Said::after_text);
  if (!o.as_json) show_text(o.prompt);
  const auto start = std::chrono::steady_clock::now();
  const auto show = [&](std::string_view text) {
    if (!o.as_json) show_text(text);
  };
  const Generated out = generate(memory, options, show, prompt);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!o.save.empty()) {
    save_with_notes(o.save, [&] {
      carry_notes(o.memory, o.save);
      memory.save(o.save);
    });
  }
  if (o.as_json) {
    nlohmann::json root{{"prompt", o.prompt},
                        {"text", out.text},
                        {"tokens", out.tokens},
                        {"stopped_by", describe(out.reason)},
                        {"position", memory.position()},
                        {"steps", memory.steps()},
                        {"seconds", seconds}};
    std::printf("%s\n", root.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    std::printf("\n");
  }
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a memory or a prompt; what is written is also read");
  auto o = std::make_shared<GenerateCommand>();
  o->model.add_to(*command);
  o->writing.options.sampling.temperature = 0.8;
  o->writing.options.sampling.top_p = 0.95;
  command->add_option("--memory", o->memory, "Start from this memory file (it is not changed)");
  command->add_option("--prompt", o->prompt, "Text to read first");
  command->add_option("--save", o->save, "Write the memory afterwards to this file");
  command->add_flag("--json", o->as_json, "Print JSON when done");
  o->writing.add_to(*command);
  command->footer(
      "Example: ingrain generate models/reader-17m --memory emma.memory --prompt 'Emma could not' --seed 3");
  command->callback([o] { generate_command(*o); });
}

}  // namespace ingrain::cli
