#include "tokenizer/files_beside.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ingrain::tokenizer {
namespace {

using Json = nlohmann::json;
constexpr size_t kMaxAddedBytes = 4096;
// Each also with "Fast".
constexpr std::string_view kByteLevelClasses[] = {"CodeGenTokenizer", "CohereTokenizer", "GPT2Tokenizer",
                                                  "GPTNeoXTokenizer", "Qwen2Tokenizer",  "Qwen3_5Tokenizer",
                                                  "RobertaTokenizer"};
constexpr std::string_view kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};

bool is_role(std::string_view name) {
  return std::find(std::begin(kRoles), std::end(kRoles), name) != std::end(kRoles);
}

// An object's members in the order of the file, which numbers tokens that have no ids yet.
class Members {
 public:
  Members() = default;
  Members(std::string_view text, const std::string& source) {
    if (text.empty()) return;
    Json document = parse_json(text, source);
    if (!document.is_object()) Field(document, source).refuse("must be an object");
    const nlohmann::ordered_json ordered = nlohmann::ordered_json::parse(text);
    for (const auto& [name, value] : ordered.items()) {
      set(name, document[name]);
      if (value.is_object())
        for (const auto& [inner, ignored] : value.items()) inner_[name].push_back(inner);
    }
  }

  const Json* find(std::string_view name) const {
    const auto entry = places_.find(name);
    return entry == places_.end() ? nullptr : &list_[entry->second].second;
  }
  bool says_something(std::string_view name) const {
    const Json* value = find(name);
    return value && !value->is_null() && !value->empty();
  }
  bool says_null(std::string_view name) const {
    const Json* value = find(name);
    return value && value->is_null();
  }
  void set(const std::string& name, Json value) {
    const auto [entry, is_new] = places_.try_emplace(name, list_.size());
    if (is_new)
      list_.emplace_back(name, std::move(value));
    else
      list_[entry->second].second = std::move(value);
  }
  /// The names of an object's own members, in the order of the file.
  std::vector<std::string> inner(const std::string& name) const {
    const auto entry = inner_.find(name);
    return entry == inner_.end() ? std::vector<std::string>() : entry->second;
  }
  void set_inner(const std::string& name, std::vector<std::string> inner) { inner_[name] = std::move(inner); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  std::vector<std::pair<std::string, Json>> list_;
  std::map<std::string, size_t, std::less<>> places_;
  std::map<std::string, std::vector<std::string>> inner_;
};

/// A token written as its text, or as an object with a content.
const std::string* content_of(const Json& value) {
  if (value.is_string()) return value.get_ptr<const std::string*>();
  if (!value.is_object() || !value.contains("content") || !value["content"].is_string()) return nullptr;
  return value["content"].get_ptr<const std::string*>();
}

class Reader {
 public:
  Reader(const FilesBeside& files, TokenizerSpec& spec) : spec_(spec) {
    config_ = Members(files.config, where("tokenizer_config.json"));
    if (!config_.says_something("extra_special_tokens") && config_.says_something("additional_special_tokens"))
      config_.set("extra_special_tokens", *config_.find("additional_special_tokens"));
    // Where tokenizer_config.json lists its tokens, the older files have no say.
    listed_ = config_.find("added_tokens_decoder") && !config_.says_null("added_tokens_decoder");
    if (!listed_) read_map(Members(files.special_tokens_map, where("special_tokens_map.json")));
    read_names();
    if (listed_)
      read_listed();
    else
      read_added_file(Members(files.added_tokens, where("added_tokens.json")));
  }

  void run() {
    add_tokens();
    find_ends();
    for (const auto& [name, token] : named_) spec_.named_tokens.emplace_back(name, token.content);
    const Json* control = config_.find("chat_control_tokens");
    if (!control || control->is_null()) return;
    spec_.chat_control_tokens.emplace();
    for (const Field& token : of_config("chat_control_tokens", *control).elements())
      spec_.chat_control_tokens->push_back(token.string());
  }

 private:
  std::string where(const char* file) const { return spec_.source + "'s " + file; }
  Field of_config(const std::string& name, const Json& value) const {
    return Field(value, json_file(where("tokenizer_config.json")), name);
  }

  void read_map(const Members& map) {
    for (const auto& [name, value] : map) {
      const Json* now = config_.find("extra_special_tokens");
      if (name == "additional_special_tokens") {
        if (!now) config_.set("extra_special_tokens", value);
      } else if (name == "extra_special_tokens" && value.is_array() && now && now->is_array()) {
        Json both = *now;
        both.insert(both.end(), value.begin(), value.end());
        config_.set(name, std::move(both));
      } else {
        config_.set(name, value);
        config_.set_inner(name, map.inner(name));
      }
    }
  }

