// A model as a person's options ask for it.
#pragma once

#include "ingrain/model.h"
#include "model/network.h"

namespace ingrain {

/// What comes before the names of LoadOptions in errors: a person on the command line gave --device, a program
/// LoadOptions::device.
inline constexpr std::string_view kOnCommandLine = "--", kInProgram = "LoadOptions::";

/// parse_device() of options.device, knowing the weights' form: a packed one is for the CPU, so that "auto" means the
/// CPU then, and a GPU is a UsageError.
at::Device chosen_device(const LoadOptions& options, std::string_view where = kOnCommandLine);

/// load_model() with the device, the compute type and the form of the weights by their names. UsageError for an option
/// that is not known or cannot be had here.
Network open_model(const std::filesystem::path& path, const LoadOptions& options,
                   std::string_view where = kOnCommandLine);

}  // namespace ingrain
