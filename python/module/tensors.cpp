// The Python module: what has tensors in it, errors, and the module itself. The one file that needs libtorch's headers.
#include "module.h"

#include "ingrain/learner.h"
#include "ingrain/score.h"

#include <ATen/ops/from_blob.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/Exception.h>
#include <torch/csrc/utils/pybind.h>

namespace ingrain::python {

struct Computing::Mode {
  c10::InferenceMode off{false};
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
};
Computing::Computing() : mode_(std::make_unique<Mode>()) {}
Computing::~Computing() = default;

namespace {

/// The vector's own memory as a tensor.
at::Tensor tensor_of(std::vector<float> numbers) {
  auto* owned = new std::vector<float>(std::move(numbers));
  return at::from_blob(
      owned->data(), {static_cast<int64_t>(owned->size())}, [owned](void*) { delete owned; }, at::kFloat);
}

py::object optional_tensor(const at::Tensor& x) {
  if (!x.defined()) return py::none();
  return py::cast(x);
}

LossOptions loss_options(bool through_steps, double rate_multiplier, const std::string& dtype, bool recompute,
                         int64_t kept_mib) {
  return {through_steps, rate_multiplier, dtype, recompute, kept_mib};
}

void bind_learner(py::module_& m) {
  using Parameters = std::vector<at::Tensor>;
  py::class_<SequenceLoss>(m, "SequenceLoss")
      .def_property_readonly("loss", [](const SequenceLoss& self) { return self.loss; })
      .def_property_readonly("chunk_loss", [](const SequenceLoss& self) { return self.chunk_loss_BC; })
      .def_property_readonly("nll", [](const SequenceLoss& self) { return self.nll_BT; })
      .def_property_readonly("inner_norm", [](const SequenceLoss& self) { return optional_tensor(self.inner_norm_BC); })
      .def_property_readonly("gradients", [](const SequenceLoss& self) {
        std::vector<py::object> out;
        for (const at::Tensor& x : self.gradients) out.push_back(optional_tensor(x));
        return out;
      });
  py::class_<LossOptions>(m, "LossOptions").def(py::init(&loss_options));
  const auto made = [](const auto& make) {
    NamedTensors parameters;
    const Computing computing;
    Learner learner = make(parameters);
    return std::pair(std::move(learner), std::move(parameters));
  };
  py::class_<Learner>(m, "Learner")
      .def_static("load",
                  [made](const std::filesystem::path& model, const std::string& dtype, const std::string& device) {
                    return made([&](NamedTensors& to) { return Learner::load(model, dtype, device, to); });
                  })
      .def_static(
          "draw",
          [made](const std::string& config, uint64_t seed, const std::string& dtype, const std::string& device) {
            return made([&](NamedTensors& to) { return Learner::draw(config, seed, dtype, device, to); });
          })
      .def_static(
          "of", [](const std::string& config, const std::filesystem::path& from) { return Learner::of(config, from); })
      .def("config", &Learner::config)
      .def("chunk", &Learner::chunk)
      .def("vocab_size", &Learner::vocab_size)
      .def("loss",
           [](const Learner& self, const Parameters& parameters, const at::Tensor& tokens, const LossOptions& options) {
             const Computing computing;
             return self.loss(parameters, tokens, options);
           })
      .def("gradient",
           [](const Learner& self, const Parameters& parameters, const std::vector<bool>& wanted,
              const at::Tensor& tokens, const LossOptions& options) {
             const Computing computing;
             return self.gradient(parameters, wanted, tokens, options);
           })
      .def("save", [](const Learner& self, const std::filesystem::path& folder, const Parameters& parameters,
                      const std::string& dtype) {
        const Computing computing;
        self.save(folder, parameters, dtype);
      });
}

}  // namespace

void bind_tensors(py::module_& m) {
  py::class_<Reading>(m, "Reading")
      .def_readonly("tokens", &Reading::tokens)
      .def_readonly("stopped", &Reading::stopped)
      .def("take_nll", [](Reading& self) { return tensor_of(std::move(self.nll)); });
  m.def("score",
        [](const Model& model, const std::vector<int32_t>& tokens, const std::vector<float>& nll, int64_t unscored) {
          const Score out = score(model, tokens, nll, unscored);
          return std::tuple(out.scored, out.not_finite, out.mean_nll, out.bits_per_byte);
        });
  m.def("parameters", [](const Model& model) { return parameters(model); });
  m.def("config_of", [](const Model& model) { return config_of(model); });
  using Bound = Guarded<Memory>;
  m.def("fast_weights", [](Bound& memory) { return memory.use([](Memory& of) { return fast_weights(of); }); });
  m.def("tensors", [](Bound& memory) { return memory.use([](Memory& of) { return tensors(of); }); });
  m.def("next_logits", [](Bound& memory) { return memory.use([](Memory& of) { return next_logits(of); }); });
  bind_learner(m);
}

namespace {

/// Errors as Python exceptions with the same text. libtorch's go on with a backtrace, which is left out.
void bind_errors(py::module_& m) {
  static py::handle error, usage, option;
  const py::module_ errors = py::module_::import("ingrain.errors");
  const auto own = [&](const char* name) { return py::object(errors.attr(name)).release(); };
  error = own("Error"), usage = own("UsageError"), option = own("OptionError");
  m.attr("_errors") = errors;
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const OptionError& e) {
      const py::object made = option(e.option(), e.reason());
      PyErr_SetObject(option.ptr(), made.ptr());
    } catch (const UsageError& e) {
      PyErr_SetString(usage.ptr(), e.what());
    } catch (const Error& e) {
      PyErr_SetString(error.ptr(), e.what());
    } catch (const c10::OutOfMemoryError& e) {
      PyErr_SetString(PyExc_MemoryError, e.what_without_backtrace());
    } catch (const c10::Error& e) {
      PyErr_SetString(PyExc_RuntimeError, e.what_without_backtrace());
    }
  });
}

}  // namespace
}  // namespace ingrain::python

PYBIND11_MODULE(_core, m) {
  ingrain::python::bind_errors(m);
  ingrain::python::bind_notes(m);
  ingrain::python::bind_reading(m);
  ingrain::python::bind_tensors(m);
}
