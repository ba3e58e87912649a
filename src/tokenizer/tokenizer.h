// Text to token ids and back, by tokenizers as Hugging Face, tiktoken and GGUF files describe them.
// Ids are equal to those of PyPI's `tokenizers` and `tiktoken`; docs/tokenizers.md lists what is accepted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

struct EncodeOptions {
  bool add_special_tokens = false;  // put the file's template (a bos, say) around the text
  bool parse_special = true;        // special tokens written in the text become their ids; else plain text
  bool parse_added = true;          // false: no added token is looked for, whether special or not
  bool continues = false;           // the text goes on from another: no blank is put before it
};

/// Bytes [begin, end) of the text became this token.
struct TokenPlace {
  int32_t id;
  size_t begin, end;
  bool operator==(const TokenPlace&) const = default;
};

/// The texts of the files beside a tokenizer.json that have a say; "" where there is none.
struct FilesBeside {
  std::string_view config = {};              // tokenizer_config.json
  std::string_view special_tokens_map = {};  // special_tokens_map.json, which transformers wrote until 2023
  std::string_view added_tokens = {};        // added_tokens.json, likewise
};

/// Immutable and cheap to copy; every member is safe to call from many threads at once.
class Tokenizer {
 public:
  /// A Hugging Face tokenizer.json, or a folder that holds one, and the files beside it. bos and eos come from these;
  /// where they say nothing, from the template or well-known names. Error naming file and field for whatever is
  /// missing, malformed or not supported. `rows`: of added tokens with ids from there on there is no embedding, so that
  /// they are no tokens, with a warning.
  static Tokenizer load(const std::filesystem::path& path, int32_t rows = kMaxTokenId);
  /// The same from the text of a tokenizer.json. `source` names it in errors.
  static Tokenizer from_json(std::string_view json, const FilesBeside& beside, const std::string& source,
                             int32_t rows = kMaxTokenId);

  /// A tiktoken rank file: lines of a base64 token and its rank. `name` picks the split pattern and the special
  /// tokens: gpt2, r50k_base, cl100k_base, o200k_base, llama3; `special_tokens`, if not empty, replaces the latter.
  static Tokenizer load_tiktoken(const std::filesystem::path& path, std::string_view name,
                                 const std::map<std::string, int32_t>& special_tokens = {});

  /// From plain data. Error, beginning with spec.source, if it contradicts itself.
  explicit Tokenizer(const TokenizerSpec& spec);

  /// The ids of `text`. Invalid UTF-8 is kept byte for byte: every maximal run of invalid bytes is one piece of its
  /// own, and the text before and after is encoded as if it stood alone. Error beyond 2^31 - 1 bytes, or if the
  /// file's split pattern backtracks without end.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The same, with the place of each. Where a normalizer changed the text, a place is that of the characters from
  /// which the token was made; tokens that share a character have it both. What the template adds has an empty place.
  std::vector<TokenPlace> encode_with_places(std::string_view text, EncodeOptions options = {}) const;

  /// Whether the ids of a text are those of its parts, cut before a blank between two letters, if the later part
  /// `continues`. False where it is not known.
  bool words_stand_alone() const;

  /// The bytes of `ids`, exactly. Ids without a token (a model's vocabulary may be padded) give nothing. The blank that
  /// SentencePiece's tokenizers put before a text is taken away again, where the file says so.
  std::string decode_bytes(std::span<const int32_t> ids, bool skip_special = false) const;
  /// The same as valid UTF-8: each maximal invalid sequence is one U+FFFD.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  /// The tokens that are found in a text before it is cut, in the file's order.
  std::span<const AddedToken> added_tokens() const;

  /// The id of a token in its written form ("Ġthe") or of an added token ("<|endoftext|>").
  std::optional<int32_t> token_to_id(std::string_view written) const;
  /// The bytes that `id` stands for inside a text; empty for ids without a token. Valid as long as any copy of the
  /// tokenizer.
  std::string_view id_to_bytes(int32_t id) const;
  /// `id` in its written form; empty for ids without a token.
  std::string id_to_written(int32_t id) const;
  bool is_special(int32_t id) const;

  /// A checksum of all that decides ids: equal for tokenizers that give equal ids because they say the same.
  uint64_t fingerprint() const;

  /// The largest id, plus one.
  size_t vocab_size() const;
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  /// TokenizerSpec's members of these names.
  const NamedTokens& named_tokens() const;
  const std::optional<std::vector<std::string>>& chat_control_tokens() const;
  const std::vector<std::string>& warnings() const;

 private:
  friend class StreamDecoder;
  struct Data;
  std::shared_ptr<const Data> data_;
};

/// Decodes one id at a time and never gives out half a character: bytes wait until their character is whole.
/// The outputs of push() and finish() together equal Tokenizer::decode() of all ids. One thread at a time.
class StreamDecoder {
 public:
  /// `begins`: the ids begin a text; else they go on from one, and no blank is taken away.
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = false, bool begins = true);

  /// The text that `id` completes; often empty inside a long character.
  std::string push(int32_t id);
  /// U+FFFD if a character was begun and not finished, else empty. The decoder is then as new.
  std::string finish();

 private:
  friend class Tokenizer;
  std::string next_bytes(int32_t id);

  Tokenizer tokenizer_;
  bool skip_special_, begins_;
  bool at_beginning_;
  EndStripper ends_;
  std::string waiting_;  // at most three bytes: the beginning of a character
};

}  // namespace ingrain::tokenizer
