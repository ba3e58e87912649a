// A grammar of JSON texts as data: what may stand where. Built once for a request, walked by GrammarWalk.
#pragma once

#include "serve/grammar/json_number.h"

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ingrain::serve {

/// A place of the grammar: any of some forms may stand there.
using Slot = uint32_t;
constexpr uint32_t kNothing = std::numeric_limits<uint32_t>::max();

/// Words by their bytes; each has a value.
class WordTrie {
 public:
  /// Of equal words the first counts.
  void add(std::string_view word, uint32_t value);
  void add_all(const WordTrie& other);
  static constexpr uint32_t kRoot = 0;

  /// The node after `byte`, or kNothing.
  uint32_t next(uint32_t node, uint8_t byte) const;
  /// The value of the word that ends at `node`, or kNothing.
  uint32_t value(uint32_t node) const { return nodes_[node].value; }
  bool is_leaf(uint32_t node) const { return nodes_[node].edges.empty(); }
  /// Values of the words that begin as `node` does, rising (if they were added rising).
  std::span<const uint32_t> values_below(uint32_t node) const { return nodes_[node].below; }
  size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    uint32_t value = kNothing;
    std::vector<std::pair<uint8_t, uint32_t>> edges;
    std::vector<uint32_t> below;
  };
  uint32_t make_next(uint32_t node, uint8_t byte);

  std::vector<Node> nodes_ = std::vector<Node>(1);
};

/// One of some texts; after the one with value i stands then[i], where there is such an entry.
struct WordsForm {
  WordTrie words;
  std::vector<Slot> then = {};
};
struct StringForm {
  uint32_t min = 0, max = std::numeric_limits<uint32_t>::max();  // characters
};
/// Members in the order of `properties`, then those of other names.
struct ObjectForm {
  struct Property {
    std::string name;
    Slot value;
    bool required;
  };
  std::vector<Property> properties;
  Slot additional = kNothing;  // kNothing: no other names

  // Made by Grammar::finish():
  WordTrie names = {};                       // as written in JSON, with the closing quote; values are indices
  std::vector<uint64_t> hashes = {};         // JsonString::hash_of() the names, sorted
  std::vector<uint32_t> required_from = {};  // [i]: the first required property from i on, or properties.size()
};
struct ArrayForm {
  std::vector<Slot> prefix;
  Slot items = kNothing;  // after the prefix; kNothing: no more
  uint32_t min = 0, max = std::numeric_limits<uint32_t>::max();
};
/// One after the other. The text may end after parts[end]; from the last it goes on at the first if it loops.
struct SequenceForm {
  std::vector<Slot> parts;
  uint32_t end;
  bool loops = false;
};
/// A control token, which is no text.
struct TokenForm {
  int32_t id;
};
/// Any text, until this control token.
struct FreeForm {
  int32_t until;
};
using Form = std::variant<WordsForm, StringForm, NumberForm, ObjectForm, ArrayForm, SequenceForm, TokenForm, FreeForm>;

/// Build: slots(), add(), alias(), then finish(); after that it is immutable and thread-safe.
class Grammar {
 public:
  Slot slot();
  void add(Slot slot, Form form);
  /// What may stand at `other` may stand at `slot`. Circles are allowed.
  void alias(Slot slot, Slot other);
  size_t slots() const { return slots_.size(); }

  /// Makes the grammar ready, with `root` as the whole text. Leaves out what could never end (an object that requires
  /// itself). False if that is all. UsageError, beginning with `where`, if it is too large.
  bool finish(Slot root, const std::string& where);

  Slot root() const { return root_; }
  /// The control tokens that stand anywhere in it.
  std::span<const int32_t> control_tokens() const { return control_tokens_; }
  const Form& form(uint32_t id) const { return forms_[id]; }
  /// The forms of a slot, none of which is a dead end.
  std::span<const uint32_t> forms_at(Slot slot) const { return slots_[slot].forms; }
  bool possible(Slot slot) const { return slot != kNothing && !slots_[slot].forms.empty(); }
  /// Levels of nesting that a form needs at least.
  uint32_t height(uint32_t id) const { return heights_[id]; }
  uint32_t height_of(Slot slot) const { return slot == kNothing ? kNothing : slot_heights_[slot]; }

 private:
  struct Place {
    std::vector<uint32_t> forms;
    std::vector<Slot> aliases;
  };
  void flatten(const std::string& where);
  void find_heights();
  void leave_out_dead_ends();
  void join_words(const std::string& where);
  void prepare(ObjectForm& object);

  std::vector<Form> forms_;
  std::vector<Place> slots_;
  std::vector<uint32_t> heights_, slot_heights_;
  std::vector<int32_t> control_tokens_;
  Slot root_ = kNothing;
};

}  // namespace ingrain::serve
