#include "serve/engine/node.h"

namespace ingrain::serve {

// Not by recursion: a conversation's states may be more than a stack has room for.
Node::~Node() {
  thread_local std::vector<NodePtr>* ending = nullptr;  // of the outermost call
  if (!parent) return;
  if (ending) {
    ending->push_back(std::move(parent));
    return;
  }
  std::vector<NodePtr> mine;
  mine.push_back(std::move(parent));
  ending = &mine;
  while (!mine.empty()) {
    const NodePtr next = std::move(mine.back());
    mine.pop_back();
  }
  ending = nullptr;
}

std::vector<int32_t> Node::text() const {
  std::vector<const Node*> chain;
  for (const Node* node = this; node; node = node->parent.get()) chain.push_back(node);
  std::vector<int32_t> out;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node)
    out.insert(out.end(), (*node)->tokens.begin(), (*node)->tokens.end());
  return out;
}

int64_t Node::tokens_read() const {
  int64_t out = 0;
  for (const Node* node = this; node; node = node->parent.get()) {
    if (node->read.empty()) out += std::ssize(node->tokens);
    for (const ReadPart& part : node->read) out += std::ssize(part.tokens);
  }
  return out;
}

std::vector<ReadPart> Node::read_since(const Node* earlier) const {
  std::vector<const Node*> chain;
  for (const Node* node = this; node && node != earlier; node = node->parent.get()) chain.push_back(node);
  std::vector<ReadPart> out;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node) {
    if (!(*node)->read.empty())
      out.insert(out.end(), (*node)->read.begin(), (*node)->read.end());
    else if (!(*node)->tokens.empty())
      out.push_back({(*node)->tokens});
  }
  return out;
}

}  // namespace ingrain::serve
