#include "serve/routes/noting.h"

#include "base/clock.h"
#include "base/json_texts.h"
#include "serve/api/sha256.h"
#include "serve/routes/answering.h"
#include "serve/routes/conversation_store.h"

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

namespace {

constexpr const char* kSaid = "said:";  // sets of conversations begin so
constexpr const char* kSaidKind = "said";

/// The names of the sets of a conversation's beginnings: [i] of its first i messages.
std::vector<std::string> set_names(const std::string& memory, const Json& messages) {
  std::vector<std::string> out{kSaid + memory};
  for (const Json& message : messages) {
    Json shown = message;
    shown.erase(kAnswerMember);
    shown.erase("reasoning_content");
    out.push_back(kSaid + api::hex(api::sha256(out.back() + '\n' + api::dump(shown))));
  }
  return out;
}

/// All that was said in these messages, as a set; what of it is noted already is not noted again. Its name.
std::string note_conversation(Notepad& notes, const std::string& memory, const Json& messages) {
  const std::vector<std::string> names = set_names(memory, messages);
  size_t known = messages.size();
  while (known > 0 && !notes.has(names[known])) --known;
  if (known == messages.size() && known > 0) return names[known];
  const std::string base = notes.has(memory) ? memory : "";
  std::vector<Notepad::Document> documents;
  for (size_t i = 0; i < messages.size(); ++i)
    documents.push_back({fmt::format("message {} ({})", i + 1, messages[i].value("role", "")),
                         messages[i].contains("content") && messages[i]["content"].is_string()
                             ? messages[i]["content"].get<std::string>()
                             : std::string()});
  const auto begin = documents.begin() + static_cast<std::ptrdiff_t>(known);
  try {
    notes.make(names.back(), known > 0 ? names[known] : base, {begin, documents.end()});
  } catch (const Error&) {  // a conversation of a thousand turns: all of it anew
    notes.make(names.back(), base, documents);
  }
  return names.back();
}

/// Who asks the same again is not answered by his question.
std::vector<Passage> best_passages(const Notepad& notes, const std::string& set, const std::string& question,
                                   int64_t most) {
  std::vector<Passage> out;
  for (Passage& passage : notes.search(set, question, 4 * most)) {
    const bool said = passage.text == question || std::any_of(out.begin(), out.end(), [&](const Passage& other) {
                        return other.text == passage.text;
                      });
    if (!said && static_cast<int64_t>(out.size()) < most) out.push_back(std::move(passage));
  }
  return out;
}

}  // namespace

LookedUp look_up(Call& call, const api::Ask& ask, Prompt& prompt) {
  const std::string memory = ask.memory.empty() ? "" : memory_record(call, ask.memory, "memory").id;
  const auto notes = call.service.notes().of(call.owner);
  std::string* question = prompt.text ? &*prompt.text : nullptr;
  std::string set = memory;
  if (prompt.messages.is_array()) {
    Json& messages = prompt.messages;
    if (messages.empty() || messages.back().value("role", "") != "user") return {Json::array(), {}};
    const Json before(messages.begin(), messages.end() - 1);
    if (!before.empty()) set = note_conversation(*notes, memory, before);
    prompt.said = messages;
    question = &messages.back()["content"].get_ref<std::string&>();
  }
  if (question == nullptr || set.empty()) return {Json::array(), {}};
  const std::vector<Passage> found = best_passages(*notes, set, *question, ask.notepad.passages);
  Json out = Json::array();
  for (const Passage& passage : found)
    out.push_back(
        {{"source", passage.source}, {"offset", passage.offset}, {"score", passage.score}, {"text", passage.text}});
  if (!found.empty()) *question = notes_text(found) + "\n" + *question;
  return {std::move(out), set == memory ? std::string() : set};
}

void forget_said(Call& call, const std::string& said) {
  if (!said.empty()) call.service.notes().of(call.owner)->remove_line(said, kSaid);
}

void forget_notes(Call& call, const std::string& memory) {
  const auto notes = call.service.notes().of(call.owner);
  notes->remove_after(memory, kSaid);
  notes->remove(memory);
}

Record said_record(const Owner& owner, const std::string& conversation, const std::string& said) {
  Record out;
  out.owner = owner;
  out.kind = kSaidKind;
  out.id = conversation + '/' + said;
  out.parent = conversation;
  out.body = api::dump(Json(said));
  out.created = out.updated = unix_seconds();
  return out;
}

void forget_all_said(Call& call, const std::string& conversation) {
  remove_children(call, kSaidKind, conversation,
                  [&](const Record& record) { forget_said(call, parse_own_json(record.body).get<std::string>()); });
}

}  // namespace ingrain::serve
