// A JSON value that knows where it stands: types and ranges are checked where a field is read, and every complaint
// names it by its path. What is thrown, and in whose words, is the source's matter: a file's, or a request's.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingrain {

/// Where a document comes from. Paths: "rope.factor", "layers[3]"; empty: the document itself.
class JsonSource {
 public:
  virtual ~JsonSource() = default;
  /// What a field is called before a reason: "FILE: field 'rope.factor'".
  virtual std::string describe(const std::string& path) const = 0;
  /// What is thrown; `reason` goes on from there: "must be a string, not null".
  virtual std::exception_ptr refusal(const std::string& path, const std::string& reason) const = 0;
  /// What is thrown for a field that must be there and is not.
  virtual std::exception_ptr absence(const std::string& path) const { return refusal(path, "is missing"); }
  /// Whether 16.0 is an integer.
  virtual bool takes_whole_floats() const { return false; }
};

/// Of a file: Errors "FILE: field 'a.b' must be ...", which end with `remedy`: "; prepare the data again".
std::shared_ptr<const JsonSource> json_file(std::string file, std::string remedy = "");

/// Refers to its value, which must outlive it. null counts as absent. A value; one thread at a time, since an object
/// notes which of its members were asked for.
template <class Json>
class BasicField {
 public:
  static constexpr int64_t kLeast = std::numeric_limits<int64_t>::min(), kMost = std::numeric_limits<int64_t>::max();
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  BasicField(const Json& json, std::shared_ptr<const JsonSource> source, std::string path = "")
      : json_(&json), source_(std::move(source)), path_(std::move(path)) {}
  /// A whole file.
  BasicField(const Json& json, std::string file, std::string remedy = "")
      : BasicField(json, json_file(std::move(file), std::move(remedy))) {}

  const Json& json() const { return *json_; }
  const std::string& path() const { return path_; }
  /// "FILE: field 'a.b'", for errors of one's own.
  std::string name() const { return source_->describe(path_); }
  [[noreturn]] void refuse(const std::string& reason) const { std::rethrow_exception(source_->refusal(path_, reason)); }

  // Of a value; each refuses what is something else or out of its bounds.
  std::string string() const;
  bool boolean() const;
  int64_t integer(int64_t least = kLeast, int64_t greatest = kMost) const;
  uint64_t whole_number(uint64_t greatest = std::numeric_limits<uint64_t>::max()) const;
  double number(double least = -kInfinity, double greatest = kInfinity) const;
  double positive() const;
  std::vector<BasicField> elements() const;
  /// Integers in an array, or one alone.
  std::vector<int64_t> integers(int64_t least = kLeast, int64_t greatest = kMost) const;

  // Of an object's member. The key counts as asked for.
  std::string path(std::string_view key) const;
  /// Nothing if it is absent.
  std::optional<BasicField> find(std::string_view key) const;
  BasicField at(std::string_view key) const;
  /// A member that was found by going through all of them.
  BasicField member(std::string_view key, const Json& value) const { return BasicField(value, source_, path(key)); }
  [[noreturn]] void missing(std::string_view key) const { std::rethrow_exception(source_->absence(path(key))); }
  std::optional<std::string> string(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<int64_t> integer(std::string_view key, int64_t least, int64_t greatest) const;
  std::optional<double> number(std::string_view key, double least, double greatest) const;
  std::optional<double> positive(std::string_view key) const;
  /// The names of members that nobody asked for, and of those that somebody did.
  std::vector<std::string> unread() const;
  const std::vector<std::string>& asked() const { return asked_; }
  /// Refuses, by name, the first of unread().
  void finish() const;

 private:
  const Json& object() const;
  std::string shown() const;

  const Json* json_;
  std::shared_ptr<const JsonSource> source_;
  std::string path_;
  mutable std::vector<std::string> asked_;
};

extern template class BasicField<nlohmann::json>;
extern template class BasicField<nlohmann::ordered_json>;
using Field = BasicField<nlohmann::json>;

}  // namespace ingrain
