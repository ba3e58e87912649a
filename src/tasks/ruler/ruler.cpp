#include "tasks/ruler/ruler.h"

namespace ingrain::tasks {

const std::vector<SizedTask>& ruler_tasks() {
  static const std::vector<SizedTask> all = [] {
    std::vector<SizedTask> out;
    add_needles(out);
    add_variables(out);
    add_words(out);
    return out;
  }();
  return all;
}

}  // namespace ingrain::tasks
