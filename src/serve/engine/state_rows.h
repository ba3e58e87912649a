// States as rows of the store.
#pragma once

#include "serve/engine/node.h"
#include "serve/store/records.h"

#include <span>

namespace ingrain::serve {

/// A root without its owner, as it is hashed and stored: "BASE#LEARN".
std::string name_of(const Root& root);

TextHash hash_of(const StateRow& row);

/// A row's tokens: int32, little endian, those of the text; then, if something else was read, or in another way, each
/// part of that after a number which no token has and the count of its tokens.
std::string serialized_tokens(std::span<const int32_t> tokens, const std::vector<ReadPart>& read);

/// The state of a row, which is in the store and not in RAM. Error, naming the state, for what this version did not
/// write.
std::shared_ptr<Node> node_of(const StateRow& row, const NodePtr& parent);

/// A row without its tokens and what they follow on.
StateRow row_of(const Node& node, const std::string& model);

}  // namespace ingrain::serve
