#include "serve/grammar/json_schema.h"

#include "base/error.h"
#include "base/text.h"
#include "serve/grammar/decimal_bounds.h"
#include "serve/grammar/disjoint.h"
#include "serve/grammar/schema_reference.h"
#include "serve/grammar/walk.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

namespace ingrain::serve {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxSlots = 20'000;
constexpr size_t kMaxText = 256 << 10;  // bytes of names and enum's values
constexpr int kMaxSchemaDepth = 64;
constexpr int64_t kMaxCount = 1'000'000'000;

/// Says something to people, or to the one that named the schema; nothing about the text.
const std::set<std::string_view> kAnnotations{"title",      "description", "default",   "example",       "examples",
                                              "$schema",    "$id",         "$comment",  "$defs",         "definitions",
                                              "deprecated", "readOnly",    "writeOnly", "discriminator", "$anchor"};

struct OfType {
  std::string_view keyword, type;
};
/// Keywords that are about values of one type, and say nothing of others.
constexpr OfType kOfTypes[] = {{"properties", "object"},
                               {"required", "object"},
                               {"additionalProperties", "object"},
                               {"items", "array"},
                               {"prefixItems", "array"},
                               {"minItems", "array"},
                               {"maxItems", "array"},
                               {"minLength", "string"},
                               {"maxLength", "string"},
                               {"minimum", "number"},
                               {"maximum", "number"},
                               {"exclusiveMinimum", "number"},
                               {"exclusiveMaximum", "number"}};
constexpr std::string_view kTypes[] = {"object", "array", "string", "number", "integer", "boolean", "null"};

[[noreturn]] void refuse(const std::string& path, std::string_view why) { fail_usage("{}: {}", path, why); }

std::string below(const std::string& path, std::string_view name) { return path + "." + printable(name); }

class SchemaCompiler {
 public:
  SchemaCompiler(Grammar& grammar, const Json& root, const std::string& where)
      : grammar_(grammar), root_(root), where_(where) {}

  Slot compile() {
    const Slot slot = reference("#", where_);
    while (!waiting_.empty()) {
      const Waiting next = waiting_.front();
      waiting_.pop_front();
      fill(next.slot, *next.schema, next.path, 0);
    }
    return slot;
  }

 private:
  struct Waiting {
    Slot slot;
    const Json* schema;
    std::string path;
  };

  Slot new_slot() {
    if (grammar_.slots() >= kMaxSlots)
      fail_usage("{}: the schema has more than {} parts; make it smaller", where_, kMaxSlots);
    return grammar_.slot();
  }

  Slot compile(const Json& schema, const std::string& path, int depth) {
    const Slot slot = new_slot();
    fill(slot, schema, path, depth);
    return slot;
  }

  /// References are compiled later, one after the other, so that a long chain of them is no deep recursion.
  Slot reference(const std::string& pointer, const std::string& path) {
    if (const auto known = references_.find(pointer); known != references_.end()) return known->second;
    const Referenced target = resolve_reference(root_, pointer, where_, path);
    const Slot slot = new_slot();
    references_.emplace(pointer, slot);
    waiting_.push_back({slot, target.schema, target.path});
    return slot;
  }

  void fill(Slot slot, const Json& schema, const std::string& path, int depth) {
    if (depth > kMaxSchemaDepth) refuse(path, fmt::format("is nested more than {} deep", kMaxSchemaDepth));
    if (schema.is_boolean()) {
      if (schema.get<bool>()) grammar_.alias(slot, any());
      return;
    }
    if (!schema.is_object()) refuse(path, "a schema is an object, or true or false");
    if (fill_whole(slot, schema, path, depth)) return;
    for (const std::string_view type : types_of(schema, path)) fill_type(slot, type, schema, path, depth);
  }

  /// Keywords beside which no other may stand.
  bool fill_whole(Slot slot, const Json& schema, const std::string& path, int depth) {
    for (const auto& [keyword, value] : schema.items()) {
      const std::string at = below(path, keyword);
      if (keyword == "$ref") {
        only(schema, {"$ref"}, path);
        if (!value.is_string()) refuse(at, "must be a string");
        grammar_.alias(slot, reference(value.get<std::string>(), at));
        return true;
      }
      if (keyword == "enum" || keyword == "const") {
        only(schema, {keyword, "type"}, path);
        if (keyword == "enum" && (!value.is_array() || value.empty()))
          refuse(at, "must be a list of one value or more");
        const auto types = schema.contains("type") ? types_of(schema, path) : std::vector<std::string_view>();
        add_values(slot, keyword == "enum" ? value : Json::array({value}), types, at, depth);
        return true;
      }
      if (keyword == "anyOf" || keyword == "oneOf" || keyword == "allOf") {
        only(schema, {keyword}, path);
        if (!value.is_array() || value.empty()) refuse(at, "must be a list of one schema or more");
        if (keyword == "allOf" && value.size() > 1)
          refuse(at, "of more than one schema is not supported; write them as one");
        if (keyword == "oneOf") check_disjoint(root_, value, where_, at);
        for (size_t i = 0; i < value.size(); ++i)
          grammar_.alias(slot, compile(value[i], fmt::format("{}[{}]", at, i), depth + 1));
        return true;
      }
    }
    return false;
  }

