#include "serve/routes/noting.h"

#include "serve/routes/answering.h"

#include <algorithm>

namespace ingrain::serve {

using api::Json;

void note_texts(Call& call, const std::string& memory, const api::MemoryAsk& ask) {
  const auto notes = call.service.notes().of(call.owner);
  for (size_t i = 0; i < ask.texts.size(); ++i) {
    const std::string& source = ask.sources.at(i);
    notes->add(memory, source.empty() ? "text" : source, ask.texts[i]);
  }
}

void note_fork(Call& call, const std::string& from, const std::string& memory) {
  const auto notes = call.service.notes().of(call.owner);
  if (!from.empty() && notes->passages(from) > 0) notes->extend(memory, from);
}

Json look_up(Call& call, const api::Ask& ask, Prompt& prompt) {
  if (ask.memory.empty())
    api::refuse("notepad", "'notepad' looks up what a memory has read; name the memory: \"memory\": \"NAME\"");
  std::string* question = prompt.text ? &*prompt.text : nullptr;
  if (prompt.messages.is_array()) {
    const auto last = std::find_if(prompt.messages.rbegin(), prompt.messages.rend(),
                                   [](const Json& message) { return message.value("role", "") == "user"; });
    if (last != prompt.messages.rend()) question = &(*last)["content"].get_ref<std::string&>();
  }
  if (question == nullptr) return Json::array();
  const std::string memory = memory_record(call, ask.memory, "memory").id;
  const auto found = call.service.notes().of(call.owner)->search(memory, *question, ask.notepad.passages);
  Json out = Json::array();
  for (const Passage& passage : found)
    out.push_back(
        {{"source", passage.source}, {"offset", passage.offset}, {"score", passage.score}, {"text", passage.text}});
  if (!found.empty()) *question = notes_text(found) + "\n" + *question;
  return out;
}

}  // namespace ingrain::serve
