#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "base/checksum.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/vocabulary.h"
#include "tokenizer/word_cache.h"

namespace ingrain::tokenizer {
namespace {

// What one call of encode() needs while it runs; kept for the next call.
struct Workspace {
  RegexScratch regex;
  Bpe::Scratch bpe;
  WordCache words;
};

// Every field that decides ids, each string after its length, so that no two specs spell the same bytes.
uint64_t fingerprint_of(const TokenizerSpec& spec) {
  Checksum sum;
  const auto number = [&](int64_t value) { sum.update(&value, sizeof value); };
  const auto string = [&](const std::string& text) {
    number(static_cast<int64_t>(text.size()));
    sum.update(text.data(), text.size());
  };
  const auto list = [&](const auto& items, const auto& each) {
    number(static_cast<int64_t>(items.size()));
    for (const auto& item : items) each(item);
  };
  list(spec.tokens, string);
  list(spec.merges, [&](const auto& merge) {
    string(merge.first);
    string(merge.second);
  });
  list(spec.pre_tokenizer, [&](const PreTokenizerStep& step) {
    string(step.pattern);
    for (const int64_t value : {static_cast<int64_t>(step.kind), static_cast<int64_t>(step.behavior),
                                static_cast<int64_t>(step.invert), static_cast<int64_t>(step.dialect)})
      number(value);
  });
  list(spec.added_tokens, [&](const AddedToken& token) {
    string(token.content);
    for (const int64_t value : std::initializer_list<int64_t>{token.id, token.special, token.normalized, token.lstrip,
                                                              token.rstrip, token.single_word})
      number(value);
  });
  string(spec.unk_token.value_or(""));
  for (const int64_t value :
       std::initializer_list<int64_t>{spec.merges_by_rank, spec.ignore_merges, spec.fuse_unk,
                                      spec.normal_form ? static_cast<int64_t>(*spec.normal_form) : -1})
    number(value);
  list(spec.template_before, number);
  list(spec.template_after, number);
  return sum.value();
}

std::vector<AddedToken> select(const std::vector<AddedToken>& tokens, bool normalized, std::optional<NormalForm> form) {
  std::vector<AddedToken> out;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    out.push_back(token);
    if (normalized && form) out.back().content = normalize(token.content, *form);
  }
  return out;
}

}  // namespace

struct Tokenizer::Data {
  TokenizerSpec spec;  // without what vocabulary, bpe and pre_tokenizer hold
  Vocabulary vocabulary;
  Bpe bpe;
  PreTokenizer pre_tokenizer;
  AddedTokenFinder raw_finder, normalized_finder;
  uint64_t fingerprint;

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Workspace>> idle;

  explicit Data(const TokenizerSpec& full)
      : vocabulary(full),
        bpe(vocabulary.byte_tokens(), vocabulary.merges(full), vocabulary.unk(full), full.fuse_unk),
        pre_tokenizer(full.pre_tokenizer, full.source),
        raw_finder(select(full.added_tokens, false, {})),
        normalized_finder(select(full.added_tokens, true, full.normal_form)),
        fingerprint(fingerprint_of(full)) {
    spec.ignore_merges = full.ignore_merges;
    spec.added_tokens = full.added_tokens;
    spec.normal_form = full.normal_form;
    spec.template_before = full.template_before;
    spec.template_after = full.template_after;
    spec.bos = full.bos;
    spec.named_tokens = full.named_tokens;
    spec.chat_control_tokens = full.chat_control_tokens;
    spec.warnings = full.warnings;
    spec.eos = full.eos;
    for (const auto* ids : {&spec.template_before, &spec.template_after})
      for (const int32_t id : *ids)
        require(vocabulary.has(id), "{}: field 'post_processor' names id {}, which is not a token", full.source, id);
  }

  void encode_valid(std::string_view text, const EncodeOptions& options, Workspace& work,
                    std::vector<int32_t>& out) const;
  void encode_plain(std::string_view text, Workspace& work, std::vector<int32_t>& out) const;
  void encode_piece(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const;

  std::unique_ptr<Workspace> borrow() const {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        auto work = std::move(idle.back());
        idle.pop_back();
        return work;
      }
    }
    return std::make_unique<Workspace>();
  }
  void give_back(std::unique_ptr<Workspace> work) const {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(work));
  }
};

Tokenizer::Tokenizer(const TokenizerSpec& spec) : data_(std::make_shared<Data>(spec)) {}

