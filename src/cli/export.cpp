#include "base/interrupt.h"
#include "base/unfinished.h"
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/ranges.h"
#include "store/import_reference.h"

#include <cstdio>

namespace ingrain::cli {

void add_export_command(CLI::App& app) {
  struct Options {
    std::string model, target, format = "reference";
  };
  auto* command = app.add_subcommand("export", "Write a model folder in another program's format");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model, "A model folder")->required();
  command->add_option("-o,--output", o->target, "The file to write")->required();
  command->add_option("--format", o->format, "reference: flattened parameters of the reference implementation")
      ->check(one_of({"reference"}))
      ->capture_default_str();
  command->footer("Example: ingrain export models/reader-17m -o params.safetensors --format reference");
  command->callback([o] {
    watch_interrupts("nothing is left behind");
    require_writable(o->target);
    const std::filesystem::path model = resolve_model(o->model);
    require_no_input(o->target, model);
    export_reference(model, o->target, [&] { stop_if_interrupted(o->target + ": stopped; nothing was written"); });
    std::printf("%s\n", o->target.c_str());
  });
}

}  // namespace ingrain::cli