  void add_name(const std::string& name, const Json& value) {
    const std::string* content = content_of(value);
    if (!content || content->empty()) return;
    AddedToken token{.content = *content, .special = true};
    if (value.is_object()) token = read_added_token(of_config(name, value), 0);
    token.special = true;
    named_.emplace_back(name, std::move(token));
  }

  void read_names() {
    for (const std::string_view role : kRoles)
      if (const Json* value = config_.find(role)) add_name(std::string(role), *value);
    for (const auto& [name, value] : config_)
      if (name.ends_with("_token") && !is_role(name)) add_name(name, value);
    const Json* extra = config_.find("extra_special_tokens");
    if (!extra || !extra->is_structured()) return;
    for (const std::string& name : config_.inner("extra_special_tokens"))
      if (extra->contains(name)) add_name(name, (*extra)[name]);
    if (!extra->is_array()) return;
    for (const Json& value : *extra)
      if (const std::string* content = content_of(value); content && !content->empty())
        extra_.push_back({.content = *content, .special = true});
  }

  void read_listed() {
    const Field list = of_config("added_tokens_decoder", *config_.find("added_tokens_decoder"));
    if (!list.json().is_object()) list.refuse("must be an object of ids and tokens");
    for (const auto& [key, value] : list.json().items()) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      require(error == std::errc() && end == key.data() + key.size() && id >= 0 && id < kMaxTokenId,
              "{}: '{}' is no id; a number below {} is expected", list.name(), printable(key), kMaxTokenId);
      known_[id] = read_added_token(list.member(key, value), id);
    }
  }

  void read_added_file(const Members& added) {
    const auto is_special = [&](const std::string& content) {
      const auto same = [&](const AddedToken& token) { return token.content == content; };
      return std::any_of(named_.begin(), named_.end(), [&](const auto& named) { return same(named.second); }) ||
             std::any_of(extra_.begin(), extra_.end(), same);
    };
    for (const auto& [content, value] : added) {
      const Field field(value, json_file(where("added_tokens.json")), printable(content));
      const auto id = static_cast<int32_t>(field.integer(0, kMaxTokenId - 1));
      require(content.size() <= kMaxAddedBytes, "{} has {} bytes; at most {} are accepted", field.name(),
              content.size(), kMaxAddedBytes);
      const bool special = is_special(content);
      known_[id] = {.id = id, .content = content, .special = special, .normalized = !special};
    }
    for (const AddedToken& token : spec_.added_tokens) known_[token.id] = token;
  }

  AddedToken* find_added(const std::string& content) {
    const auto entry = places_.find(content);
    return entry == places_.end() ? nullptr : &spec_.added_tokens[entry->second];
  }

  void add_tokens() {
    for (size_t i = 0; i < spec_.added_tokens.size(); ++i) {
      places_.try_emplace(spec_.added_tokens[i].content, i);
      last_ = std::max(last_, spec_.added_tokens[i].id);
    }
    for (size_t id = 0; id < spec_.tokens.size(); ++id)
      if (!spec_.tokens[id].empty()) ordinary_.emplace(spec_.tokens[id], static_cast<int32_t>(id));
    std::unordered_set<std::string_view> known_contents;
    for (const auto& [id, token] : known_) {
      known_contents.insert(token.content);
      add(token);
      if (const AddedToken* now = find_added(token.content); now && now->id != id)
        spec_.warnings.push_back(
            fmt::format("{}: the files beside it give the token '{}' the id {}; it has {}, as in transformers",
                        spec_.source, printable(token.content), id, now->id));
    }
    for (const auto& [name, token] : named_) {
      AddedToken* const now = find_added(token.content);
      if (!now)
        add(token);
      else if (known_contents.contains(token.content) && is_role(name))
        now->special = true;
    }
    for (const AddedToken& token : extra_)
      if (!find_added(token.content)) add(token);
  }

  // A token that one file calls special is so, whatever another says.
  void add(AddedToken token) {
    if (token.content.empty()) return;
    if (AddedToken* const now = find_added(token.content)) {
      token.id = now->id;
      token.special = token.special || now->special;
      *now = std::move(token);
      return;
    }
    const auto ordinary = ordinary_.find(token.content);
    token.id =
        ordinary == ordinary_.end() ? std::max(static_cast<int32_t>(ordinary_.size()), last_ + 1) : ordinary->second;
    last_ = std::max(last_, token.id);
    places_.try_emplace(token.content, spec_.added_tokens.size());
    spec_.added_tokens.push_back(std::move(token));
  }