  void only(const Json& schema, std::initializer_list<std::string_view> may_stand, const std::string& path) const {
    for (const auto& [keyword, value] : schema.items())
      if (!kAnnotations.contains(keyword) && std::find(may_stand.begin(), may_stand.end(), keyword) == may_stand.end())
        refuse(below(path, keyword), fmt::format("is not supported beside {}", *may_stand.begin()));
  }

  /// What the value may be. Without `type`, keywords about one type say so.
  std::vector<std::string_view> types_of(const Json& schema, const std::string& path) const {
    std::vector<std::string_view> out;
    for (const auto& [keyword, value] : schema.items()) {
      if (kAnnotations.contains(keyword) || keyword == "type" || keyword == "enum" || keyword == "const") continue;
      if (keyword == "uniqueItems" && value == false) continue;
      const auto known =
          std::find_if(std::begin(kOfTypes), std::end(kOfTypes),
                       [name = std::string_view(keyword)](const OfType& one) { return one.keyword == name; });
      if (known == std::end(kOfTypes)) refuse(below(path, keyword), "is not supported; leave it out");
      if (std::find(out.begin(), out.end(), known->type) == out.end()) out.push_back(known->type);
    }
    if (!schema.contains("type")) {
      if (out.empty()) out.assign(std::begin(kTypes), std::end(kTypes));
      return out;
    }
    out.clear();
    const Json& type = schema["type"];
    const auto add = [&](const Json& name) {
      const auto known = name.is_string() ? std::find(std::begin(kTypes), std::end(kTypes), name.get<std::string>())
                                          : std::end(kTypes);
      if (known == std::end(kTypes)) refuse(below(path, "type"), fmt::format("is none of {}", fmt::join(kTypes, ", ")));
      out.push_back(*known);
    };
    if (type.is_array())
      for (const Json& name : type) add(name);
    else
      add(type);
    if (out.empty()) refuse(below(path, "type"), "is an empty list; nothing is of no type");
    return out;
  }

  void fill_type(Slot slot, std::string_view type, const Json& schema, const std::string& path, int depth) {
    if (type == "object") {
      grammar_.add(slot, object(schema, path, depth));
    } else if (type == "array") {
      grammar_.add(slot, array(schema, path, depth));
    } else if (type == "string") {
      StringForm form;
      form.min = count(schema, "minLength", path, form.min);
      form.max = count(schema, "maxLength", path, form.max);
      if (form.min > form.max) refuse(below(path, "minLength"), "is above maxLength");
      grammar_.add(slot, form);
    } else if (type == "number" || type == "integer") {
      grammar_.add(slot, number_form(schema, type == "integer", path));
    } else {
      WordsForm words;
      for (const std::string_view word : {"true", "false", "null"})
        if ((word == "null") == (type == "null")) words.words.add(word, 0);
      grammar_.add(slot, std::move(words));
    }
  }

  uint32_t count(const Json& schema, const char* keyword, const std::string& path, uint32_t otherwise) const {
    if (!schema.contains(keyword)) return otherwise;
    const Json& value = schema[keyword];
    const double number = value.is_number() ? value.get<double>() : -1;
    if (number < 0 || number > static_cast<double>(kMaxCount) || number != std::floor(number))
      refuse(below(path, keyword), fmt::format("must be a whole number from 0 to {}", kMaxCount));
    return static_cast<uint32_t>(number);
  }

  ObjectForm object(const Json& schema, const std::string& path, int depth) {
    ObjectForm form;
    const Json more = schema.contains("additionalProperties") ? schema["additionalProperties"] : Json(true);
    std::set<std::string> names, required = required_names(schema, path);
    if (schema.contains("properties")) {
      const std::string at = below(path, "properties");
      if (!schema["properties"].is_object()) refuse(at, "must be an object of schemas");
      for (const auto& [name, value] : schema["properties"].items()) {
        add_text(name.size());
        names.insert(name);
        form.properties.push_back({name, compile(value, below(at, name), depth + 1), required.contains(name)});
      }
    }
    const std::string at = below(path, "additionalProperties");
    if (more != false) form.additional = compile(more, at, depth + 1);
    for (const std::string& name : required) {
      if (names.contains(name)) continue;
      if (form.additional == kNothing)
        refuse(below(path, "required"), fmt::format("names '{}', which additionalProperties forbids", printable(name)));
      add_text(name.size());
      form.properties.push_back({name, form.additional, true});
    }
    return form;
  }

  std::set<std::string> required_names(const Json& schema, const std::string& path) const {
    std::set<std::string> out;
    if (!schema.contains("required")) return out;
    const Json& list = schema["required"];
    if (!list.is_array()) refuse(below(path, "required"), "must be a list of names");
    for (const Json& name : list) {
      if (!name.is_string()) refuse(below(path, "required"), "must be a list of names");
      out.insert(name.get<std::string>());
    }
    return out;
  }

