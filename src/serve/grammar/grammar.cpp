#include "serve/grammar/grammar.h"

#include "base/error.h"
#include "serve/grammar/json_string.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <queue>

namespace ingrain::serve {
namespace {

constexpr size_t kMaxAlternatives = 200'000;  // of all slots together
constexpr size_t kMaxWordNodes = 500'000;     // bytes of words that are looked up together

/// What of a form must be there before it can end.
struct Needs {
  std::vector<Slot> slots;
  bool any = false;     // one of them is enough
  bool never = false;   // it cannot end at all
  uint32_t levels = 0;  // of nesting that it adds
};

Needs needs_of(const Form& form) {
  Needs out;
  if (const auto* object = std::get_if<ObjectForm>(&form)) {
    out.levels = 1;
    for (const auto& property : object->properties)
      if (property.required) out.slots.push_back(property.value);
  } else if (const auto* array = std::get_if<ArrayForm>(&form)) {
    out.levels = 1;
    for (size_t i = 0; i < array->prefix.size() && i < array->min; ++i) out.slots.push_back(array->prefix[i]);
    if (array->min > array->prefix.size()) out.slots.push_back(array->items);
    out.never = array->min > array->max;
  } else if (const auto* sequence = std::get_if<SequenceForm>(&form)) {
    out.slots.assign(sequence->parts.begin(), sequence->parts.begin() + sequence->end + 1);
  } else if (const auto* words = std::get_if<WordsForm>(&form)) {
    out.slots = words->then;
    out.any = !words->then.empty();
  } else if (const auto* number = std::get_if<NumberForm>(&form)) {
    out.never = !number->possible();
  }
  out.never |= std::find(out.slots.begin(), out.slots.end(), kNothing) != out.slots.end();
  return out;
}

}  // namespace

uint32_t WordTrie::make_next(uint32_t node, uint8_t byte) {
  if (const uint32_t there = next(node, byte); there != kNothing) return there;
  const auto to = static_cast<uint32_t>(nodes_.size());
  auto& edges = nodes_[node].edges;
  edges.insert(std::lower_bound(edges.begin(), edges.end(), std::pair<uint8_t, uint32_t>(byte, 0)), {byte, to});
  nodes_.emplace_back();
  return to;
}

void WordTrie::add(std::string_view word, uint32_t value) {
  uint32_t at = kRoot;
  nodes_[at].below.push_back(value);
  for (const char byte : word) {
    at = make_next(at, static_cast<uint8_t>(byte));
    nodes_[at].below.push_back(value);
  }
  if (nodes_[at].value == kNothing) nodes_[at].value = value;
}

void WordTrie::add_all(const WordTrie& other) {
  std::vector<std::pair<uint32_t, uint32_t>> open{{kRoot, kRoot}};
  while (!open.empty()) {
    const auto [mine, theirs] = open.back();
    open.pop_back();
    const Node& node = other.nodes_[theirs];
    nodes_[mine].below.insert(nodes_[mine].below.end(), node.below.begin(), node.below.end());
    if (nodes_[mine].value == kNothing) nodes_[mine].value = node.value;
    for (const auto& [byte, to] : node.edges) open.emplace_back(make_next(mine, byte), to);
  }
}

uint32_t WordTrie::next(uint32_t node, uint8_t byte) const {
  const auto& edges = nodes_[node].edges;
  const auto edge = std::lower_bound(edges.begin(), edges.end(), std::pair<uint8_t, uint32_t>(byte, 0));
  return edge != edges.end() && edge->first == byte ? edge->second : kNothing;
}

Slot Grammar::slot() {
  slots_.emplace_back();
  return static_cast<Slot>(slots_.size() - 1);
}

void Grammar::add(Slot slot, Form form) {
  slots_[slot].forms.push_back(static_cast<uint32_t>(forms_.size()));
  forms_.push_back(std::move(form));
}

void Grammar::alias(Slot slot, Slot other) { slots_[slot].aliases.push_back(other); }

bool Grammar::finish(Slot root, const std::string& where) {
  root_ = root;
  flatten(where);
  find_heights();
  leave_out_dead_ends();
  join_words(where);
  find_heights();
  for (const Form& form : forms_) {
    if (const auto* token = std::get_if<TokenForm>(&form)) control_tokens_.push_back(token->id);
    if (const auto* free = std::get_if<FreeForm>(&form)) control_tokens_.push_back(free->until);
  }
  std::sort(control_tokens_.begin(), control_tokens_.end());
  control_tokens_.erase(std::unique(control_tokens_.begin(), control_tokens_.end()), control_tokens_.end());
  return possible(root);
}

/// Aliases become the forms that they stand for.
void Grammar::flatten(const std::string& where) {
  std::vector<std::vector<uint32_t>> flat(slots_.size());
  size_t total = 0;
  std::vector<Slot> seen_by(slots_.size(), kNothing), open;
  for (Slot slot = 0; slot < slots_.size(); ++slot) {
    open = {slot};
    seen_by[slot] = slot;
    while (!open.empty()) {
      const Place& place = slots_[open.back()];
      open.pop_back();
      flat[slot].insert(flat[slot].end(), place.forms.begin(), place.forms.end());
      total += place.forms.size() + place.aliases.size();
      if (total > kMaxAlternatives)
        fail_usage("{}: the schema has too many alternatives (more than {}); make it smaller", where, kMaxAlternatives);
      for (auto other = place.aliases.rbegin(); other != place.aliases.rend(); ++other)
        if (std::exchange(seen_by[*other], slot) != slot) open.push_back(*other);
    }
  }
  for (Slot slot = 0; slot < slots_.size(); ++slot) slots_[slot] = {std::move(flat[slot]), {}};
}

/// The least solution. A form is ready when all that it needs is, a slot when its first form is; the lowest come first,
/// so that what is ready stays as it is.
void Grammar::find_heights() {
  heights_.assign(forms_.size(), kNothing);
  slot_heights_.assign(slots_.size(), kNothing);
  std::vector<size_t> missing(forms_.size());
  std::vector<uint32_t> levels(forms_.size());
  std::vector<std::vector<uint32_t>> users(slots_.size());
  std::vector<std::vector<Slot>> holders(forms_.size());
  using Ready = std::pair<uint32_t, uint32_t>;  // height, form
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
  for (uint32_t id = 0; id < forms_.size(); ++id) {
    const Needs needs = needs_of(forms_[id]);
    levels[id] = needs.levels;
    missing[id] = needs.any ? 1 : needs.slots.size();
    if (needs.never) continue;
    for (const Slot slot : needs.slots) users[slot].push_back(id);
    if (missing[id] == 0) ready.emplace(needs.levels, id);
  }
  for (Slot slot = 0; slot < slots_.size(); ++slot)
    for (const uint32_t id : slots_[slot].forms) holders[id].push_back(slot);
  while (!ready.empty()) {
    const auto [height, id] = ready.top();
    ready.pop();
    if (heights_[id] != kNothing) continue;
    heights_[id] = height;
    for (const Slot slot : holders[id]) {
      if (slot_heights_[slot] != kNothing) continue;
      slot_heights_[slot] = height;
      for (const uint32_t user : users[slot])
        if (missing[user] > 0 && --missing[user] == 0) ready.emplace(height + levels[user], user);
    }
  }
}

void Grammar::leave_out_dead_ends() {
  for (Place& place : slots_) std::erase_if(place.forms, [&](uint32_t id) { return heights_[id] == kNothing; });
  for (Form& form : forms_) {
    if (auto* array = std::get_if<ArrayForm>(&form)) {
      const auto dead = std::find_if(array->prefix.begin(), array->prefix.end(), [&](Slot s) { return !possible(s); });
      if (dead != array->prefix.end()) {
        array->prefix.erase(dead, array->prefix.end());
        array->items = kNothing;
      }
      if (!possible(array->items)) array->max = std::min(array->max, static_cast<uint32_t>(array->prefix.size()));
    } else if (auto* object = std::get_if<ObjectForm>(&form)) {
      prepare(*object);
    }
  }
}

void Grammar::prepare(ObjectForm& object) {
  for (const auto& property : object.properties) object.hashes.push_back(JsonString::hash_of(property.name));
  std::sort(object.hashes.begin(), object.hashes.end());
  if (!possible(object.additional)) object.additional = kNothing;
  std::erase_if(object.properties, [&](const auto& property) { return !possible(property.value); });
  object.required_from.assign(object.properties.size() + 1, static_cast<uint32_t>(object.properties.size()));
  for (size_t i = object.properties.size(); i-- > 0;) {
    object.required_from[i] = object.properties[i].required ? static_cast<uint32_t>(i) : object.required_from[i + 1];
  }
  for (size_t i = 0; i < object.properties.size(); ++i) {
    const std::string written = nlohmann::json(object.properties[i].name).dump();
    object.names.add(std::string_view(written).substr(1), static_cast<uint32_t>(i));
  }
}

/// Several texts at one slot are looked up at once.
void Grammar::join_words(const std::string& where) {
  size_t nodes = 0;
  for (const Form& form : forms_) {
    if (const auto* object = std::get_if<ObjectForm>(&form)) nodes += object->names.size();
    if (const auto* words = std::get_if<WordsForm>(&form)) nodes += words->words.size();
  }
  const size_t forms = forms_.size();
  const auto is_plain = [&](uint32_t id) {
    const auto* words = std::get_if<WordsForm>(&forms_[id]);
    return id < forms && words && words->then.empty();
  };
  for (Place& place : slots_) {
    if (std::count_if(place.forms.begin(), place.forms.end(), is_plain) < 2) continue;
    WordsForm joined;
    for (const uint32_t id : place.forms)
      if (is_plain(id)) joined.words.add_all(std::get<WordsForm>(forms_[id]).words);
    nodes += joined.words.size();
    if (nodes > kMaxWordNodes) break;
    std::erase_if(place.forms, is_plain);
    place.forms.insert(place.forms.begin(), static_cast<uint32_t>(forms_.size()));
    forms_.emplace_back(std::move(joined));
  }
  if (nodes > kMaxWordNodes)
    fail_usage("{}: names and values of enum are too long together (more than {} bytes); make the schema smaller",
               where, kMaxWordNodes);
}

}  // namespace ingrain::serve
