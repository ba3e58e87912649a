#include "base/files.h"
#include "data/corpus.h"
#include "scratch.h"

#include <cstring>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

using Shards = ScratchTest;

ShardInfo vocabulary(uint32_t size, uint32_t bos = 0) {
  ShardInfo info;
  info.vocab_size = size, info.bos = bos, info.tokenizer = 0x1234;
  return info;
}

fs::path write_shard(const fs::path& path, const std::vector<std::vector<int32_t>>& documents, uint32_t vocab = 100) {
  ShardWriter writer(path, vocabulary(vocab));
  for (const auto& document : documents) writer.add(document);
  writer.commit();
  return path;
}

std::vector<uint32_t> ids(const TokenSpan& tokens) {
  std::vector<uint32_t> out;
  for (uint64_t i = 0; i < tokens.size(); ++i) out.push_back(tokens[i]);
  return out;
}

TEST_F(Shards, documents_come_back_as_they_were_written) {
  for (const uint32_t vocab : {65'536u, 65'537u}) {
    const int32_t last = static_cast<int32_t>(vocab) - 1;
    const ShardFile shard(write_shard(dir_ / "s.tokens", {{0, 1, 2}, {0}, {0, last, last}}, vocab));
    EXPECT_EQ(shard.info().type, vocab == 65'536 ? TokenType::U16 : TokenType::U32);
    EXPECT_EQ(shard.info().tokens, 7u);
    EXPECT_EQ(shard.info().documents, 3u);
    EXPECT_EQ(shard.info().tokenizer, 0x1234u);
    EXPECT_EQ(ids(shard.document(0)), (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(ids(shard.document(1)), (std::vector<uint32_t>{0}));
    EXPECT_EQ(ids(shard.document(2)), (std::vector<uint32_t>{0, vocab - 1, vocab - 1}));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(shard.tokens().bytes()) % 64, 0u);
    EXPECT_NO_THROW(shard.verify());
  }
}

TEST_F(Shards, a_shard_without_documents_is_valid) {
  const ShardFile shard(write_shard(dir_ / "s.tokens", {}));
  EXPECT_EQ(shard.tokens().size(), 0u);
  EXPECT_NO_THROW(shard.verify());
}

TEST_F(Shards, writes_larger_than_the_buffer_keep_their_checksum) {
  std::vector<std::vector<int32_t>> documents(3000, std::vector<int32_t>(500, 7));
  for (auto& document : documents) document[0] = 0;
  const ShardFile shard(write_shard(dir_ / "s.tokens", documents));
  EXPECT_EQ(shard.tokens().size(), 1'500'000u);
  EXPECT_NO_THROW(shard.verify());
}

TEST_F(Shards, the_writer_refuses_what_no_reader_should_meet) {
  ShardWriter writer(dir_ / "s.tokens", vocabulary(100, 5));
  const auto add = [&](std::vector<int32_t> tokens) { return error_of([&] { writer.add(tokens); }); };
  EXPECT_TRUE(contains(add({}), "begin with id 5"));
  EXPECT_TRUE(contains(add({1, 2}), "begin with id 5"));
  EXPECT_TRUE(contains(add({5, 100}), "beyond"));
  EXPECT_TRUE(contains(add({5, -1}), "beyond"));
  EXPECT_THROW(ShardWriter(dir_ / "t", vocabulary(0)), Error);
  EXPECT_THROW(ShardWriter(dir_ / "t", vocabulary(5, 5)), Error);
}

TEST_F(Shards, an_abandoned_shard_leaves_nothing_behind) {
  {
    ShardWriter writer(dir_ / "s.tokens", vocabulary(100));
    writer.add(std::vector<int32_t>{0, 1});
  }
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(Shards, every_truncation_and_extension_is_refused) {
  const std::string whole = read_file(write_shard(dir_ / "s.tokens", {{0, 1, 2}, {0, 4}}), 10'000);
  for (size_t size = 0; size <= whole.size() + 8; ++size) {
    if (size == whole.size()) continue;
    std::string bytes = whole;
    bytes.resize(size);
    put(dir_ / "cut.tokens", bytes);
    EXPECT_NE(error_of([&] { ShardFile{dir_ / "cut.tokens"}; }), "") << size;
  }
}

TEST_F(Shards, every_flipped_bit_is_found_by_opening_or_verifying) {
  const std::string whole = read_file(write_shard(dir_ / "s.tokens", {{0, 1, 2}, {0, 4}}), 10'000);
  const size_t padding_begin = 128 + 5 * 2, padding_end = 192;  // the only bytes that mean nothing
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    if (bit / 8 >= padding_begin && bit / 8 < padding_end) continue;
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    put(dir_ / "bad.tokens", bytes);
    const std::string error = error_of([&] { ShardFile(dir_ / "bad.tokens").verify(); });
    EXPECT_TRUE(contains(error, "bad.tokens")) << "bit " << bit << ": " << error;
  }
}

/// Overwrites bytes of a valid shard and repairs all checksums: damage that only the checks of meaning can
/// find.
class Forgery {
 public:
  explicit Forgery(const fs::path& path) : path_(path), bytes_(read_file(path, 10'000)) {}

  template <class T>
  Forgery& set(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
    return *this;
  }

  std::string error() {
    const auto sum = [&](size_t begin, size_t size) { return checksum(bytes_.data() + begin, size); };
    set<uint64_t>(56, sum(128, 10)).set<uint64_t>(64, sum(192, 16)).set<uint64_t>(120, sum(0, 120));
    put(path_, bytes_);
    return error_of([&] { ShardFile(path_).verify(); });
  }

 private:
  fs::path path_;
  std::string bytes_;
};

TEST_F(Shards, forged_headers_with_right_checksums_are_refused_by_field) {
  const auto forge = [&] { return Forgery(write_shard(dir_ / "s.tokens", {{0, 1, 2}, {0, 4}})); };
  constexpr uint64_t huge = ~uint64_t{0};
  EXPECT_EQ(forge().error(), "");
  EXPECT_TRUE(contains(forge().set<uint32_t>(8, 2).error(), "version"));
  EXPECT_TRUE(contains(forge().set<uint16_t>(12, 3).error(), "token_bytes"));
  EXPECT_TRUE(contains(forge().set<uint16_t>(12, 0).error(), "token_bytes"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(16, huge).error(), "do not fit"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(16, (uint64_t{1} << 63) + 5).error(), "do not fit")) << "5 after wrapping";
  EXPECT_TRUE(contains(forge().set<uint64_t>(24, huge).error(), "documents"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(24, 3).error(), "do not fit"));
  EXPECT_TRUE(contains(forge().set<uint32_t>(32, 0).error(), "vocab_size"));
  EXPECT_TRUE(contains(forge().set<uint32_t>(32, 0xFFFFFFFF).error(), "vocab_size"));
  EXPECT_TRUE(contains(forge().set<uint32_t>(36, 100).error(), "bos"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(48, huge).error(), "do not fit"));
  EXPECT_TRUE(contains(forge().set<uint16_t>(128 + 4, 100).error(), "beyond the vocabulary"));
  EXPECT_TRUE(contains(forge().set<uint16_t>(128 + 6, 9).error(), "document 1 does not begin"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(192, 1).error(), "document 0"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(200, 0).error(), "document 1"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(200, 5).error(), "document 1"));
  EXPECT_TRUE(contains(forge().set<uint64_t>(200, huge).error(), "document 1"));
}

TEST_F(Shards, raw_files_are_read_in_both_widths) {
  put(dir_ / "raw.bin", std::string("\x01\x00\xff\xff\x02\x00\x00\x00", 8));
  EXPECT_EQ(read_raw_tokens(dir_ / "raw.bin", TokenType::U16), (std::vector<int32_t>{1, 0xffff, 2, 0}));
  EXPECT_TRUE(contains(error_of([&] { read_raw_tokens(dir_ / "raw.bin", TokenType::U32); }), "token 0"));
  put(dir_ / "odd.bin", "abc");
  EXPECT_TRUE(contains(error_of([&] { read_raw_tokens(dir_ / "odd.bin", TokenType::U16); }), "odd.bin"));
  EXPECT_EQ(token_type_from_name("u32"), TokenType::U32);
  EXPECT_THROW(token_type_from_name("int"), UsageError);
}

TEST_F(Shards, a_corpus_reads_across_its_shards_as_one_stream) {
  Manifest manifest;
  manifest.vocab_size = 100, manifest.tokenizer = 0x1234;
  std::vector<int32_t> expected;
  for (int i = 0; i < 4; ++i) {
    std::vector<int32_t> document = {0};
    for (int32_t j = 0; j < 3 * i; ++j) document.push_back(10 * i + j);
    const std::string name = fmt::format("s{}.tokens", i);
    const ShardInfo info = ShardFile(write_shard(dir_ / name, {document})).info();
    manifest.shards.push_back({name, info.tokens, info.documents, info.checksum});
    expected.insert(expected.end(), document.begin(), document.end());
  }
  write_manifest(dir_ / kManifestName, manifest);
  const Corpus corpus = Corpus::open(dir_);
  ASSERT_EQ(corpus.size(), expected.size());
  for (size_t begin = 0; begin <= expected.size(); ++begin) {
    for (size_t end = begin; end <= expected.size(); ++end) {
      std::vector<int32_t> out(end - begin);
      corpus.read(begin, end - begin, out.data());
      EXPECT_TRUE(std::equal(out.begin(), out.end(), expected.begin() + static_cast<long>(begin)));
    }
  }
  EXPECT_EQ(corpus.vocab_size(), 100u);
}

TEST_F(Shards, a_shard_that_the_manifest_does_not_describe_is_refused) {
  const ShardInfo info = ShardFile(write_shard(dir_ / "s.tokens", {{0, 1, 2}})).info();
  Manifest right;
  right.vocab_size = 100, right.tokenizer = 0x1234, right.shards = {{"s.tokens", 3, 1, info.checksum}};
  const auto error_with = [&](auto change) {
    Manifest manifest = right;
    change(manifest);
    write_manifest(dir_ / kManifestName, manifest);
    return error_of([&] { Corpus::open(dir_); });
  };
  EXPECT_EQ(error_with([](Manifest&) {}), "");
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.shards[0].tokens = 4; }), "'tokens'"));
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.shards[0].checksum = 4; }), "'checksum'"));
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.tokenizer = 4; }), "'tokenizer'"));
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.vocab_size = 101; }), "'vocab_size'"));
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.shards[0].file = "../s.tokens"; }), "'shards[0].file'"));
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.shards[0].file = "absent"; }), "absent"));
  EXPECT_TRUE(contains(error_with([](Manifest& m) { m.shards.clear(); }), "'shards'"));
}

