#include "tokenizer/fingerprint.h"

#include <initializer_list>

#include "base/checksum.h"

namespace ingrain::tokenizer {
namespace {

/// Each string after its length, so that no two specs spell the same bytes.
class SpecSum {
 public:
  void number(int64_t value) { sum_.update(&value, sizeof value); }
  void numbers(std::initializer_list<int64_t> values) {
    for (const int64_t value : values) number(value);
  }
  void string(const std::string& text) {
    number(static_cast<int64_t>(text.size()));
    sum_.update(text.data(), text.size());
  }
  template <class Items, class Each>
  void list(const Items& items, const Each& each) {
    number(static_cast<int64_t>(items.size()));
    for (const auto& item : items) each(item);
  }
  uint64_t value() const { return sum_.value(); }

 private:
  Checksum sum_;
};

bool is_one_form(const TokenizerSpec& spec) {
  return spec.normalizer.size() == 1 && spec.normalizer[0].kind == NormalizerStep::Kind::form;
}

void add_step(const PreTokenizerStep& step, SpecSum& sum) {
  sum.string(step.pattern);
  sum.numbers({static_cast<int64_t>(step.kind), static_cast<int64_t>(step.behavior), step.invert,
               static_cast<int64_t>(step.dialect)});
  if (step.kind == PreTokenizerStep::Kind::metaspace) sum.numbers({static_cast<int64_t>(step.prepend), step.split});
}

/// What byte-level BPE with one normal form at most does not have.
void add_the_rest(const TokenizerSpec& spec, SpecSum& sum) {
  if (!spec.normalizer.empty() && !is_one_form(spec))
    sum.list(spec.normalizer, [&](const NormalizerStep& step) {
      sum.numbers({static_cast<int64_t>(step.kind), static_cast<int64_t>(step.form), step.left, step.right});
      sum.string(step.pattern);
      sum.string(step.content);
    });
  if (spec.alphabet == Alphabet::bytes) return;
  sum.numbers({static_cast<int64_t>(spec.alphabet), static_cast<int64_t>(spec.model), spec.merges_by_score,
               spec.byte_fallback});
  sum.list(spec.scores, [&](double score) { sum.string(std::string(reinterpret_cast<const char*>(&score), 8)); });
}

}  // namespace

uint64_t fingerprint_of(const TokenizerSpec& spec) {
  SpecSum sum;
  sum.list(spec.tokens, [&](const std::string& token) { sum.string(token); });
  sum.list(spec.merges, [&](const auto& merge) {
    sum.string(merge.first);
    sum.string(merge.second);
  });
  sum.list(spec.pre_tokenizer, [&](const PreTokenizerStep& step) { add_step(step, sum); });
  sum.list(spec.added_tokens, [&](const AddedToken& token) {
    sum.string(token.content);
    sum.numbers({token.id, token.special, token.normalized, token.lstrip, token.rstrip, token.single_word});
  });
  sum.string(spec.unk_token.value_or(""));
  sum.numbers({spec.merges_by_rank, spec.ignore_merges, spec.fuse_unk,
               is_one_form(spec) ? static_cast<int64_t>(spec.normalizer[0].form) : -1});
  sum.list(spec.template_before, [&](int32_t id) { sum.number(id); });
  sum.list(spec.template_after, [&](int32_t id) { sum.number(id); });
  add_the_rest(spec, sum);
  return sum.value();
}

}  // namespace ingrain::tokenizer
