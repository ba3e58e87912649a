// JSON Schema as a constraint over tokens. What is supported: docs/serving-json.md.
#pragma once

#include "serve/grammar/constraint.h"
#include "serve/grammar/grammar.h"
#include "serve/grammar/token_trie.h"

#include <nlohmann/json.hpp>

#include <string>

namespace ingrain::serve {

/// Texts that are JSON and satisfy `schema`; of null, any JSON object. clone() it for every text. UsageError for what
/// is not supported, contradictory or too large, with its path in the schema after `where`:
/// "response_format.json_schema.schema.properties.age.pattern: is not supported; leave it out".
std::shared_ptr<const Constraint> json_constraint(const nlohmann::ordered_json& schema,
                                                  std::shared_ptr<const TokenTrie> trie,
                                                  const std::string& where = "response_format.json_schema.schema");

/// Adds to `grammar` what `schema` says, and returns its place. Several schemas of one grammar share its limits.
Slot add_json_schema(Grammar& grammar, const nlohmann::ordered_json& schema, const std::string& where);

}  // namespace ingrain::serve
