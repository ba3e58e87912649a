// What is measured: every operation at the shapes of real models.
#include "bench/ops/ops.h"

#include "base/option_error.h"
#include "model/network.h"
#include "ops/autograd.h"

#include <regex>

namespace ingrain::bench {

AddRows adamw_rows;  // which is no operation of src/ops

namespace {

using Pass = OpsShape::Pass;

constexpr OpsShape kShapes[] = {
    // name            pass           T  past    D   H   G   d     F       V window S  on a CPU, a GPU
    {"17m", Pass::chunk, 256, 1023, 384, 6, 6, 64, 832, 8192, 1024, 2, true, false},
    {"17m", Pass::token, 1, 1023, 384, 6, 6, 64, 832, 8192, 1024, 2, true, false},
    {"smollm2-135m", Pass::token, 1, 2047, 576, 9, 3, 64, 1536, 49152, 2048, 0, true, false},
    {"125m", Pass::chunk, 1024, 8191, 768, 12, 12, 64, 1664, 128256, 8192, 3, true, true},
    {"125m", Pass::token, 1, 8191, 768, 12, 12, 64, 1664, 128256, 8192, 3, true, true},
    {"125m", Pass::prefix, 8192, 0, 768, 12, 12, 64, 1664, 128256, 8192, 3, false, true},
    {"3b", Pass::chunk, 1024, 8191, 2560, 32, 32, 80, 5632, 128256, 8192, 8, false, true},
    {"3b", Pass::token, 1, 8191, 2560, 32, 32, 80, 5632, 128256, 8192, 8, false, true},
    {"3b", Pass::prefix, 8192, 0, 2560, 32, 32, 80, 5632, 128256, 8192, 8, false, true},
};

constexpr size_t kLongestFilter = 200;

std::regex compile(const std::string& filter) {
  if (filter.size() > kLongestFilter)
    fail_option("filter", "has {} characters; at most {} are taken", filter.size(), kLongestFilter);
  try {
    return std::regex(filter, std::regex::ECMAScript | std::regex::nosubs);
  } catch (const std::regex_error& e) {
    fail_option("filter", "'{}' is not a regular expression (ECMAScript's): {}", filter, e.what());
  }
}

}  // namespace

void OpsRows::add(std::string_view operation, int64_t P, std::string_view pass, const std::string& sizes, OpsWork work,
                  std::function<Contenders(const OpsInputs&)> make) const {
  rows.push_back({fmt::format("{}/{}/{}/{}{}/{}", operation, shape.name, compute_type_name(inputs.type),
                              P == 2 ? "dual_" : "", pass, sizes),
                  inputs, work, std::move(make)});
}

Run backward_of(const Tensor& y, const Tensor& gy, std::vector<Tensor> inputs) {
  return [=, inputs = std::move(inputs)] { ops::gradients({y}, inputs, {gy}, {.keep_graph = true}); };
}

std::vector<OpsRow> ops_rows(const OpsOptions& o) {
  const std::regex filter = compile(o.filter);
  std::vector<OpsRow> all, out;
  std::vector<AddRows*> operations = kOperationsRows;
  operations.push_back(adamw_rows);
  for (AddRows* const add : operations)
    for (const OpsShape& shape : kShapes)
      for (const at::ScalarType type : o.types)
        if (o.all_shapes || (o.device.is_cpu() ? shape.on_cpu : shape.on_gpu)) add({shape, {type, o.device}, all});
  for (OpsRow& row : all)
    if (std::regex_search(row.name, filter)) out.push_back(std::move(row));
  if (out.empty()) fail_option("filter", "'{}' leaves none of {} rows; --list shows them", o.filter, all.size());
  return out;
}

}  // namespace ingrain::bench
