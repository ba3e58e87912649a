#include "formats/safetensors_header.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/dtype_table.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

namespace ingrain::formats {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxDimensions = 64;
constexpr const char* kRemedy = "the file is damaged or no safetensors file; fetch or write it again";

/// Receives the parser's events. Places in the header are known by depth: 1 = names of tensors, 2 = fields of
/// a tensor (or keys of __metadata__), 3 = numbers of "shape" and "data_offsets".
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(const std::filesystem::path& path) : path_(path.string()) {}

  SafetensorsHeader take() { return std::move(out_); }

  bool start_object(std::size_t) override {
    if (depth_ > 1 || in_array_) bad("an object where none belongs");
    ++depth_;
    return true;
  }

  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_) finish_tensor();
    return true;
  }

  bool key(string_t& name) override {
    if (depth_ == 1) {
      in_metadata_ = name == "__metadata__";
      if (in_metadata_ ? std::exchange(seen_metadata_, true) : out_.tensors.count(name) > 0) {
        fail("{}: header: '{}' is given twice; {}", path_, printable(name), kRemedy);
      }
      tensor_ = std::move(name);
      dtype_.reset(), shape_.reset(), offsets_.reset();
    } else {
      field_ = std::move(name);
      if (in_metadata_ && out_.metadata.count(field_)) bad("given twice");
    }
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ != 2 || in_array_) bad("a string where none belongs");
    if (in_metadata_) {
      out_.metadata.emplace(field_, std::move(value));
      return true;
    }
    if (field_ != "dtype") bad("a string where none belongs");
    if (dtype_) bad("given twice");
    dtype_ = dtype_from_name(value);
    if (!dtype_)
      fail(
          "{}: tensor '{}': '{}' is not a dtype that ingrain knows; the file is newer than this program, or no "
          "safetensors file",
          path_, printable(tensor_), printable(value));
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || in_array_) bad("an array where none belongs");
    if (field_ != "shape" && field_ != "data_offsets") bad("not a field of a tensor");
    auto& target = numbers();
    if (target) bad("given twice");
    target.emplace();
    in_array_ = true;
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) bad("a number where none belongs");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) bad("a number too large");
    auto& target = *numbers();
    if (target.size() >= kMaxDimensions) bad(fmt::format("more than {} numbers", kMaxDimensions));
    target.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool number_integer(number_integer_t) override { bad("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { bad("a number that is not whole, or too large"); }
  bool null() override { bad("null where none belongs"); }
  bool boolean(bool) override { bad("true or false where none belongs"); }
  bool binary(binary_t&) override { bad("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fail("{}: header: no valid JSON at byte {}; {}", path_, position, kRemedy);
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    std::string place = "header";
    if (depth_ >= 1) place += fmt::format(": '{}'", printable(tensor_));
    if (depth_ >= 2) place += fmt::format(": field '{}'", printable(field_));
    fail("{}: {}: {}; {}", path_, place, what, kRemedy);
  }

  std::optional<std::vector<int64_t>>& numbers() { return field_ == "shape" ? shape_ : offsets_; }

  void finish_tensor() {
    if (!dtype_ || !shape_ || !offsets_ || offsets_->size() != 2) {
      fail("{}: tensor '{}': needs dtype, shape and data_offsets [begin, end]; {}", path_, printable(tensor_), kRemedy);
    }
    const auto begin = static_cast<uint64_t>((*offsets_)[0]), end = static_cast<uint64_t>((*offsets_)[1]);
    const auto bytes = shape_bytes(*shape_, dtype_bits(*dtype_));
    if (begin > end || !bytes || *bytes != end - begin) {
      fail("{}: tensor '{}': data_offsets [{}, {}] do not fit {} [{}]; {}", path_, printable(tensor_), begin, end,
           dtype_name(*dtype_), fmt::join(*shape_, ", "), kRemedy);
    }
    out_.tensors.emplace(std::move(tensor_), TensorEntry{*dtype_, std::move(*shape_), begin, end});
    tensor_.clear();
  }

  std::string path_;
  SafetensorsHeader out_;
  int depth_ = 0;
  bool in_array_ = false, in_metadata_ = false, seen_metadata_ = false;
  std::string tensor_, field_;
  std::optional<DType> dtype_;
  std::optional<std::vector<int64_t>> shape_, offsets_;
};

/// The tensors, in order of place, must follow each other without gap or overlap up to `data_size`.
void check_coverage(const SafetensorsHeader& header, uint64_t data_size, const std::filesystem::path& path) {
  std::vector<const std::pair<const std::string, TensorEntry>*> by_place;
  for (const auto& item : header.tensors) by_place.push_back(&item);
  std::sort(by_place.begin(), by_place.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t at = 0;
  for (const auto* item : by_place) {
    if (item->second.begin != at) {
      fail("{}: tensor '{}': begins at {} where {} was expected ({}); {}", path.string(), printable(item->first),
           item->second.begin, at, item->second.begin > at ? "a gap" : "an overlap", kRemedy);
    }
    at = item->second.end;
  }
  if (at != data_size) {
    fail("{}: its header describes {} bytes of tensors, the file holds {}; {}", path.string(), at, data_size,
         at > data_size ? "it is cut off: fetch it again" : kRemedy);
  }
}

}  // namespace

std::optional<uint64_t> shape_bytes(const std::vector<int64_t>& shape, size_t element_bits) {
  uint64_t product = element_bits;
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0) empty = true;
    const auto next = checked_mul(product, static_cast<uint64_t>(std::max<int64_t>(dimension, 1)));
    if (!next || *next > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    product = *next;
  }
  if (empty) return 0;
  if (product % 8 != 0) return std::nullopt;
  return product / 8;
}

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_size,
                                           const std::filesystem::path& path) {
  // The parser would skip a byte-order mark; the format wants the brace first.
  if (!text.starts_with('{')) fail("{}: header: does not begin with '{{'; {}", path.string(), kRemedy);
  // The parser takes a zero byte for the end of the text and would not see what follows.
  if (text.find('\0') != text.npos) {
    fail("{}: header: no valid JSON: a zero byte; {}", path.string(), kRemedy);
  }
  HeaderReader reader(path);
  Json::sax_parse(text.begin(), text.end(), &reader);
  SafetensorsHeader header = reader.take();
  check_coverage(header, data_size, path);
  return header;
}

}  // namespace ingrain::formats
