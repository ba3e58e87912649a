// One text's way through a grammar: a pushdown over bytes, and from it the mask over tokens.
#pragma once

#include "serve/grammar/constraint.h"
#include "serve/grammar/grammar.h"
#include "serve/grammar/json_string.h"
#include "serve/grammar/token_trie.h"

namespace ingrain::serve {

/// Several readings of the text so far may be possible (anyOf); all are followed, up to a number that no ordinary
/// schema comes near; none that is followed is a dead end. White space is what people and json.dumps write, and
/// bounded: after a colon a blank, after a comma or a bracket a blank or a new line with an indentation, before a
/// closing bracket a new line with one. Nested beyond 64 levels, only what must be is written.
class GrammarWalk final : public Constraint {
 public:
  /// REQUIRES: `grammar` is finished.
  GrammarWalk(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  void allow(std::span<uint64_t> bits) override;
  bool may_end() const override;
  bool complete() const override;
  /// Error for a token that is not allowed.
  void accept(int32_t token) override;
  std::unique_ptr<Constraint> clone() const override { return std::make_unique<GrammarWalk>(*this); }

  /// Goes on by bytes, whatever the tokens. False, and nothing has changed, if they cannot come next.
  bool accept_bytes(std::string_view bytes);

 private:
  static constexpr uint16_t kDeep = 64;  // beyond, only what must be is written
  using At = uint32_t;                   // index in frames_
  using Threads = std::vector<At>;

  /// What is begun and not ended. Never changed: going on makes a new one, so that threads share what is below.
  struct Frame {
    enum class Kind : uint8_t { end, words, string, key, number, object, array, sequence, free, used };
    /// of objects and arrays; the others have their own
    enum class Phase : uint8_t { opened, name, colon, value, next, after };
    uint32_t form = 0;
    At below = 0;  // what it stands in; used: the one used before
    Kind kind = Kind::end;
    Phase phase = Phase::opened;
    uint8_t blanks = 0;      // white space just read
    uint16_t depth = 0;      // objects and arrays below
    uint32_t count = 0;      // array: items begun; object: properties passed; sequence: parts begun
    uint32_t node = 0;       // words, object in a name: in its trie; object after a name: the property, or kNothing
    At used = 0;             // object: names written beyond the properties, a chain; 0: none
    JsonString string = {};  // string, key; used: its hash
    JsonNumber number = {};
  };

  At push(const Frame& frame);
  void step(At at, uint8_t byte, Threads& out);
  void step_words(const Frame& frame, uint8_t byte, Threads& out);
  void step_string(const Frame& frame, uint8_t byte, Threads& out);
  void step_number(const Frame& frame, uint8_t byte, Threads& out);
  void step_object(const Frame& frame, uint8_t byte, Threads& out);
  void step_object_name(Frame frame, bool first, uint8_t byte, Threads& out);
  void step_array(const Frame& frame, uint8_t byte, Threads& out);
  void step_key(const Frame& frame, uint8_t byte, Threads& out);
  /// `slot` begins with `byte`, in `below`.
  void begin(Slot slot, At below, uint16_t depth, uint8_t byte, Threads& out);
  void begin_form(uint32_t form, At below, uint16_t depth, uint8_t byte, Threads& out);
  /// What stood in `below` has ended.
  void ended(At below, Threads& out);
  void control(At at, int32_t token, Threads& out);

  bool has_next_property(const Frame& frame, const ObjectForm& object, uint32_t node) const;
  bool has_next_name(const Frame& frame, const ObjectForm& object) const;
  bool may_have_more(const Frame& frame, const ArrayForm& array) const;
  bool is_used(const Frame& object, const ObjectForm& form, uint64_t hash) const;
  bool equal(At a, At b) const;
  void tidy(Threads& threads, size_t begin, size_t most) const;
  /// All readings after `bytes`, of one thread. The same whoever asks: allow() and accept() must agree.
  Threads after(At thread, std::string_view bytes);
  void allow_thread(At thread, std::span<uint64_t> bits);
  void walk(std::span<const TokenTrie::Node> nodes, At thread, std::span<uint64_t> bits);
  void settle(Threads threads);
  void forget_unreachable();

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> trie_;
  std::vector<Frame> frames_;  // [0]: the end of the text, where nothing follows
  Threads threads_;
  size_t reachable_ = 0;  // frames when last they were tidied
};

}  // namespace ingrain::serve
