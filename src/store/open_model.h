// A model as a person's options ask for it.
#pragma once

#include "ingrain/model.h"
#include "model/network.h"

namespace ingrain {

/// parse_device() of options.device, knowing the weights' form: a quantized one is for the CPU, so that "auto" means
/// the CPU then, and a GPU is an OptionError.
at::Device chosen_device(const LoadOptions& options);

/// load_model() with its weights in one of weight_forms() (model/quantized.h). OptionError for a form that is not
/// known, Error for one that cannot be had in this type or on this device.
Network load_model_as(const std::filesystem::path& path, at::ScalarType compute, at::Device device,
                      std::string_view form);

/// The same with the device, the compute type and the form of the weights by their names. OptionError for one that
/// is not known or cannot be had here.
Network open_model(const std::filesystem::path& path, const LoadOptions& options);

/// Sets `inner_step_delay`, if it is given and the model has fast weights. Error naming `where` if it does not fit.
void delay_steps(ModelConfig& config, std::optional<int64_t> tokens, std::string_view where);

}  // namespace ingrain
