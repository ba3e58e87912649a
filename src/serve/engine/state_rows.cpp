#include "serve/engine/state_rows.h"

#include "base/error.h"

#include <algorithm>
#include <cstring>

namespace ingrain::serve {
namespace {

constexpr int32_t kReadPart = -1, kWrittenPart = -2;

Root root_of(const StateRow& row) {
  const size_t cut = row.base.rfind('#');
  require(cut != row.base.npos && cut + 2 == row.base.size() && row.base[cut + 1] >= '0' && row.base[cut + 1] <= '2',
          "the store's state {} has the base '{}', which this version does not know", row.id, row.base);
  return {row.owner, row.base.substr(0, cut), static_cast<Learn>(row.base[cut + 1] - '0')};
}

void parse_tokens(const StateRow& row, Node& node) {
  std::vector<int32_t> all(row.tokens.size() / sizeof(int32_t));
  std::memcpy(all.data(), row.tokens.data(), all.size() * sizeof(int32_t));
  auto at = std::find_if(all.begin(), all.end(), [](int32_t token) { return token < 0; });
  node.tokens.assign(all.begin(), at);
  while (at != all.end()) {
    const bool whole = all.end() - at >= 2 && at[1] >= 0 && at[1] <= all.end() - at - 2 && at[0] >= kWrittenPart;
    require(whole, "the store's state {} is damaged: its tokens end amid a part", row.id);
    node.read.push_back({{at + 2, at + 2 + at[1]}, at[0] == kWrittenPart});
    at += 2 + at[1];
  }
}

}  // namespace

std::string name_of(const Root& root) { return root.base + '#' + std::to_string(static_cast<int>(root.learn)); }

TextHash hash_of(const StateRow& row) { return {row.length, row.hash_high, row.hash_low}; }

std::string serialized_tokens(std::span<const int32_t> tokens, const std::vector<ReadPart>& read) {
  std::vector<int32_t> all(tokens.begin(), tokens.end());
  for (const ReadPart& part : read) {
    all.insert(all.end(), {part.written ? kWrittenPart : kReadPart, static_cast<int32_t>(part.tokens.size())});
    all.insert(all.end(), part.tokens.begin(), part.tokens.end());
  }
  return {reinterpret_cast<const char*>(all.data()), all.size() * sizeof(int32_t)};
}

std::shared_ptr<Node> node_of(const StateRow& row, const NodePtr& parent) {
  auto out = std::make_shared<Node>();
  out->id = row.id;
  out->root = root_of(row);
  out->parent = parent;
  parse_tokens(row, *out);
  out->hash = hash_of(row);
  out->position = row.position;
  out->steps = row.steps;
  out->bytes = row.bytes;
  out->on_disk = row.has_file;
  out->in_records = true;
  return out;
}

StateRow row_of(const Node& node, const std::string& model) {
  StateRow out;
  out.id = node.id;
  out.owner = node.root.owner;
  out.base = name_of(node.root);
  out.model = model;
  out.length = node.hash.length;
  out.hash_high = node.hash.high;
  out.hash_low = node.hash.low;
  out.position = node.position;
  out.steps = node.steps;
  out.bytes = node.bytes;
  return out;
}

}  // namespace ingrain::serve
