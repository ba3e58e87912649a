#include "ingrain/memory_file.h"

#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/notes.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ingrain::cli {
namespace {

constexpr uint64_t kMaxMemoryFile = uint64_t{64} << 30;

struct MemoryCommand {
  ModelOptions model;
  std::string first, second, output;
  bool as_json = false;
};

void print_memory_info(const MemoryCommand& o) {
  const MemoryInfo info = check_memory_file(o.first);
  const char* form = info.form == MemoryForm::compact ? "compact" : "working";
  if (o.as_json) {
    const nlohmann::json root{{"file", o.first},
                              {"bytes", info.bytes},
                              {"version", info.version},
                              {"form", form},
                              {"model", info.model_fingerprint},
                              {"position", info.position},
                              {"filled", info.filled},
                              {"steps", info.steps},
                              {"batch", info.batch}};
    std::printf("%s\n", root.dump(2).c_str());
    return;
  }
  std::printf(
      "%s: %s, %s form\n  model         %s\n  tokens read   %s\n  inner steps   %s\n  of the unfinished chunk  %s\n",
      o.first.c_str(), format_bytes(info.bytes).c_str(), form, info.model_fingerprint.c_str(),
      with_commas(info.position).c_str(), with_commas(info.steps).c_str(), counted(info.filled, "token").c_str());
}

/// How far two memories' fast weights are from the model's own and from each other, by suffix block.
void print_difference(const MemoryCommand& o) {
  watch_interrupts("nothing is kept");
  const Model model = o.model.load();
  const Memory first = Memory::load(o.first, model), second = Memory::load(o.second, model);
  stop_if_interrupted("stopped before the memories were compared");
  const std::vector<BlockChange> of_first = first.learnt(), of_second = second.learnt(),
                                 between = first.distance(second);
  nlohmann::json root{{"first", o.first}, {"second", o.second}, {"blocks", nlohmann::json::array()}};
  for (size_t s = 0; s < between.size(); ++s)
    root["blocks"].push_back({{"block", between[s].block},
                              {"first_learnt", of_first[s].norm},
                              {"second_learnt", of_second[s].norm},
                              {"difference", between[s].norm}});
  if (o.as_json) {
    std::printf("%s\n", root.dump(2).c_str());
    return;
  }
  std::printf("block   first learnt  second learnt     difference   (norms of changes of the fast weights)\n");
  for (const auto& block : root["blocks"])
    std::printf("%5lld %14.5f %14.5f %14.5f\n", static_cast<long long>(block["block"].get<int64_t>()),
                block["first_learnt"].get<double>(), block["second_learnt"].get<double>(),
                block["difference"].get<double>());
}

void fork_memory(const MemoryCommand& o) {
  watch_interrupts("nothing is left behind");
  check_memory_file(o.first);
  stop_if_interrupted(o.output + ": stopped; nothing was written");
  save_with_notes(o.output, [&] {
    carry_notes(o.first, o.output);
    write_file(o.output, read_file(o.first, kMaxMemoryFile));
  });
  std::printf("%s\n", o.output.c_str());
}

void compact_memory(const MemoryCommand& o) {
  watch_interrupts("nothing is left behind");
  require_memory_writable(o.output, o.first);
  require_no_input(o.output, resolve_model(o.model.folder));
  const Memory memory = Memory::load(o.first, o.model.load());
  const uint64_t before = std::filesystem::file_size(o.first);  // the output may take its place
  stop_if_interrupted(o.output + ": stopped; nothing was written");
  save_with_notes(o.output, [&] {
    carry_notes(o.first, o.output);
    memory.save(o.output, MemoryForm::compact);
  });
  std::printf("%s: %s, %s before\n", o.output.c_str(), format_bytes(std::filesystem::file_size(o.output)).c_str(),
              format_bytes(before).c_str());
}

}  // namespace

void add_memory_command(CLI::App& app) {
  auto* command = app.add_subcommand("memory", "Look at memory files, compare, copy and shrink them");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n  ingrain memory info emma.memory\n  ingrain memory compact models/reader-17m emma.memory -o "
      "small.memory");
  const auto add = [&](const char* name, const char* text, bool with_model, auto action) {
    auto* sub = command->add_subcommand(name, text);
    auto o = std::make_shared<MemoryCommand>();
    o->model.how.dtype = "fp32";  // no less is lost: windows are rounded to bf16 here, or not looked at
    o->model.how.need_tokenizer = false;
    if (with_model) {
      o->model.add_folder_to(*sub);
      add_device_option(*sub, o->model.how.device);
    }
    sub->add_option("MEMORY", o->first, "A memory file")->required();
    sub->callback([o, action] { action(*o); });
    return std::pair(sub, o);
  };
  const auto [info, info_options] = add("info", "What a memory file says of itself", false, print_memory_info);
  info->add_flag("--json", info_options->as_json, "Print JSON");
  const auto [diff, diff_options] =
      add("diff", "How far two memories of a model have gone apart", true, print_difference);
  diff->add_option("OTHER", diff_options->second, "Another memory file")->required();
  diff->add_flag("--json", diff_options->as_json, "Print JSON");
  const auto [fork, fork_options] = add("fork", "Copy a memory, to go on with both", false, fork_memory);
  fork->add_option("-o,--output", fork_options->output, "The copy")->required();
  const auto [small, small_options] =
      add("compact", "Write the compact form: rounded to bf16, half the size of an fp32 memory", true, compact_memory);
  small->add_option("-o,--output", small_options->output, "The file to write")->required();
}

}  // namespace ingrain::cli
