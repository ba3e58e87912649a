#include "base/json_fields.h"

#include "base/error.h"
#include "base/text.h"
#include "base/whole_number.h"

#include <algorithm>
#include <cmath>

namespace ingrain {
namespace {

class JsonFile : public JsonSource {
 public:
  JsonFile(std::string file, std::string remedy) : file_(std::move(file)), remedy_(std::move(remedy)) {}

  std::string describe(const std::string& path) const override {
    return path.empty() ? file_ : fmt::format("{}: field '{}'", file_, path);
  }
  std::exception_ptr refusal(const std::string& path, const std::string& reason) const override {
    return std::make_exception_ptr(Error(fmt::format("{} {}{}", describe(path), reason, remedy_)));
  }

 private:
  std::string file_, remedy_;
};

}  // namespace

std::shared_ptr<const JsonSource> json_file(std::string file, std::string remedy) {
  return std::make_shared<JsonFile>(std::move(file), std::move(remedy));
}

/// A number itself, of anything else its kind: text may be long, and nobody's business.
template <class Json>
std::string BasicField<Json>::shown() const {
  return json_->is_number() ? json_->dump() : json_->type_name();
}

template <class Json>
std::string BasicField<Json>::string() const {
  if (!json_->is_string()) refuse(fmt::format("must be a string, not {}", json_->type_name()));
  return json_->template get<std::string>();
}

template <class Json>
bool BasicField<Json>::boolean() const {
  if (!json_->is_boolean()) refuse(fmt::format("must be true or false, not {}", json_->type_name()));
  return json_->template get<bool>();
}

template <class Json>
int64_t BasicField<Json>::integer(int64_t least, int64_t greatest) const {
  constexpr double kExact = 1e15;
  int64_t out = 0;
  if (json_->is_number_unsigned()) {
    const auto number = json_->template get<uint64_t>();
    if (number > static_cast<uint64_t>(greatest) || greatest < 0)
      refuse(fmt::format("is {}; it must be from {} to {}", number, least, greatest));
    out = static_cast<int64_t>(number);
  } else if (json_->is_number_integer()) {
    out = json_->template get<int64_t>();
  } else if (source_->takes_whole_floats() && json_->is_number_float() &&
             std::abs(json_->template get<double>()) < kExact &&
             json_->template get<double>() == std::floor(json_->template get<double>())) {
    out = static_cast<int64_t>(json_->template get<double>());
  } else {
    refuse(fmt::format("must be an integer{}, not {}", in_words(WholeRange::of(least, greatest)), shown()));
  }
  if (out < least || out > greatest) refuse(fmt::format("is {}; it must be from {} to {}", out, least, greatest));
  return out;
}

template <class Json>
uint64_t BasicField<Json>::whole_number(uint64_t greatest) const {
  if (!json_->is_number_unsigned() || json_->template get<uint64_t>() > greatest)
    refuse(fmt::format("must be a whole number from 0 to {}, not {}", greatest, shown()));
  return json_->template get<uint64_t>();
}

template <class Json>
double BasicField<Json>::number(double least, double greatest) const {
  if (!json_->is_number()) refuse(fmt::format("must be a number, not {}", json_->type_name()));
  const auto out = json_->template get<double>();
  if (!(out >= least && out <= greatest)) refuse(fmt::format("is {}; it must be from {} to {}", out, least, greatest));
  return out;
}

template <class Json>
double BasicField<Json>::positive() const {
  const bool valid =
      json_->is_number() && std::isfinite(json_->template get<double>()) && json_->template get<double>() > 0;
  if (!valid) refuse(fmt::format("must be a positive number, not {}", shown()));
  return json_->template get<double>();
}

template <class Json>
std::vector<BasicField<Json>> BasicField<Json>::elements() const {
  if (!json_->is_array()) refuse(fmt::format("must be a list, not {}", json_->type_name()));
  std::vector<BasicField> out;
  out.reserve(json_->size());
  for (size_t i = 0; i < json_->size(); ++i) out.emplace_back((*json_)[i], source_, fmt::format("{}[{}]", path_, i));
  return out;
}

template <class Json>
std::vector<int64_t> BasicField<Json>::integers(int64_t least, int64_t greatest) const {
  std::vector<int64_t> out;
  if (!json_->is_array()) return {integer(least, greatest)};
  for (const BasicField& element : elements()) out.push_back(element.integer(least, greatest));
  return out;
}

template <class Json>
const Json& BasicField<Json>::object() const {
  if (!json_->is_object()) refuse(fmt::format("must be an object, not {}", json_->type_name()));
  return *json_;
}

template <class Json>
std::string BasicField<Json>::path(std::string_view key) const {
  return path_.empty() ? printable(key) : fmt::format("{}.{}", path_, printable(key));
}

template <class Json>
std::optional<BasicField<Json>> BasicField<Json>::find(std::string_view key) const {
  const Json& members = object();
  asked_.emplace_back(key);
  const auto found = members.find(key);
  if (found == members.end() || found->is_null()) return std::nullopt;
  return member(key, *found);
}

template <class Json>
BasicField<Json> BasicField<Json>::at(std::string_view key) const {
  auto found = find(key);
  if (!found) missing(key);
  return std::move(*found);
}

template <class Json>
std::optional<std::string> BasicField<Json>::string(std::string_view key) const {
  const auto field = find(key);
  return field ? std::optional(field->string()) : std::nullopt;
}

template <class Json>
std::optional<bool> BasicField<Json>::boolean(std::string_view key) const {
  const auto field = find(key);
  return field ? std::optional(field->boolean()) : std::nullopt;
}

template <class Json>
std::optional<int64_t> BasicField<Json>::integer(std::string_view key, int64_t least, int64_t greatest) const {
  const auto field = find(key);
  return field ? std::optional(field->integer(least, greatest)) : std::nullopt;
}

template <class Json>
std::optional<double> BasicField<Json>::number(std::string_view key, double least, double greatest) const {
  const auto field = find(key);
  return field ? std::optional(field->number(least, greatest)) : std::nullopt;
}

template <class Json>
std::optional<double> BasicField<Json>::positive(std::string_view key) const {
  const auto field = find(key);
  return field ? std::optional(field->positive()) : std::nullopt;
}

template <class Json>
std::vector<std::string> BasicField<Json>::unread() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : object().items())
    if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) out.push_back(key);
  return out;
}

template <class Json>
void BasicField<Json>::finish() const {
  const std::vector<std::string> others = unread();
  if (!others.empty())
    std::rethrow_exception(source_->refusal(path(others.front()), "is unknown" + did_you_mean(others.front(), asked_)));
}

template class BasicField<nlohmann::json>;
template class BasicField<nlohmann::ordered_json>;

}  // namespace ingrain