  ArrayForm array(const Json& schema, const std::string& path, int depth) {
    ArrayForm form;
    form.min = count(schema, "minItems", path, form.min);
    form.max = count(schema, "maxItems", path, form.max);
    if (form.min > form.max) refuse(below(path, "minItems"), "is above maxItems");
    if (schema.contains("prefixItems")) {
      const std::string at = below(path, "prefixItems");
      const Json& list = schema["prefixItems"];
      if (!list.is_array() || list.empty()) refuse(at, "must be a list of one schema or more");
      for (size_t i = 0; i < list.size(); ++i)
        form.prefix.push_back(compile(list[i], fmt::format("{}[{}]", at, i), depth + 1));
    }
    const Json items = schema.contains("items") ? schema["items"] : Json(true);
    if (items.is_array()) refuse(below(path, "items"), "as a list is not supported; say prefixItems");
    if (items != false) form.items = compile(items, below(path, "items"), depth + 1);
    if (form.items == kNothing && form.min > form.prefix.size())
      refuse(below(path, "minItems"), "asks for more items than prefixItems describes, and items is false");
    return form;
  }

  static bool is_of(const Json& value, std::string_view type) {
    if (type == "integer" && value.is_number_float()) return value.get<double>() == std::floor(value.get<double>());
    return type == "object"    ? value.is_object()
           : type == "array"   ? value.is_array()
           : type == "string"  ? value.is_string()
           : type == "number"  ? value.is_number()
           : type == "integer" ? value.is_number_integer()
           : type == "boolean" ? value.is_boolean()
                               : value.is_null();
  }

  void add_values(Slot slot, const Json& values, const std::vector<std::string_view>& types, const std::string& path,
                  int depth) {
    WordsForm words;
    bool any_word = false;
    for (const Json& value : values) {
      if (!types.empty() && std::none_of(types.begin(), types.end(), [&](auto type) { return is_of(value, type); }))
        continue;
      if (value.is_structured()) {
        add_structure(slot, value, path, depth);
        continue;
      }
      const std::string text = value.dump();
      add_text(text.size());
      words.words.add(text, 0);
      any_word = true;
    }
    if (any_word) grammar_.add(slot, std::move(words));
  }

  void add_structure(Slot slot, const Json& value, const std::string& path, int depth) {
    if (depth > kMaxSchemaDepth) refuse(path, fmt::format("is nested more than {} deep", kMaxSchemaDepth));
    const auto part = [&](const Json& item) {
      const Slot place = new_slot();
      add_values(place, Json::array({item}), {}, path, depth + 1);
      return place;
    };
    if (value.is_array()) {
      ArrayForm form;
      for (const Json& item : value) form.prefix.push_back(part(item));
      form.min = form.max = static_cast<uint32_t>(value.size());
      grammar_.add(slot, std::move(form));
    } else {
      ObjectForm form;
      for (const auto& [name, item] : value.items()) {
        add_text(name.size());
        form.properties.push_back({name, part(item), true});
      }
      grammar_.add(slot, std::move(form));
    }
  }

  void add_text(size_t bytes) {
    text_ += bytes;
    if (text_ > kMaxText)
      fail_usage("{}: names and values of enum are longer than {} bytes together; make the schema smaller", where_,
                 kMaxText);
  }

  /// Any value.
  Slot any() {
    if (any_ == kNothing) {
      any_ = new_slot();
      for (const std::string_view type : kTypes) {
        if (type == "object")
          grammar_.add(any_, ObjectForm{.properties = {}, .additional = any_});
        else if (type == "array")
          grammar_.add(any_, ArrayForm{.prefix = {}, .items = any_});
        else if (type != "integer")
          fill_type(any_, type, Json::object(), where_, 0);
      }
    }
    return any_;
  }

  Grammar& grammar_;
  const Json& root_;
  const std::string& where_;
  std::map<std::string, Slot> references_;
  std::deque<Waiting> waiting_;
  Slot any_ = kNothing;
  size_t text_ = 0;
};

}  // namespace

Slot add_json_schema(Grammar& grammar, const nlohmann::ordered_json& schema, const std::string& where) {
  return SchemaCompiler(grammar, schema, where).compile();
}

std::shared_ptr<const Constraint> json_constraint(const nlohmann::ordered_json& schema,
                                                  std::shared_ptr<const TokenTrie> trie, const std::string& where) {
  const auto grammar = std::make_shared<Grammar>();
  const Slot root =
      add_json_schema(*grammar, schema.is_null() ? nlohmann::ordered_json{{"type", "object"}} : schema, where);
  if (!grammar->finish(root, where)) fail_usage("{}: no text of finite length satisfies it", where);
  return std::make_shared<GrammarWalk>(grammar, std::move(trie));
}

}  // namespace ingrain::serve