void Tokenizer::Data::encode_piece(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const {
  const auto compute = [&](std::vector<int32_t>& ids) {
    if (spec.ignore_merges) {
      const auto whole = vocabulary.find_piece(piece);
      if (whole && !vocabulary.is_special(*whole)) return ids.push_back(*whole);
    }
    bpe.encode(piece, work.bpe, ids);
  };
  work.words.append(piece, out, compute);
}

void Tokenizer::Data::encode_plain(std::string_view text, Workspace& work, std::vector<int32_t>& out) const {
  pre_tokenizer.split(text, work.regex, [&](std::string_view piece) { encode_piece(piece, work, out); });
}

// The order is the published one: tokens of the raw text; the rest is normalized; tokens of the normalized text;
// the rest is cut into pieces.
void Tokenizer::Data::encode_valid(std::string_view text, const EncodeOptions& options, Workspace& work,
                                   std::vector<int32_t>& out) const {
  const Wanted wanted = !options.parse_added ? Wanted::none : options.parse_special ? Wanted::all : Wanted::ordinary;
  for (const auto& raw : raw_finder.split(text, wanted)) {
    if (raw.id >= 0) {
      out.push_back(raw.id);
      continue;
    }
    std::string_view plain = text.substr(raw.begin, raw.end - raw.begin);
    std::string normalized;
    if (spec.normal_form) plain = normalized = normalize(plain, *spec.normal_form);
    for (const auto& segment : normalized_finder.split(plain, wanted)) {
      if (segment.id >= 0) {
        out.push_back(segment.id);
      } else {
        encode_plain(plain.substr(segment.begin, segment.end - segment.begin), work, out);
      }
    }
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  require(text.size() <= static_cast<size_t>(std::numeric_limits<int32_t>::max()),
          "a text of {} bytes is too long for one call of the tokenizer; split it at line ends", text.size());
  std::vector<int32_t> out;
  if (options.add_special_tokens) out = data_->spec.template_before;
  std::unique_ptr<Workspace> work = data_->borrow();
  for (size_t i = 0; i < text.size();) {
    if (const size_t valid = valid_utf8_length(text, i)) {
      data_->encode_valid(text.substr(i, valid), options, *work, out);
      i += valid;
    }
    size_t end = i;
    while (end < text.size()) {
      const Utf8Step step = utf8_step(text, end);
      if (step.kind == Utf8::valid) break;
      end += step.length;
    }
    if (end > i) data_->encode_piece(text.substr(i, end - i), *work, out);
    i = end;
  }
  data_->give_back(std::move(work));
  if (options.add_special_tokens)
    out.insert(out.end(), data_->spec.template_after.begin(), data_->spec.template_after.end());
  return out;
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  for (const int32_t id : ids)
    if (!skip_special || !is_special(id)) out += id_to_bytes(id);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return utf8_lossy(decode_bytes(ids, skip_special));
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view written) const {
  return data_->vocabulary.find_written(written);
}
std::string_view Tokenizer::id_to_bytes(int32_t id) const { return data_->vocabulary.bytes(id); }
bool Tokenizer::is_special(int32_t id) const { return data_->vocabulary.is_special(id); }
std::span<const AddedToken> Tokenizer::added_tokens() const { return data_->spec.added_tokens; }
size_t Tokenizer::vocab_size() const { return data_->vocabulary.size(); }
uint64_t Tokenizer::fingerprint() const { return data_->fingerprint; }
std::optional<int32_t> Tokenizer::bos() const { return data_->spec.bos; }
std::optional<int32_t> Tokenizer::eos() const { return data_->spec.eos; }
const NamedTokens& Tokenizer::named_tokens() const { return data_->spec.named_tokens; }
const std::optional<std::vector<std::string>>& Tokenizer::chat_control_tokens() const {
  return data_->spec.chat_control_tokens;
}
const std::vector<std::string>& Tokenizer::warnings() const { return data_->spec.warnings; }

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  waiting_ += tokenizer_.id_to_bytes(id);
  // Everything but a trailing truncated character is ready.
  size_t ready = 0;
  while (ready < waiting_.size()) {
    const Utf8Step step = utf8_step(waiting_, ready);
    if (step.kind == Utf8::truncated) break;
    ready += step.length;
  }
  std::string out = utf8_lossy(std::string_view(waiting_).substr(0, ready));
  waiting_.erase(0, ready);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out = utf8_lossy(waiting_);
  waiting_.clear();
  return out;
}

}  // namespace ingrain::tokenizer
