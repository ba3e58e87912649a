// A tokenizer.json's "model".
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/json_parts.h"

namespace ingrain::tokenizer {
namespace {

void read_vocabulary(const Field& model, TokenizerSpec& spec) {
  const Field vocab = model.at("vocab");
  if (!vocab.json().is_object()) vocab.refuse("must be an object of tokens and ids");
  for (const auto& [written, value] : vocab.json().items()) {
    const auto id = static_cast<size_t>(vocab.member(written, value).integer(0, kMaxTokenId - 1));
    // Not `require`, which would make the names of a hundred thousand tokens that are right.
    if (written.empty()) fail("{}: the empty string is not a token", vocab.name());
    if (id >= spec.tokens.size()) spec.tokens.resize(id + 1);
    if (!spec.tokens[id].empty())
      fail("{}: '{}' and '{}' have the same id {}", vocab.name(), printable(spec.tokens[id]), printable(written), id);
    spec.tokens[id] = written;
  }
}

void read_merges(const Field& model, TokenizerSpec& spec) {
  for (const Field& entry : model.at("merges").elements()) {
    if (entry.json().is_string()) {
      const std::string text = entry.string();
      const size_t space = text.find(' ');
      if (space == text.npos || text.find(' ', space + 1) != text.npos)
        fail("{} is '{}'; two tokens with one space between them are expected", entry.name(), printable(text));
      spec.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
      continue;
    }
    const std::vector<Field> pair = entry.elements();
    if (pair.size() != 2) fail("{} has {} elements; two tokens are expected", entry.name(), pair.size());
    spec.merges.emplace_back(pair[0].string(), pair[1].string());
  }
}

void read_bpe(const Field& model, TokenizerSpec& spec) {
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    require(model.string(affix).value_or("").empty(), "{}: '{}' is set, which is not supported", model.name(), affix);
  if (const auto dropout = model.find("dropout"))
    require(dropout->json().is_number() && dropout->json().get<double>() == 0,
            "{}: dropout makes ids random; set it to null", dropout->name());
  spec.ignore_merges = model.boolean("ignore_merges").value_or(false);
  spec.fuse_unk = model.boolean("fuse_unk").value_or(false);
  spec.unk_token = model.string("unk_token");
  spec.byte_fallback = model.boolean("byte_fallback").value_or(false);
  require(!spec.byte_fallback || spec.alphabet == Alphabet::characters,
          "{}: 'byte_fallback' is set beside a ByteLevel pre-tokenizer, which leaves nothing to fall back from; set it "
          "to false",
          model.name());
  read_vocabulary(model, spec);
  read_merges(model, spec);
}

void read_unigram(const Field& model, TokenizerSpec& spec) {
  spec.model = ModelKind::unigram;
  spec.byte_fallback = model.boolean("byte_fallback").value_or(false);
  const std::vector<Field> vocab = model.at("vocab").elements();
  require(vocab.size() <= static_cast<size_t>(kMaxTokenId), "{}: 'vocab' has {} tokens; at most {} are accepted",
          model.name(), vocab.size(), kMaxTokenId);
  for (const Field& entry : vocab) {
    const std::vector<Field> pair = entry.elements();
    if (pair.size() != 2) fail("{} has {} elements; a token and its score are expected", entry.name(), pair.size());
    spec.tokens.push_back(pair[0].string());
    spec.scores.push_back(pair[1].number());
  }
  const auto unk = model.find("unk_id");
  if (!unk) return;
  const auto id = static_cast<size_t>(unk->integer(0, kMaxTokenId - 1));
  require(id < spec.tokens.size() && !spec.tokens[id].empty(), "{} is {}, which is not a token", unk->name(), id);
  spec.unk_token = spec.tokens[id];
}

}  // namespace

void read_model(const Field& model, TokenizerSpec& spec) {
  const auto vocab = model.find("vocab");
  const std::string type = model.string("type").value_or(vocab && vocab->json().is_array() ? "Unigram" : "BPE");
  require(type == "BPE" || type == "Unigram", "{} has the type '{}'; BPE and Unigram are supported", model.name(),
          printable(type));
  if (type == "BPE")
    read_bpe(model, spec);
  else
    read_unigram(model, spec);
}

}  // namespace ingrain::tokenizer
