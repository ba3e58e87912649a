#include "cli/commands.h"
#include "cli/model_options.h"
#include "eval/verify.h"
#include "model/device.h"

#include "base/error.h"
#include "base/interrupt.h"

namespace ingrain::cli {

void add_verify_command(CLI::App& app) {
  struct Options {
    std::vector<std::string> folders;
    std::string device = "auto", dtype = "auto";
    bool reference = false;
  };
  auto* command = app.add_subcommand("verify", "Prove this build against numbers of the reference implementation");
  auto o = std::make_shared<Options>();
  command
      ->add_option("DIR", o->folders,
                   "Cases: folders with config.json, params, inputs and expected .safetensors, or a trained model with "
                   "expected.safetensors")
      ->required();
  add_device_option(*command, o->device);
  command->add_option("--dtype", o->dtype, "Compute type: fp32, bf16, fp64, or auto for what the case was made with")
      ->capture_default_str();
  command->add_flag("--reference-ops", o->reference, "Run every operation's reference formula instead of its kernel");
  command->footer("Example: ingrain verify ../shared/golden/* ../shared/reference-17m");
  command->callback([o] {
    watch_interrupts("what was compared by now is told");
    if (!eval::verify(o->folders, {o->dtype, parse_device(o->device), o->reference}))
      throw Error("verification failed: see the lines with FAIL");
  });
}

}  // namespace ingrain::cli
