// The Python module: models, memories, reading, writing, dialogues. What users see is python/ingrain/*.py, which has
// the documentation; here each method is one call of the public interface.
#include "module.h"

namespace ingrain::python {
namespace {

/// A reader and the memory it reads into.
struct BoundReader {
  SharedMemory memory;
  Reader reader;
  BoundReader(SharedMemory to, ReaderOptions options)
      : memory(std::move(to)), reader(memory->value, std::move(options)) {}
};

struct BoundWriting {
  SharedMemory memory;
  Writing writing;
};

template <class T>
void take(T& to, const py::handle& value, const std::string& name, const char* what) {
  try {
    to = value.cast<T>();
  } catch (const py::cast_error&) {
    throw OptionError(name, "is " + py::repr(value).cast<std::string>() + "; it must be " + what);
  }
}

Learn learn_of(const std::string& word) {
  if (word == "all") return Learn::all;
  if (word == "input") return Learn::input;
  if (word == "off") return Learn::off;
  throw OptionError("learn", "is '" + word + "'; it must be 'all', 'input' or 'off'");
}

GenerateOptions options_of(const py::dict& given) {
  GenerateOptions out;
  SamplingOptions& s = out.sampling;
  for (const auto& [key, value] : given) {
    const auto name = key.cast<std::string>();
    if (name == "max_tokens")
      take(out.max_tokens, value, name, "a whole number");
    else if (name == "stop")
      take(out.stop, value, name, "a list of texts");
    else if (name == "learn")
      out.learn = learn_of(py::str(value).cast<std::string>());
    else if (name == "temperature")
      take(s.temperature, value, name, "a number");
    else if (name == "top_k")
      take(s.top_k, value, name, "a whole number");
    else if (name == "top_p")
      take(s.top_p, value, name, "a number");
    else if (name == "min_p")
      take(s.min_p, value, name, "a number");
    else if (name == "repetition_penalty")
      take(s.repetition_penalty, value, name, "a number");
    else if (name == "presence_penalty")
      take(s.presence_penalty, value, name, "a number");
    else if (name == "frequency_penalty")
      take(s.frequency_penalty, value, name, "a number");
    else if (name == "penalty_window")
      take(s.penalty_window, value, name, "a whole number");
    else if (name == "logit_bias")
      take(s.logit_bias, value, name, "a dictionary of token ids and numbers");
    else if (name == "seed")
      take(s.seed, value, name, "a whole number from 0 on");
    else
      throw OptionError(name, "is no option of writing");
  }
  out.keep_going = no_signal;
  return out;
}

std::vector<std::pair<int64_t, double>> pairs(const std::vector<BlockChange>& changes) {
  std::vector<std::pair<int64_t, double>> out;
  for (const BlockChange& one : changes) out.emplace_back(one.block, one.norm);
  return out;
}

SharedMemory shared(Memory memory) { return std::make_shared<Guarded<Memory>>(std::move(memory)); }

void bind_model(py::module_& m) {
  py::class_<Model>(m, "Model")
      .def_static("load",
                  [](const std::filesystem::path& path, std::string dtype, std::string weights, std::string device,
                     bool need_tokenizer, std::optional<int64_t> step_delay) {
                    const Computing computing;
                    return Model::load(path, {.dtype = std::move(dtype),
                                              .weights = std::move(weights),
                                              .device = std::move(device),
                                              .need_tokenizer = need_tokenizer,
                                              .step_delay = step_delay});
                  })
      .def("fingerprint", &Model::fingerprint)
      .def("parameter_count", &Model::parameter_count)
      .def("device", &Model::device)
      .def("dtype", &Model::dtype)
      .def("window", &Model::window)
      .def("chunk", &Model::chunk)
      .def("learns", &Model::learns)
      .def("encode", &Model::encode)
      .def("encode_document", &Model::encode_document)
      .def("begin_of_text", &Model::begin_of_text)
      .def("decode", [](const Model& self, const std::vector<int32_t>& tokens,
                        bool special) { return self.decode(tokens, special); })
      .def("warnings", &Model::warnings);
}

void bind_memory(py::module_& m) {
  using Bound = Guarded<Memory>;
  const auto form = [](bool compact) { return compact ? MemoryForm::compact : MemoryForm::working; };
  py::class_<Bound, SharedMemory>(m, "Memory")
      .def(py::init([](const Model& model) { return shared(Memory(model)); }))
      .def_static("load",
                  [](const std::filesystem::path& file, const Model& model) {
                    const Computing computing;
                    return shared(Memory::load(file, model));
                  })
      .def("save", [form](Bound& self, const std::filesystem::path& file,
                          bool compact) { self.use([&](Memory& memory) { memory.save(file, form(compact)); }); })
      .def("copy", [](Bound& self) { return self.use([](Memory& memory) { return shared(Memory(memory)); }); })
      .def("least_file_bytes",
           [form](Bound& self, int64_t more, bool compact) {
             return self.use([&](Memory& memory) { return memory.least_file_bytes(more, form(compact)); });
           })
      .def("model", [](Bound& self) { return self.value.model(); })
      .def("position", [](Bound& self) { return self.use([](Memory& memory) { return memory.position(); }); })
      .def("steps", [](Bound& self) { return self.use([](Memory& memory) { return memory.steps(); }); })
      .def("bytes", [](Bound& self) { return self.use([](Memory& memory) { return memory.bytes(); }); })
      .def("learnt", [](Bound& self) { return self.use([](Memory& memory) { return pairs(memory.learnt()); }); })
      .def("distance",
           [](Bound& self, Bound& other) {
             const Bound::Taken taken(self);
             std::optional<Bound::Taken> other_taken;
             if (&other != &self) other_taken.emplace(other);
             const Computing computing;  // once: there is one lock to release
             return pairs(self.value.distance(other.value));
           })
      .def("keep_boundaries",
           [](Bound& self, uint64_t bytes) { self.use([&](Memory& memory) { memory.keep_boundaries(bytes); }); })
      .def("boundaries", [](Bound& self) { return self.use([](Memory& memory) { return memory.boundaries(); }); })
      .def("rewind", [](Bound& self, int64_t position) { self.use([&](Memory& memory) { memory.rewind(position); }); });
}

void bind_reader(py::module_& m) {
  py::class_<InnerStep>(m, "InnerStep")
      .def_readonly("step", &InnerStep::step)
      .def_readonly("loss_before", &InnerStep::loss_before)
      .def_readonly("loss_after", &InnerStep::loss_after)
      .def_readonly("gradient_norm", &InnerStep::gradient_norm);
  py::class_<BoundReader>(m, "Reader")
      .def(py::init([](const SharedMemory& memory, bool learn, bool begin_text, bool parse_special, bool written,
                       bool measure_steps, std::function<void(const InnerStep&)> on_step,
                       std::function<bool(int64_t)> keep_going) {
        ReaderOptions options{learn, begin_text, parse_special, written, measure_steps, std::move(on_step), {}};
        options.keep_going = [keep_going = std::move(keep_going)](int64_t tokens) {
          return no_signal() && (!keep_going || keep_going(tokens));
        };
        return std::make_unique<BoundReader>(memory, std::move(options));
      }))
      .def("feed",
           [](BoundReader& self, const std::string& text) {
             return self.memory->use([&](Memory&) { return self.reader.feed(text); });
           })
      .def("finish", [](BoundReader& self) { return self.memory->use([&](Memory&) { return self.reader.finish(); }); })
      .def("read_tokens", [](BoundReader& self, const std::vector<int32_t>& tokens) {
        return self.memory->use([&](Memory&) { return self.reader.read(std::span<const int32_t>(tokens)); });
      });
}

void bind_writing(py::module_& m) {
  py::class_<BoundWriting>(m, "Writing")
      .def(py::init([](const SharedMemory& memory, const py::dict& options, const std::vector<int32_t>& seen) {
        GenerateOptions how = options_of(options);
        return BoundWriting{memory, memory->use([&](Memory& to) { return Writing(to, std::move(how), seen); })};
      }))
      .def("next", [](BoundWriting& self) { return self.memory->use([&](Memory&) { return self.writing.next(); }); })
      .def("written", [](BoundWriting& self) {
        const Generated out = self.writing.written();
        return std::tuple(out.text, out.tokens, std::string(describe(out.reason)));
      });
}

void bind_dialogue(py::module_& m) {
  using Bound = Guarded<Dialogue>;
  using Messages = std::vector<std::pair<std::string, std::string>>;
  py::class_<Bound, std::shared_ptr<Bound>>(m, "Dialogue")
      .def(py::init([](const SharedMemory& memory, bool special, uint64_t keep) {
        return std::make_shared<Bound>(
            memory->use([&](Memory& from) { return Dialogue(Memory(from), {special, keep}); }));
      }))
      .def("say",
           [](Bound& self, const std::string& role, const std::string& content) {
             self.use([&](Dialogue& dialogue) { dialogue.say(role, content); });
           })
      .def("messages",
           [](Bound& self) {
             return self.use([](Dialogue& dialogue) {
               Messages out;
               for (const Message& one : dialogue.messages()) out.emplace_back(one.role, one.content);
               return out;
             });
           })
      .def("set_messages",
           [](Bound& self, const Messages& messages) {
             self.use([&](Dialogue& dialogue) {
               std::vector<Message> all;
               for (const auto& [role, content] : messages) all.push_back({role, content});
               dialogue.set_messages(all);
             });
           })
      .def("aside",
           [](Bound& self, const std::string& text) { self.use([&](Dialogue& dialogue) { dialogue.aside(text); }); })
      .def("answer",
           [](Bound& self, const py::dict& options, const std::function<void(const std::string&)>& on_text) {
             const GenerateOptions how = options_of(options);
             std::function<void(std::string_view)> give;
             if (on_text) give = [&](std::string_view piece) { on_text(std::string(piece)); };
             const Answer out = self.use([&](Dialogue& dialogue) { return dialogue.answer(how, give); });
             return std::tuple(out.text, std::string(describe(out.reason)), out.tokens_read, out.tokens_written);
           })
      .def("scores",
           [](Bound& self, const std::vector<std::string>& answers, const py::dict& options) {
             const GenerateOptions how = options_of(options);
             return self.use([&](Dialogue& dialogue) { return dialogue.scores(answers, how); });
           })
      .def("undo",
           [](Bound& self, const py::dict& options) {
             const GenerateOptions how = options_of(options);
             return self.use([&](Dialogue& dialogue) { return dialogue.undo(how); });
           })
      .def("close", [](Bound& self) { self.use([](Dialogue& dialogue) { dialogue.close(); }); })
      .def("memory",
           [](Bound& self) { return self.use([](Dialogue& dialogue) { return shared(Memory(dialogue.memory())); }); })
      .def("state", [](Bound& self) { return self.use([](Dialogue& dialogue) { return dialogue.state(); }); })
      .def("restore", [](Bound& self, const std::string& state) {
        const GenerateOptions how = options_of({});
        self.use([&](Dialogue& dialogue) { dialogue.restore(state, how); });
      });
}

/// A signal ends the run as it ends the program's: with a checkpoint. Then its exception goes on.
bool train(const std::filesystem::path& run, const std::vector<std::string>& overrides, bool resume,
           const std::function<void(const std::string&)>& say) {
  std::exception_ptr signal;
  const auto interrupted = [&signal] {
    try {
      return !no_signal();
    } catch (...) {
      signal = std::current_exception();
      return true;
    }
  };
  const TrainingOptions options{overrides, resume, interrupted, say};
  const Computing computing;
  const TrainingEnd end = run_training(run, options);
  if (signal) std::rethrow_exception(signal);
  return end == TrainingEnd::finished;
}

void bind_training(py::module_& m) {
  m.def("run_training", train);
  m.def("find_models", [](const std::vector<std::filesystem::path>& places) { return find_models(places); });
  m.def("memory_info", [](const std::filesystem::path& file, bool check) {
    const auto info = [&] {
      const Computing computing;
      return check ? check_memory_file(file) : memory_info(file);
    }();
    return std::tuple(info.model_fingerprint, info.config, info.form == MemoryForm::compact, info.position, info.filled,
                      info.steps, info.batch, info.bytes, info.version);
  });
  m.def("model_of_memory", [](const std::filesystem::path& file, const std::vector<std::filesystem::path>& places) {
    return model_of_memory(file, places);
  });
}

}  // namespace

bool no_signal() {
  const py::gil_scoped_acquire python;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  return true;
}

void bind_reading(py::module_& m) {
  bind_model(m);
  bind_memory(m);
  bind_reader(m);
  bind_writing(m);
  bind_dialogue(m);
  bind_training(m);
}

}  // namespace ingrain::python
