#include "formats/safetensors.h"
#include "ttt/memory_file.h"

#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/notes.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdio>

namespace ingrain::cli {
namespace {

constexpr uint64_t kMaxMemoryFile = uint64_t{64} << 30;

struct MemoryCommand {
  ModelOptions model;
  std::string first, second, output;
  bool as_json = false;
};

/// What the file says of itself, every byte looked at. Error if it is damaged.
ttt::MemoryInfo check_file(const std::string& path) {
  const ttt::MemoryInfo info = ttt::read_memory_info(path);
  const formats::SafetensorsFile file(path);
  const auto said = file.metadata().find("checksum");
  require(said != file.metadata().end() && said->second == ttt::memory_checksum(file),
          "{}: the checksum does not match; the file is damaged", path);
  return info;
}

void print_memory_info(const MemoryCommand& o) {
  const ttt::MemoryInfo info = check_file(o.first);
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

double norm(const std::vector<Tensor>& tensors) {
  double sum = 0;
  for (const Tensor& x : tensors) sum += x.to(at::kDouble).square().sum().item<double>();
  return std::sqrt(sum);
}

/// How far two memories' fast weights are from the model's own and from each other, by suffix block.
void print_difference(const MemoryCommand& o) {
  watch_interrupts("nothing is kept");
  const Network model = o.model.load();
  const ttt::Memory a = ttt::load_memory(o.first, model), b = ttt::load_memory(o.second, model);
  require(a.batch() == b.batch(), "{} holds {} sequences, {} holds {}; they cannot be compared", o.first, a.batch(),
          o.second, b.batch());
  stop_if_interrupted("stopped before the memories were compared");
  nlohmann::json root{{"first", o.first}, {"second", o.second}, {"blocks", nlohmann::json::array()}};
  for (size_t s = 0; s < a.W_S.size(); ++s) {
    const Mlp &start = model.weights.fast_S[s], &x = a.W_S[s], &y = b.W_S[s];
    root["blocks"].push_back({{"block", model.config.prefix_len() + static_cast<int64_t>(s)},
                              {"first_learnt", norm({x.w13_FD - start.w13_FD, x.w2_DF - start.w2_DF})},
                              {"second_learnt", norm({y.w13_FD - start.w13_FD, y.w2_DF - start.w2_DF})},
                              {"difference", norm({x.w13_FD - y.w13_FD, x.w2_DF - y.w2_DF})}});
  }
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
  check_file(o.first);
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
  const Network model = o.model.load();
  const ttt::Memory memory = ttt::load_memory(o.first, model);
  const uint64_t before = std::filesystem::file_size(o.first);  // the output may take its place
  stop_if_interrupted(o.output + ": stopped; nothing was written");
  save_with_notes(o.output, [&] {
    carry_notes(o.first, o.output);
    ttt::save_memory(o.output, model, memory, MemoryForm::compact);
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