TEST_F(Shards, a_manifest_with_any_field_missing_or_mistyped_is_refused_by_that_field) {
  Manifest manifest;
  manifest.vocab_size = 100, manifest.shards = {{"s.tokens", 3, 1, 7}}, manifest.shuffle_seed = ~uint64_t{0};
  write_manifest(dir_ / "m.json", manifest);
  EXPECT_EQ(read_manifest(dir_ / "m.json").shuffle_seed, ~uint64_t{0});
  const auto json = nlohmann::json::parse(read_file(dir_ / "m.json", 10'000));
  for (const auto& [name, value] : json.items()) {
    if (name == "tokens" || name == "documents") continue;  // sums for people
    for (const bool missing : {true, false}) {
      nlohmann::json bad = json;
      if (missing)
        bad.erase(name);
      else
        bad[name] = true;
      put(dir_ / "bad.json", bad.dump());
      EXPECT_TRUE(contains(error_of([&] { read_manifest(dir_ / "bad.json"); }), "'" + name + "'")) << name;
    }
  }
  for (const char* text : {"", "[]", "7", "{}", "{\"format\":\"ingrain-tokens\"}"}) {
    put(dir_ / "bad.json", text);
    EXPECT_TRUE(contains(error_of([&] { read_manifest(dir_ / "bad.json"); }), "bad.json")) << text;
  }
}

TEST_F(Shards, a_file_that_claims_to_be_a_shard_and_is_none_is_refused) {
  put(dir_ / "x.tokens", "rubbish!");
  EXPECT_TRUE(contains(error_of([&] { Corpus::open(dir_ / "x.tokens"); }), "no token shard"));
  EXPECT_NE(error_of([&] { Corpus::open(dir_ / "absent"); }), "");
  EXPECT_NE(error_of([&] { Corpus::open(dir_); }), "") << "a folder without a manifest";
}

}  // namespace
}  // namespace ingrain::data