  std::optional<int32_t> named(std::string_view name) {
    for (const auto& [known, token] : named_)
      if (known == name) return find_added(token.content)->id;
    return std::nullopt;
  }

  std::optional<int32_t> well_known(std::initializer_list<std::string_view> contents) const {
    for (const std::string_view content : contents)
      for (const AddedToken& token : spec_.added_tokens)
        if (token.special && token.content == content) return token.id;
    return std::nullopt;
  }

  void find_ends() {
    spec_.bos = named("bos_token");
    if (!spec_.bos && !spec_.template_before.empty()) spec_.bos = spec_.template_before.front();
    if (!spec_.bos && !config_.says_null("bos_token"))
      spec_.bos = well_known({"<|begin_of_text|>", "<|startoftext|>", "<s>", "<|endoftext|>"});
    spec_.eos = named("eos_token");
    if (!spec_.eos && !config_.says_null("eos_token"))
      spec_.eos = well_known({"<|end_of_text|>", "</s>", "<|endoftext|>", "<|im_end|>"});
  }

  TokenizerSpec& spec_;
  Members config_;
  bool listed_ = false;
  std::vector<std::pair<std::string, AddedToken>> named_;
  std::vector<AddedToken> extra_;
  std::map<int32_t, AddedToken> known_;             // by the files beside
  std::unordered_map<std::string, size_t> places_;  // of the spec's added tokens, by content
  int32_t last_ = -1;                               // the largest id of an added token
  std::unordered_map<std::string_view, int32_t> ordinary_;
};

}  // namespace

AddedToken read_added_token(const Field& field, int32_t id) {
  AddedToken token;
  token.id = id;
  token.content = field.at("content").string();
  require(token.content.size() <= kMaxAddedBytes, "{}: 'content' has {} bytes; at most {} are accepted", field.name(),
          token.content.size(), kMaxAddedBytes);
  token.special = field.boolean("special").value_or(false);
  token.normalized = field.boolean("normalized").value_or(!token.special);
  token.lstrip = field.boolean("lstrip").value_or(false);
  token.rstrip = field.boolean("rstrip").value_or(false);
  token.single_word = field.boolean("single_word").value_or(false);
  return token;
}

std::optional<bool> prefix_space_of_class(const FilesBeside& files, const std::string& source) {
  const Members config(files.config, source + "'s tokenizer_config.json");
  const Json* kind = config.find("tokenizer_class");
  if (!kind || !kind->is_string()) return std::nullopt;
  std::string_view name = kind->get_ref<const std::string&>();
  if (name.ends_with("Fast")) name.remove_suffix(4);
  if (std::find(std::begin(kByteLevelClasses), std::end(kByteLevelClasses), name) == std::end(kByteLevelClasses))
    return std::nullopt;
  const Json* asked = config.find("add_prefix_space");
  return asked && asked->is_boolean() && asked->get<bool>();
}

void read_files_beside(const FilesBeside& files, TokenizerSpec& spec) { Reader(files, spec).run(); }

void drop_tokens_without_a_row(int32_t rows, TokenizerSpec& spec) {
  const auto beyond = [&](const AddedToken& token) { return token.id >= rows; };
  const auto trim = [&] {
    while (spec.tokens.size() > static_cast<size_t>(rows) && spec.tokens.back().empty()) spec.tokens.pop_back();
    if (spec.scores.size() > spec.tokens.size()) spec.scores.resize(spec.tokens.size());
  };
  trim();  // of padding
  const auto first = std::find_if(spec.added_tokens.begin(), spec.added_tokens.end(), beyond);
  if (first == spec.added_tokens.end()) return;
  spec.warnings.push_back(
      fmt::format("{}: the token '{}' has the id {}, for which the model has no embedding (there are {}); in a text it "
                  "is read as plain text",
                  spec.source, printable(first->content), first->id, rows));
  for (const AddedToken& token : spec.added_tokens)
    if (beyond(token) && static_cast<size_t>(token.id) < spec.tokens.size())
      spec.tokens[static_cast<size_t>(token.id)].clear();
  trim();
  std::erase_if(spec.added_tokens, beyond);
  for (auto* const end : {&spec.bos, &spec.eos})
    if (*end && **end >= rows) end->reset();
}

}  // namespace ingrain::tokenizer
