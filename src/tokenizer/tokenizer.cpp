#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/fingerprint.h"
#include "tokenizer/model.h"
#include "tokenizer/pre_tokenizer.h"

namespace ingrain::tokenizer {
namespace {

struct Encoded {
  std::vector<int32_t> ids;
  std::vector<TokenPlace>* places = nullptr;  // filled if it is there
  std::vector<uint32_t> lengths = {};         // of the newest tokens

  void add(int32_t id, size_t begin, size_t end) {
    ids.push_back(id);
    if (places) places->push_back({id, begin, end});
  }
};

std::vector<AddedToken> select(const std::vector<AddedToken>& tokens, bool normalized, const Normalizer& normalizer) {
  std::vector<AddedToken> out;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    out.push_back(token);
    if (normalized) out.back().content = normalizer.normalize(token.content);
  }
  return out;
}

/// Whether words keep their ids whatever stands before or behind them, apart from what the model does.
bool normalizes_word_by_word(const TokenizerSpec& spec) {
  using Kind = NormalizerStep::Kind;
  return std::none_of(spec.normalizer.begin(), spec.normalizer.end(), [](const NormalizerStep& step) {
    return step.kind == Kind::strip || (step.kind == Kind::replace_regex && step.pattern != " {2,}");
  });
}

bool makes_signs_of_blanks(const TokenizerSpec& spec) {
  return std::any_of(spec.normalizer.begin(), spec.normalizer.end(),
                     [](const NormalizerStep& step) {
                       return step.kind == NormalizerStep::Kind::replace && step.pattern == " " &&
                              step.content == kBlankSign;
                     }) ||
         std::any_of(spec.pre_tokenizer.begin(), spec.pre_tokenizer.end(), [](const PreTokenizerStep& step) {
           return step.kind == PreTokenizerStep::Kind::metaspace && step.pattern == kBlankSign;
         });
}

bool stand_alone(const TokenizerSpec& spec, const Model& model, const Normalizer& normalizer) {
  // A token that begins with a blank looks at what stands before it.
  const bool looks_back = std::any_of(spec.added_tokens.begin(), spec.added_tokens.end(), [&](const AddedToken& token) {
    const std::string content = token.normalized ? normalizer.normalize(token.content) : token.content;
    return token.single_word && (content.starts_with(' ') || content.starts_with(kBlankSign));
  });
  if (looks_back || !normalizes_word_by_word(spec)) return false;
  if (spec.alphabet == Alphabet::bytes) return true;
  const bool split = std::any_of(
      spec.pre_tokenizer.begin(), spec.pre_tokenizer.end(),
      [](const PreTokenizerStep& step) { return step.kind == PreTokenizerStep::Kind::metaspace && step.split; });
  return split || (model.parts_words() && makes_signs_of_blanks(spec));
}

}  // namespace

struct Tokenizer::Data {
  /// What one call of encode() needs while it runs; kept for the next call.
  struct Workspace {
    RegexScratch regex;
    Model::Scratch model;
  };

  TokenizerSpec spec;  // without what the other members hold
  Decoder decoder;
  Normalizer normalizer;
  Vocabulary vocabulary;
  Model model;
  PreTokenizer pre_tokenizer;
  AddedTokenFinder raw_finder, normalized_finder;
  uint64_t fingerprint;
  bool words_stand_alone;

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Workspace>> idle;

