// Text prepared in a scratch folder, and read again out of the shards.
#pragma once

#include "data/prepare.h"
#include "scratch.h"

#include <zlib.h>
#include <zstd.h>

namespace ingrain::data {

namespace fs = std::filesystem;

/// Bytes as ids 1..256, so that tokens can be read as text again; 0 begins a document.
inline std::vector<int32_t> encode_bytes(std::string_view text) {
  std::vector<int32_t> out;
  for (const char c : text) out.push_back(1 + static_cast<uint8_t>(c));
  return out;
}

inline std::string decode_bytes(const TokenSpan& tokens) {
  std::string out;
  for (uint64_t i = 1; i < tokens.size(); ++i) out += static_cast<char>(tokens[i] - 1);
  return out;
}

inline std::string gzip(std::string_view text) {
  std::string out(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class Prepare : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    in_ = dir_ / "in", out_ = dir_ / "out";
    fs::create_directories(in_);
  }

  PrepareOptions options() const {
    PrepareOptions o;
    o.inputs = {in_}, o.output = out_, o.vocab_size = 257, o.bos = 0, o.tokenizer = 7;
    return o;
  }

  PrepareResult prepare_with(const PrepareOptions& o) { return prepare(o, encode_bytes, {}); }

  /// The documents of the prepared folder, in order; every shard verified.
  static std::vector<std::string> documents(const fs::path& folder) {
    std::vector<std::string> out;
    const Corpus corpus = Corpus::open(folder);
    for (const ShardFile& shard : corpus.shards()) {
      shard.verify();
      for (uint64_t i = 0; i < shard.info().documents; ++i) out.push_back(decode_bytes(shard.document(i)));
    }
    return out;
  }

  std::string error_with(const PrepareOptions& o) {
    return error_of([&] { prepare_with(o); });
  }

  /// No file of the attempt is left beside the inputs.
  void expect_nothing_left() {
    for (const auto& item : fs::directory_iterator(dir_)) EXPECT_EQ(item.path(), in_) << "left behind";
  }

  fs::path in_, out_;
};

inline const std::string kLines =
    "{\"text\":\"eins\"}\n\n{\"id\":3,\"text\":\"zwei\\nZeilen\"}\r\n{\"text\":\"\\u00e4\"}";
inline const std::vector<std::string> kDocuments = {"eins", "zwei\nZeilen", "\u00e4"};

}  // namespace ingrain::data
