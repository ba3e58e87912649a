// A model as a person's options ask for it.
#pragma once

#include "ingrain/model.h"
#include "model/network.h"

namespace ingrain {

/// load_model() with the device, the compute type and the form of the weights by their names. With weights "q8_0", which
/// the CPU alone can multiply, device "auto" means the CPU. UsageError for an option that is not known or cannot be had here.
Network open_model(const std::filesystem::path& path, const LoadOptions& options);

}  // namespace ingrain