  explicit Data(const TokenizerSpec& full)
      : decoder(full.decoder),
        normalizer(full.normalizer, full.source),
        vocabulary(full, decoder, normalizer),
        model(full, vocabulary),
        pre_tokenizer(full.pre_tokenizer, full.source),
        raw_finder(select(full.added_tokens, false, normalizer)),
        normalized_finder(select(full.added_tokens, true, normalizer)),
        fingerprint(fingerprint_of(full)),
        words_stand_alone(stand_alone(full, model, normalizer)) {
    spec.alphabet = full.alphabet;
    spec.added_tokens = full.added_tokens;
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

  void encode(std::string_view text, const EncodeOptions& options, Encoded& out) const;
  void encode_valid(std::string_view text, size_t at, const EncodeOptions& options, Workspace& work,
                    Encoded& out) const;
  void encode_normalized(const TrackedText& text, bool first, const EncodeOptions& options, Workspace& work,
                         Encoded& out) const;
  void encode_plain(const PreTokenizer::Fragment& fragment, Workspace& work, Encoded& out) const;
  void encode_piece(std::string_view piece, const Origin* origins, Workspace& work, Encoded& out) const;

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

namespace {

Wanted wanted_by(const EncodeOptions& options) {
  return !options.parse_added ? Wanted::none : options.parse_special ? Wanted::all : Wanted::ordinary;
}

}  // namespace

Tokenizer::Tokenizer(const TokenizerSpec& spec) : data_(std::make_shared<Data>(spec)) {}

void Tokenizer::Data::encode_piece(std::string_view piece, const Origin* origins, Workspace& work, Encoded& out) const {
  if (!out.places) return model.encode(piece, work.model, out.ids);
  const size_t before = out.ids.size();
  out.lengths.clear();
  model.encode(piece, work.model, out.ids, out.lengths);
  size_t at = 0;
  for (size_t i = 0; i < out.lengths.size(); ++i) {
    const size_t end = at + out.lengths[i];
    out.places->push_back({out.ids[before + i], origins[at].begin, origins[end - 1].end});
    at = end;
  }
}

void Tokenizer::Data::encode_plain(const PreTokenizer::Fragment& fragment, Workspace& work, Encoded& out) const {
  pre_tokenizer.split(fragment, work.regex,
                      [&](std::string_view piece, const Origin* origins) { encode_piece(piece, origins, work, out); });
}

// The order is the published one: tokens of the raw text; the rest is normalized; tokens of the normalized text;
// the rest is cut into pieces. `at`: where `text` begins in the whole.
void Tokenizer::Data::encode_valid(std::string_view text, size_t at, const EncodeOptions& options, Workspace& work,
                                   Encoded& out) const {
  for (const auto& raw : raw_finder.split(text, wanted_by(options))) {
    if (raw.id >= 0) {
      out.add(raw.id, at + raw.begin, at + raw.end);
      continue;
    }
    const std::string_view plain = text.substr(raw.begin, raw.end - raw.begin);
    EncodeOptions here = options;
    // What stands behind an added token begins anew; what stands behind invalid bytes, by characters, goes on.
    here.continues = raw.begin == 0 && (at == 0 ? options.continues : spec.alphabet == Alphabet::characters);
    const bool first = at + raw.begin == 0 && !options.continues;
    if (normalizer.empty() && !out.places && normalized_finder.empty()) {
      encode_plain({plain, nullptr, first, here.continues}, work, out);
      continue;
    }
    TrackedText tracked(plain, out.places != nullptr, at + raw.begin);
    normalizer.apply(tracked, work.regex, here.continues);
    encode_normalized(tracked, first, here, work, out);
  }
}

void Tokenizer::Data::encode_normalized(const TrackedText& text, bool first, const EncodeOptions& options,
                                        Workspace& work, Encoded& out) const {
  const Origin* const origins = text.tracked ? text.origins.data() : nullptr;
  for (const auto& segment : normalized_finder.split(text.text, wanted_by(options))) {
    if (segment.id >= 0) {
      if (origins)
        out.add(segment.id, origins[segment.begin].begin, origins[segment.end - 1].end);
      else
        out.ids.push_back(segment.id);
      continue;
    }
    const bool at_beginning = segment.begin == 0;
    encode_plain({std::string_view(text.text).substr(segment.begin, segment.end - segment.begin),
                  origins ? origins + segment.begin : nullptr, first && at_beginning && text.keeps_beginning,
                  options.continues && at_beginning},
                 work, out);
  }
}

void Tokenizer::Data::encode(std::string_view text, const EncodeOptions& options, Encoded& out) const {
  require(text.size() <= static_cast<size_t>(std::numeric_limits<int32_t>::max()),
          "a text of {} bytes is too long for one call of the tokenizer; split it at line ends", text.size());
  if (options.add_special_tokens)
    for (const int32_t id : spec.template_before) out.add(id, 0, 0);
  std::unique_ptr<Workspace> work = borrow();
  for (size_t i = 0; i < text.size();) {
    if (const size_t valid = valid_utf8_length(text, i)) {
      encode_valid(text.substr(i, valid), i, options, *work, out);
      i += valid;
    }
    size_t end = i;
    while (end < text.size()) {
      const Utf8Step step = utf8_step(text, end);
      if (step.kind == Utf8::valid) break;
      end += step.length;
    }
    if (end > i) {
      const TrackedText invalid(text.substr(i, end - i), out.places != nullptr, i);
      encode_piece(invalid.text, invalid.origins.data(), *work, out);
    }
    i = end;
  }
  give_back(std::move(work));
  if (options.add_special_tokens)
    for (const int32_t id : spec.template_after) out.add(id, text.size(), text.size());
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  Encoded out;
  data_->encode(text, options, out);
  return std::move(out.ids);
}

std::vector<TokenPlace> Tokenizer::encode_with_places(std::string_view text, EncodeOptions options) const {
  std::vector<TokenPlace> places;
  Encoded out{.ids = {}, .places = &places};
  data_->encode(text, options, out);
  return places;
}

bool Tokenizer::words_stand_alone() const { return data_->words_stand_alone; }

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, bool skip_special) const {
  StreamDecoder decoder(*this, skip_special);
  std::string out;
  for (const int32_t id : ids) out += decoder.next_bytes(id);
  return out + decoder.ends_.finish();
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return utf8_lossy(decode_bytes(ids, skip_special));
}

std::string Tokenizer::id_to_written(int32_t id) const {
  std::string surface(data_->vocabulary.surface(id));
  if (data_->spec.alphabet == Alphabet::characters) return surface;
  const auto added = std::find_if(data_->spec.added_tokens.begin(), data_->spec.added_tokens.end(),
                                  [id](const AddedToken& token) { return token.id == id; });
  return added != data_->spec.added_tokens.end() ? added->content : write_bytes(surface);
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

// -- one id at a time -----------------------------------------------------------------------------------------

StreamDecoder::StreamDecoder(Tokenizer tokenizer, bool skip_special, bool begins)
    : tokenizer_(std::move(tokenizer)),
      skip_special_(skip_special),
      begins_(begins),
      at_beginning_(begins),
      ends_(tokenizer_.data_->decoder.text_ends(), begins) {}

std::string StreamDecoder::next_bytes(int32_t id) {
  const Tokenizer::Data& data = *tokenizer_.data_;
  if ((skip_special_ && data.vocabulary.is_special(id)) || !data.vocabulary.has(id)) return {};
  const bool first = std::exchange(at_beginning_, false);
  if (first && data.decoder.first_differs()) return ends_.push(data.decoder.first_token(data.vocabulary.surface(id)));
  return ends_.push(std::string(data.vocabulary.bytes(id)));
}

std::string StreamDecoder::push(int32_t id) {
  waiting_ += next_bytes(id);
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
  std::string out = utf8_lossy(waiting_ + ends_.finish());
  waiting_.clear();
  at_beginning_ = begins_;
  ends_ = EndStripper(tokenizer_.data_->decoder.text_ends(), begins_);
  return out;
}

}  // namespace ingrain::tokenizer
