#include "store/open_model.h"

#include "base/option_error.h"
#include "model/device.h"
#include "model/quantized.h"
#include "store/model_files.h"

namespace ingrain {

at::Device chosen_device(const LoadOptions& options) {
  if (!quantized_form(options.weights)) return parse_device(options.device);
  if (options.device == "auto") return at::kCPU;
  if (options.device != "cpu" && is_device_name(options.device))
    fail_option("weights", "{} is for the CPU, not for the device {}; leave one of the two out", options.weights,
                options.device);
  return parse_device(options.device);
}

Network open_model(const std::filesystem::path& path, const LoadOptions& options) {
  const at::Device device = chosen_device(options);
  Network model = load_model(path, parse_compute_type(options.dtype, device), device);
  choose_weights(model, options.weights);
  return model;
}

}  // namespace ingrain
