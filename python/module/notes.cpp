// The Python module: the notepad.
#include "module.h"

namespace ingrain::python {

void bind_notes(py::module_& m) {
  const auto tuple_of = [](const Passage& one) { return std::tuple(one.source, one.offset, one.score, one.text); };
  py::class_<Notepad>(m, "Notepad")
      .def(py::init())
      .def_static("beside",
                  [](const std::filesystem::path& memory) {
                    const Computing computing;
                    return Notepad::beside(memory);
                  })
      .def("save_beside",
           [](const Notepad& self, const std::filesystem::path& memory) {
             const Computing computing;
             self.save_beside(memory);
           })
      .def("add",
           [](Notepad& self, const std::string& document, const std::string& text) {
             const Computing computing;
             return self.add(document, text);
           })
      .def("passages", &Notepad::passages)
      .def("search",
           [tuple_of](const Notepad& self, const std::string& question, int64_t limit) {
             std::vector<Passage> found;
             {
               const Computing computing;
               found = self.search(question, limit);
             }
             std::vector<decltype(tuple_of(found[0]))> out;
             for (const Passage& one : found) out.push_back(tuple_of(one));
             return out;
           })
      .def_static("text_of", [](const std::vector<std::tuple<std::string, uint64_t, double, std::string>>& passages) {
        std::vector<Passage> out;
        for (const auto& [source, offset, score, text] : passages) out.push_back({source, offset, score, text});
        return Notepad::text_of(out);
      });
}

}  // namespace ingrain::python
