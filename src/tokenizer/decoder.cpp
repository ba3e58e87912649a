#include "tokenizer/decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

/// <0x41>
std::optional<char> byte_of(std::string_view written) {
  if (written.size() != 6 || !written.starts_with("<0x") || written[5] != '>') return std::nullopt;
  const int high = hex_digit(written[3]), low = hex_digit(written[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high << 4 | low);
}

std::string replaced_all(std::string_view text, std::string_view pattern, std::string_view by) {
  std::string out;
  size_t done = 0;
  for (size_t at = 0; (at = text.find(pattern, done)) != text.npos; done = at + pattern.size()) {
    out += text.substr(done, at - done);
    out += by;
  }
  out += text.substr(done);
  return out;
}

std::string stripped_of(std::string_view text, const DecoderStep& step) {
  const std::string& unit = step.content;
  for (size_t i = 0; i < step.at_beginning && text.starts_with(unit); ++i) text.remove_prefix(unit.size());
  for (size_t i = 0; i < step.at_end && text.ends_with(unit); ++i) text.remove_suffix(unit.size());
  return std::string(text);
}

}  // namespace

bool Decoder::first_differs() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const DecoderStep& step) {
    return step.kind == DecoderStep::Kind::metaspace && step.at_beginning > 0;
  });
}

const DecoderStep* Decoder::text_ends() const {
  return !steps_.empty() && steps_.back().kind == DecoderStep::Kind::strip_text ? &steps_.back() : nullptr;
}

std::string Decoder::decode(std::string_view written, bool first) const {
  std::string out(written);
  for (const DecoderStep& step : steps_) {
    switch (step.kind) {
      case DecoderStep::Kind::replace: out = replaced_all(out, step.pattern, step.content); break;
      case DecoderStep::Kind::byte_fallback:
        if (const auto byte = byte_of(out)) return std::string(1, *byte);
        break;
      case DecoderStep::Kind::metaspace:
        out = replaced_all(out, step.pattern, first && step.at_beginning > 0 ? "" : " ");
        break;
      case DecoderStep::Kind::strip: out = stripped_of(out, step); break;
      case DecoderStep::Kind::strip_text: break;
    }
  }
  return out;
}

std::string EndStripper::push(std::string part) {
  if (!step_) return part;
  const std::string& unit = step_->content;
  if (left_ > 0 || !waiting_.empty()) part = std::exchange(waiting_, {}) + part;
  while (left_ > 0) {
    if (part.starts_with(unit)) {
      part.erase(0, unit.size());
      --left_;
    } else if (part.size() < unit.size() && unit.starts_with(part)) {
      waiting_ = std::move(part);  // may still become one
      return {};
    } else {
      left_ = 0;
    }
  }
  if (step_->at_end == 0) return part;
  const std::string_view all = part;
  size_t keep = all.size();
  for (size_t tail = unit.size() - 1; tail > 0; --tail) {  // bytes of one that is not whole yet
    if (!all.ends_with(std::string_view(unit).substr(0, tail))) continue;
    keep -= tail;
    break;
  }
  for (size_t i = 0; i < step_->at_end && all.substr(0, keep).ends_with(unit); ++i) keep -= unit.size();
  waiting_ = part.substr(keep);
  part.resize(keep);
  return part;
}

std::string EndStripper::finish() {
  std::string out = std::exchange(waiting_, {});
  if (!step_ || left_ > 0) return out;
  for (size_t i = 0; i < step_->at_end && out.ends_with(step_->content); ++i)
    out.resize(out.size() - step_->content.size());
  return out;
}

}  // namespace ingrain::tokenizer
