// Texts against a grammar, and random texts out of one.
#pragma once

#include "base/files.h"
#include "serve/grammar/json_schema.h"
#include "serve/grammar/walk.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <optional>
#include <random>

namespace ingrain::serve {

inline tokenizer::Tokenizer fixture_tokenizer(const std::string& name) {
  return tokenizer::Tokenizer::load(std::string(INGRAIN_TEST_FIXTURES) + "/tokenizers/" + name);
}

/// A model's own, from the repository's models.
inline tokenizer::Tokenizer model_tokenizer(const std::string& name) {
  return tokenizer::Tokenizer::load(std::string(INGRAIN_TEST_FIXTURES) + "/../../models/" + name);
}

inline std::vector<uint64_t> mask_of(Constraint& walk, const TokenTrie& trie) {
  std::vector<uint64_t> bits((trie.vocab_size() + 63) / 64, 0xAAAAAAAAAAAAAAAA);  // all are to be set anew
  walk.allow(bits);
  return bits;
}

inline std::vector<int32_t> ids_of(std::span<const uint64_t> bits) {
  std::vector<int32_t> out;
  for (size_t word = 0; word < bits.size(); ++word)
    for (uint64_t left = bits[word]; left; left &= left - 1)
      out.push_back(static_cast<int32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
  return out;
}

/// Whether the text of these tokens is allowed token by token, and may end there.
inline bool takes(const Constraint& constraint, const TokenTrie& trie, std::span<const int32_t> tokens) {
  const auto walk = constraint.clone();
  for (const int32_t token : tokens) {
    if (!has_bit(mask_of(*walk, trie), token)) return false;
    walk->accept(token);
  }
  return walk->may_end();
}

inline bool takes_bytes(const Constraint& constraint, std::string_view text) {
  const auto walk = constraint.clone();
  return dynamic_cast<GrammarWalk&>(*walk).accept_bytes(text) && walk->may_end();
}

/// A token that closes something, if there is one. Within a string a quote does, and brackets are text.
inline std::optional<int32_t> closing(std::span<const int32_t> ids, const TokenTrie& trie) {
  std::map<std::string_view, int32_t> found;
  for (const int32_t id : ids)
    if (const auto bytes = trie.bytes(id); bytes == "\"" || bytes == "}" || bytes == "]") found[bytes] = id;
  if (found.empty()) return std::nullopt;
  return found.size() == 3 ? found["\""] : found.rbegin()->second;
}

/// A random text that the mask allows. After `hurry` tokens it looks for its end; "" if it is not found.
inline std::string random_text(const Constraint& constraint, const TokenTrie& trie, std::mt19937_64& random,
                               int hurry) {
  const auto walk = constraint.clone();
  std::string out;
  for (int i = 0; i < hurry + 3000; ++i) {
    if (walk->complete() || (walk->may_end() && (i > hurry || random() % 8 == 0))) return out;
    const std::vector<int32_t> ids = ids_of(mask_of(*walk, trie));
    if (ids.empty() && walk->may_end()) return out;
    if (ids.empty()) {
      ADD_FAILURE() << "a dead end after: " << out;
      return {};
    }
    int32_t id = ids[random() % ids.size()];
    if (i > hurry || random() % 3 == 0) id = closing(ids, trie).value_or(id);
    walk->accept(id);
    out += trie.bytes(id);
  }
  return {};
}

}  // namespace ingrain::serve
