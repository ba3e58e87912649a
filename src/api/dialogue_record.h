// What a dialogue has read and what undo() needs of each exchange; as JSON for Dialogue::state().
#pragma once

#include "ingrain/memory.h"

#include <nlohmann/json.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

/// How a token was read: to read it again is to read it so, whatever has been chosen since. passed_over: it counted in
/// no loss, being the model's own under Learn::input. unlearnt: no steps were made.
enum class HowRead : uint8_t { learnt, passed_over, unlearnt };
constexpr uint8_t kHowReads = 3;

/// The tokens read since the dialogue began.
struct TokenLog {
  std::vector<int32_t> tokens;
  std::vector<HowRead> how;
  int64_t dropped = 0;  // tokens that were read and are no longer part of it

  bool operator==(const TokenLog&) const = default;
  size_t size() const { return tokens.size(); }
  void add(std::span<const int32_t> more, HowRead how_read);
  void append(const TokenLog& more);
  void cut(size_t count);
  void forget_first(size_t count);
  /// How many tokens both begin with, read in the same way.
  size_t common(const TokenLog& other) const;
};

/// An exchange, as what was before it: by what that does not share with what came after, so that a long conversation
/// keeps no copy of itself for each.
struct Exchange {
  std::shared_ptr<const Memory> memory;  // none: to be read again
  size_t same_tokens, same_messages;
  TokenLog log;                     // its tokens are those after the same ones
  nlohmann::ordered_json messages;  // those after the same ones
  bool open;                        // whether the answer before it was ended by a limit
};

/// All of a dialogue but its memory. Messages are chat::Conversation::marked_messages().
struct DialogueRecord {
  std::string model;  // its fingerprint
  int64_t base = 0;   // the memory's position when the dialogue began
  bool open = false;
  nlohmann::ordered_json messages;
  TokenLog log;
  std::vector<Exchange> exchanges;
};

std::string to_json(const DialogueRecord& record);
/// Error for what to_json() did not write. Copies of memories are not part of it.
DialogueRecord parse_dialogue_record(std::string_view text);

}  // namespace ingrain
