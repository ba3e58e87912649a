#include "serve/grammar/walk.h"

#include "base/error.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr size_t kMaxReadings = 64;  // followed at once

}  // namespace

GrammarWalk::GrammarWalk(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
    : grammar_(std::move(grammar)), trie_(std::move(trie)), frames_(1) {
  // The whole text is a sequence of one part, whose form is not asked for: it ends at frame 0.
  Frame whole;
  whole.kind = Frame::Kind::sequence;
  whole.form = kNothing;
  threads_ = {push(whole)};
  reachable_ = frames_.size();
}

GrammarWalk::At GrammarWalk::push(const Frame& frame) {
  frames_.push_back(frame);
  return static_cast<At>(frames_.size() - 1);
}

void GrammarWalk::step(At at, uint8_t byte, Threads& out) {
  const Frame frame = frames_[at];
  switch (frame.kind) {
    case Frame::Kind::end:
    case Frame::Kind::used: return;
    case Frame::Kind::words: return step_words(frame, byte, out);
    case Frame::Kind::string: return step_string(frame, byte, out);
    case Frame::Kind::key: return step_key(frame, byte, out);
    case Frame::Kind::number: return step_number(frame, byte, out);
    case Frame::Kind::object: return step_object(frame, byte, out);
    case Frame::Kind::array: return step_array(frame, byte, out);
    case Frame::Kind::free: out.push_back(at); return;
    case Frame::Kind::sequence: {
      if (frame.form == kNothing) return begin(grammar_->root(), at, frame.depth, byte, out);
      const auto& sequence = std::get<SequenceForm>(grammar_->form(frame.form));
      return begin(sequence.parts[frame.count], at, frame.depth, byte, out);
    }
  }
}

void GrammarWalk::begin(Slot slot, At below, uint16_t depth, uint8_t byte, Threads& out) {
  const uint32_t least = grammar_->height_of(slot);
  for (const uint32_t id : grammar_->forms_at(slot))
    if (depth < kDeep || grammar_->height(id) == least) begin_form(id, below, depth, byte, out);
}

void GrammarWalk::begin_form(uint32_t id, At below, uint16_t depth, uint8_t byte, Threads& out) {
  Frame frame;
  frame.form = id;
  frame.below = below;
  frame.depth = depth;
  const Form& form = grammar_->form(id);
  if (std::holds_alternative<WordsForm>(form)) {
    frame.kind = Frame::Kind::words;
    return step_words(frame, byte, out);
  }
  if (std::holds_alternative<StringForm>(form)) {
    frame.kind = Frame::Kind::string;
    if (byte == '"') out.push_back(push(frame));
  } else if (std::holds_alternative<NumberForm>(form)) {
    frame.kind = Frame::Kind::number;
    step_number(frame, byte, out);
  } else if (std::holds_alternative<ObjectForm>(form)) {
    frame.kind = Frame::Kind::object;
    ++frame.depth;
    if (byte == '{') out.push_back(push(frame));
  } else if (std::holds_alternative<ArrayForm>(form)) {
    frame.kind = Frame::Kind::array;
    ++frame.depth;
    if (byte == '[') out.push_back(push(frame));
  } else if (const auto* sequence = std::get_if<SequenceForm>(&form)) {
    frame.kind = Frame::Kind::sequence;
    begin(sequence->parts[0], push(frame), depth, byte, out);
  } else if (std::holds_alternative<FreeForm>(form)) {
    frame.kind = Frame::Kind::free;
    out.push_back(push(frame));
  }
}

void GrammarWalk::ended(At below, Threads& out) {
  Frame frame = frames_[below];
  if (frame.kind == Frame::Kind::object || frame.kind == Frame::Kind::array) {
    frame.phase = Frame::Phase::after;
    frame.blanks = 0;
    out.push_back(push(frame));
  } else if (frame.kind == Frame::Kind::sequence) {
    if (frame.form == kNothing) return out.push_back(0);
    const auto& sequence = std::get<SequenceForm>(grammar_->form(frame.form));
    if (frame.count == sequence.end) {
      ended(frame.below, out);
      if (!sequence.loops) return;
    }
    frame.count = (frame.count + 1) % static_cast<uint32_t>(sequence.parts.size());
    out.push_back(push(frame));
  } else if (frame.kind == Frame::Kind::words) {
    ended(frame.below, out);  // what stands after a word
  }
}

void GrammarWalk::step_words(const Frame& frame, uint8_t byte, Threads& out) {
  const auto& form = std::get<WordsForm>(grammar_->form(frame.form));
  if (frame.phase == Frame::Phase::value) {  // after a word
    const At here = push(frame);
    return begin(form.then[form.words.value(frame.node)], here, frame.depth, byte, out);
  }
  Frame next = frame;
  next.node = form.words.next(frame.node, byte);
  if (next.node == kNothing) return;
  const uint32_t value = form.words.value(next.node);
  if (value != kNothing) {
    if (value < form.then.size()) {
      Frame word = next;
      word.phase = Frame::Phase::value;
      out.push_back(push(word));
    } else {
      ended(frame.below, out);
    }
  }
  if (!form.words.is_leaf(next.node)) out.push_back(push(next));
}

void GrammarWalk::control(At at, int32_t token, Threads& out) {
  const Frame frame = frames_[at];
  if (frame.kind == Frame::Kind::free) {
    if (std::get<FreeForm>(grammar_->form(frame.form)).until == token) ended(frame.below, out);
    return;
  }
  Slot slot = kNothing;
  if (frame.kind == Frame::Kind::sequence)
    slot = frame.form == kNothing ? grammar_->root()
                                  : std::get<SequenceForm>(grammar_->form(frame.form)).parts[frame.count];
  if (slot == kNothing) return;
  for (const uint32_t id : grammar_->forms_at(slot)) {
    const Form& form = grammar_->form(id);
    if (const auto* only = std::get_if<TokenForm>(&form)) {
      if (only->id == token) ended(at, out);
    } else if (const auto* free = std::get_if<FreeForm>(&form)) {
      if (free->until == token) ended(at, out);
    } else if (std::holds_alternative<SequenceForm>(form)) {
      Frame inner;
      inner.kind = Frame::Kind::sequence;
      inner.form = id;
      inner.below = at;
      inner.depth = frame.depth;
      control(push(inner), token, out);
    }
  }
}

/// Whether what follows is the same; where is not asked for.
bool GrammarWalk::equal(At a, At b) const {
  for (; a != b; a = frames_[a].below, b = frames_[b].below) {
    const Frame &x = frames_[a], &y = frames_[b];
    if (x.form != y.form || x.kind != y.kind || x.phase != y.phase || x.blanks != y.blanks || x.depth != y.depth ||
        x.count != y.count || x.node != y.node)
      return false;
    if (x.string.phase != y.string.phase || x.string.left != y.string.left || x.string.unit != y.string.unit ||
        x.string.characters != y.string.characters || x.string.hash != y.string.hash)
      return false;
    if (x.number.phase != y.number.phase || x.number.count != y.number.count || x.number.value != y.number.value)
      return false;
    if (x.used != y.used && !equal(x.used, y.used)) return false;
  }
  return true;
}

/// Of equal readings among threads[begin..] one stays, and of all so many.
void GrammarWalk::tidy(Threads& threads, size_t begin, size_t most) const {
  if (threads.size() - begin < 2) return;
  size_t kept = begin;
  for (size_t i = begin; i < threads.size() && kept - begin < most; ++i) {
    const auto first = threads.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = threads.begin() + static_cast<std::ptrdiff_t>(kept);
    const At thread = threads[i];
    if (std::none_of(first, last, [&](At other) { return equal(other, thread); })) threads[kept++] = thread;
  }
  threads.resize(kept);
}

GrammarWalk::Threads GrammarWalk::after(At thread, std::string_view bytes) {
  Threads now{thread}, next;
  for (const char byte : bytes) {
    next.clear();
    for (const At at : now) step(at, static_cast<uint8_t>(byte), next);
    tidy(next, 0, kMaxReadings);
    std::swap(now, next);
  }
  return now;
}

void GrammarWalk::walk(std::span<const TokenTrie::Node> nodes, At thread, std::span<uint64_t> bits) {
  Threads threads{thread};
  // [d]: where the readings after d bytes begin, and how many frames there were once they were made.
  std::vector<size_t> begins{0, 1}, made{frames_.size()};
  for (uint32_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const size_t d = node.depth;
    begins.resize(d + 2);
    made.resize(d + 1);
    threads.resize(begins[d + 1]);
    frames_.resize(made[d]);
    for (size_t t = begins[d]; t < begins[d + 1]; ++t) step(threads[t], node.byte, threads);
    tidy(threads, begins[d + 1], kMaxReadings);
    if (threads.size() == begins[d + 1]) {
      i = node.end;
      continue;
    }
    if (node.token >= 0) set_bit(bits, node.token);
    begins.push_back(threads.size());
    made.push_back(frames_.size());
    ++i;
  }
  frames_.resize(made[0]);
}

void GrammarWalk::allow_thread(At thread, std::span<uint64_t> bits) {
  const Frame frame = frames_[thread];
  if (frame.kind == Frame::Kind::end) return;
  if (frame.kind == Frame::Kind::free) {
    trie_->add_text(bits);
    set_bit(bits, std::get<FreeForm>(grammar_->form(frame.form)).until);
    return;
  }
  const bool is_key = frame.kind == Frame::Kind::key;
  if ((is_key || frame.kind == Frame::Kind::string) && frame.string.between_characters()) {
    uint64_t left = std::numeric_limits<uint64_t>::max();
    if (!is_key) left = std::get<StringForm>(grammar_->form(frame.form)).max - frame.string.characters;
    trie_->add_plain(bits, left);
    return walk(trie_->not_plain(), thread, bits);
  }
  walk(trie_->all(), thread, bits);
}

void GrammarWalk::allow(std::span<uint64_t> bits) {
  std::fill(bits.begin(), bits.end(), 0);
  for (const At thread : threads_) allow_thread(thread, bits);
  trie_->add_equals(bits);
  const size_t frames = frames_.size();
  Threads out;
  for (const int32_t id : grammar_->control_tokens()) {
    out.clear();
    for (const At thread : threads_) control(thread, id, out);
    if (!out.empty()) set_bit(bits, id);
    frames_.resize(frames);
  }
}

void GrammarWalk::accept(int32_t token) {
  Threads out;
  const std::string_view bytes = trie_->bytes(token);
  for (const At thread : threads_) {
    if (bytes.empty()) {
      control(thread, token, out);
    } else {
      const Threads readings = after(thread, bytes);
      out.insert(out.end(), readings.begin(), readings.end());
    }
  }
  require(!out.empty(), "token {} cannot come next: the grammar does not allow it", token);
  settle(std::move(out));
}

bool GrammarWalk::accept_bytes(std::string_view bytes) {
  Threads out;
  for (const At thread : threads_) {
    const Threads readings = after(thread, bytes);
    out.insert(out.end(), readings.begin(), readings.end());
  }
  if (out.empty()) return false;
  settle(std::move(out));
  return true;
}

void GrammarWalk::settle(Threads threads) {
  tidy(threads, 0, kMaxReadings);
  threads_ = std::move(threads);
  if (frames_.size() > 2 * reachable_ + 4096) forget_unreachable();
}

/// What frames refer to is older than they are.
void GrammarWalk::forget_unreachable() {
  std::vector<At> place(frames_.size(), 0);
  for (const At thread : threads_) place[thread] = 1;
  for (size_t i = frames_.size(); i-- > 1;)
    if (place[i]) place[frames_[i].below] = place[frames_[i].used] = 1;
  std::vector<Frame> kept(1);
  place[0] = 0;
  for (size_t i = 1; i < frames_.size(); ++i) {
    if (!place[i]) continue;
    Frame frame = frames_[i];
    frame.below = place[frame.below];
    frame.used = place[frame.used];
    place[i] = static_cast<At>(kept.size());
    kept.push_back(frame);
  }
  for (At& thread : threads_) thread = place[thread];
  frames_ = std::move(kept);
  reachable_ = frames_.size();
}

bool GrammarWalk::may_end() const {
  return std::any_of(threads_.begin(), threads_.end(), [&](At at) {
    const Frame* frame = &frames_[at];
    if (frame->kind == Frame::Kind::end) return true;
    if (frame->kind != Frame::Kind::number) return false;
    if (!frame->number.may_end(std::get<NumberForm>(grammar_->form(frame->form)))) return false;
    for (frame = &frames_[frame->below];; frame = &frames_[frame->below]) {
      if (frame->kind == Frame::Kind::words) continue;
      if (frame->kind != Frame::Kind::sequence) return false;
      if (frame->form == kNothing) return true;
      if (frame->count != std::get<SequenceForm>(grammar_->form(frame->form)).end) return false;
    }
  });
}

bool GrammarWalk::complete() const {
  return std::all_of(threads_.begin(), threads_.end(), [&](At at) { return at == 0; });
}

}  // namespace ingrain::serve
