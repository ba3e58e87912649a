// Small stories in a long book, after bAbI's first five tasks (Weston et al., arXiv 1502.05698) and BABILong's way of
// hiding them (Kuratov et al., arXiv 2406.10149): a simulator of our own, with names, places and things of our own, in
// books of ours. The story's sentences stand in their order, each somewhere between sentences of the book.
#pragma once

#include "tasks/sized.h"

namespace ingrain::tasks {

/// qa1: where is somebody? qa2: where is a thing that somebody carried? qa3: where was it before? qa4: what lies in
/// that direction? qa5: who gave what to whom?
const std::vector<SizedTask>& babi_tasks();

struct Story {
  std::vector<std::string> sentences;
  std::string question, answer;  // one word
};
/// The story alone. `task` is 1 to 5.
Story tell_story(int task, data::SplitMix64& random);

}  // namespace ingrain::tasks
