// RULER's tasks that need no download (Hsieh et al., arXiv 2404.06654; definitions of NVIDIA/RULER). Lengths count the
// prompt, what begins the answer, and the answer. The haystack and the words come from a book of ours, not from the
// essays and word lists of the original, so figures compare models with each other and not with published ones.
#pragma once

#include "tasks/sized.h"

namespace ingrain::tasks {

/// niah_single_1 to 3, niah_multikey_1 to 3, niah_multivalue, niah_multiquery, vt, cwe, fwe.
const std::vector<SizedTask>& ruler_tasks();

// Of each family, for the list.
void add_needles(std::vector<SizedTask>& out);
void add_variables(std::vector<SizedTask>& out);
void add_words(std::vector<SizedTask>& out);

}  // namespace ingrain::tasks
