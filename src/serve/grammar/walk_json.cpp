// How JSON's strings, numbers, objects and arrays go on, byte by byte.
#include "serve/grammar/walk.h"

namespace ingrain::serve {
namespace {

constexpr uint8_t kMaxIndentation = 40;

/// White space read since the last other byte: 0 none, 1 a blank, 2 + n a new line and n blanks.
bool step_blank(uint8_t& blanks, uint8_t byte, bool may_break = true) {
  if (byte == '\n' && blanks == 0 && may_break) {
    blanks = 2;
    return true;
  }
  if (byte != ' ' && !(byte == '\t' && blanks >= 2)) return false;
  if (blanks == 1 || blanks >= 2 + kMaxIndentation) return false;
  ++blanks;
  return true;
}

bool is_blank(uint8_t byte) { return byte == ' ' || byte == '\n' || byte == '\t'; }

}  // namespace

void GrammarWalk::step_string(const Frame& frame, uint8_t byte, Threads& out) {
  const auto& form = std::get<StringForm>(grammar_->form(frame.form));
  if (frame.string.between_characters() && byte != '"' && frame.string.characters >= form.max) return;
  Frame next = frame;
  switch (next.string.step(byte)) {
    case JsonString::Step::no: return;
    case JsonString::Step::on: out.push_back(push(next)); return;
    case JsonString::Step::end:
      if (frame.string.characters >= form.min) ended(frame.below, out);
  }
}

void GrammarWalk::step_number(const Frame& frame, uint8_t byte, Threads& out) {
  const auto& form = std::get<NumberForm>(grammar_->form(frame.form));
  Frame next = frame;
  if (next.number.step(form, byte)) {
    out.push_back(push(next));
  } else if (frame.number.may_end(form)) {  // nothing that a number may go on with can follow one
    Threads after;
    ended(frame.below, after);
    for (const At at : after) step(at, byte, out);
  }
}

/// Whether a name of a property that may come now begins as `node` does.
bool GrammarWalk::has_next_property(const Frame& frame, const ObjectForm& object, uint32_t node) const {
  const uint32_t required = object.required_from[frame.count];
  const auto below = object.names.values_below(node);
  if (frame.depth >= kDeep) return std::binary_search(below.begin(), below.end(), required);
  const auto first = std::lower_bound(below.begin(), below.end(), frame.count);
  return first != below.end() && *first <= required;
}

bool GrammarWalk::has_next_name(const Frame& frame, const ObjectForm& object) const {
  if (has_next_property(frame, object, WordTrie::kRoot)) return true;
  return object.additional != kNothing && frame.depth < kDeep &&
         object.required_from[frame.count] == object.properties.size();
}

bool GrammarWalk::is_used(const Frame& object, const ObjectForm& form, uint64_t hash) const {
  if (std::binary_search(form.hashes.begin(), form.hashes.end(), hash)) return true;
  for (At at = object.used; at != 0; at = frames_[at].below)
    if (frames_[at].string.hash == hash) return true;
  return false;
}

void GrammarWalk::step_object_name(Frame frame, bool first, uint8_t byte, Threads& out) {
  const auto& object = std::get<ObjectForm>(grammar_->form(frame.form));
  if (first) {
    if (byte != '"') return;
    frame.blanks = 0;
    frame.node = WordTrie::kRoot;
    frame.phase = Frame::Phase::name;
    const bool of_property = has_next_property(frame, object, WordTrie::kRoot);
    if (of_property) out.push_back(push(frame));
    if (object.additional != kNothing && frame.depth < kDeep &&
        object.required_from[frame.count] == object.properties.size()) {
      Frame key;
      key.kind = Frame::Kind::key;
      key.form = frame.form;
      key.below = push(frame);
      key.depth = frame.depth;
      out.push_back(push(key));
    }
    return;
  }
  frame.node = object.names.next(frame.node, byte);
  if (frame.node == kNothing || !has_next_property(frame, object, frame.node)) return;
  if (const uint32_t property = object.names.value(frame.node); property != kNothing) {  // the closing quote
    frame.phase = Frame::Phase::colon;
    frame.node = property;
    frame.count = property + 1;
  }
  out.push_back(push(frame));
}

void GrammarWalk::step_key(const Frame& frame, uint8_t byte, Threads& out) {
  Frame next = frame;
  const JsonString::Step what = next.string.step(byte);
  if (what == JsonString::Step::on) out.push_back(push(next));
  if (what != JsonString::Step::end) return;
  Frame object = frames_[frame.below];
  const auto& form = std::get<ObjectForm>(grammar_->form(frame.form));
  if (is_used(object, form, frame.string.hash)) return;
  Frame used;
  used.kind = Frame::Kind::used;
  used.below = object.used;
  used.string.hash = frame.string.hash;
  object.used = push(used);
  object.phase = Frame::Phase::colon;
  object.node = kNothing;
  object.count = static_cast<uint32_t>(form.properties.size());
  out.push_back(push(object));
}

void GrammarWalk::step_object(const Frame& frame, uint8_t byte, Threads& out) {
  using Phase = Frame::Phase;
  const auto& object = std::get<ObjectForm>(grammar_->form(frame.form));
  const bool may_close = object.required_from[frame.count] == object.properties.size();
  Frame next = frame;
  switch (frame.phase) {
    case Phase::opened:
    case Phase::next:
    case Phase::after:
      if (frame.phase != Phase::next && byte == '}' && may_close) return ended(frame.below, out);
      if (is_blank(byte)) {
        if (frame.phase == Phase::after && !may_close) return;
        if (step_blank(next.blanks, byte)) out.push_back(push(next));
        return;
      }
      if (frame.phase != Phase::after) {
        step_object_name(frame, true, byte, out);
      } else if (byte == ',' && frame.blanks == 0 && has_next_name(frame, object)) {
        next.phase = Phase::next;
        out.push_back(push(next));
      }
      return;
    case Phase::name: return step_object_name(frame, false, byte, out);
    case Phase::colon:
      if (byte != ':') return;
      next.phase = Phase::value;
      out.push_back(push(next));
      return;
    case Phase::value:
      if (is_blank(byte)) {
        if (step_blank(next.blanks, byte, false)) out.push_back(push(next));
        return;
      }
      begin(frame.node == kNothing ? object.additional : object.properties[frame.node].value, push(frame), frame.depth,
            byte, out);
      return;
  }
}

bool GrammarWalk::may_have_more(const Frame& frame, const ArrayForm& array) const {
  return frame.count < (frame.depth >= kDeep ? array.min : array.max);
}

void GrammarWalk::step_array(const Frame& frame, uint8_t byte, Threads& out) {
  using Phase = Frame::Phase;
  const auto& array = std::get<ArrayForm>(grammar_->form(frame.form));
  const bool may_close = frame.count >= array.min && frame.phase != Phase::next;
  Frame next = frame;
  if (byte == ']' && may_close) return ended(frame.below, out);
  if (is_blank(byte)) {
    const bool leads_on = frame.phase == Phase::after ? may_close : may_close || may_have_more(frame, array);
    if (leads_on && step_blank(next.blanks, byte)) out.push_back(push(next));
    return;
  }
  if (frame.phase == Phase::after) {
    if (byte != ',' || frame.blanks != 0 || !may_have_more(frame, array)) return;
    next.phase = Phase::next;
    out.push_back(push(next));
    return;
  }
  if (!may_have_more(frame, array)) return;
  const Slot slot = frame.count < array.prefix.size() ? array.prefix[frame.count] : array.items;
  ++next.count;
  next.phase = Phase::value;
  begin(slot, push(next), frame.depth, byte, out);
}

}  // namespace ingrain::serve
