#include "store/open_model.h"

#include "base/error.h"
#include "model/device.h"
#include "model/quantized.h"
#include "store/model_files.h"

namespace ingrain {

namespace {

std::string name(std::string_view where, const char* option) { return std::string(where) + option; }

}  // namespace

at::Device chosen_device(const LoadOptions& options, std::string_view where) {
  const std::string device = name(where, "device"), weights = name(where, "weights");
  if (!quantized_form(options.weights, weights)) return parse_device(options.device, device);
  if (options.device == "auto") return at::kCPU;
  if (options.device != "cpu" && is_device_name(options.device))
    fail_usage("{} {} is for the CPU, not for {} {}; leave one of the two out", weights, options.weights, device,
               options.device);
  return parse_device(options.device, device);
}

Network open_model(const std::filesystem::path& path, const LoadOptions& options, std::string_view where) {
  const at::Device device = chosen_device(options, where);
  Network model = load_model(path, parse_compute_type(options.dtype, device, name(where, "dtype")), device);
  choose_weights(model, options.weights);
  return model;
}

}  // namespace ingrain
