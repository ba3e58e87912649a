#include "data/prepare.h"

#include "base/files.h"
#include "data/byte_reader.h"
#include "data/ignore_rules.h"
#include "scratch.h"

#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include <csignal>
#include <map>
#include <set>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

/// Bytes as ids 1..256, so that tokens can be read as text again; 0 begins a document.
std::vector<int32_t> encode_bytes(std::string_view text) {
  std::vector<int32_t> out;
  for (const char c : text) out.push_back(1 + static_cast<uint8_t>(c));
  return out;
}

std::string decode_bytes(const TokenSpan& tokens) {
  std::string out;
  for (uint64_t i = 1; i < tokens.size(); ++i) out += static_cast<char>(tokens[i] - 1);
  return out;
}

std::string gzip(std::string_view text) {
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

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string read_all(const fs::path& path) {
  const auto reader = open_bytes(path);
  std::string out, piece(1000, '\0');
  for (size_t n; (n = reader->read(piece.data(), piece.size())) > 0;) out += piece.substr(0, n);
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

const std::string kLines = "{\"text\":\"eins\"}\n\n{\"id\":3,\"text\":\"zwei\\nZeilen\"}\r\n{\"text\":\"\\u00e4\"}";
const std::vector<std::string> kDocuments = {"eins", "zwei\nZeilen", "\u00e4"};

TEST_F(Prepare, compressed_bytes_come_back_whole_also_from_several_streams) {
  std::string text;
  for (uint32_t i = 0; i < 200'000; ++i) text += static_cast<char>('a' + i * i % 23);
  const std::string first = text.substr(0, 70'000), rest = text.substr(70'000);
  EXPECT_EQ(read_all(put(dir_ / "a.gz", gzip(text))), text);
  EXPECT_EQ(read_all(put(dir_ / "b.gz", gzip(first) + gzip("") + gzip(rest))), text);
  EXPECT_EQ(read_all(put(dir_ / "a.zst", zstd(text))), text);
  EXPECT_EQ(read_all(put(dir_ / "b.zst", zstd(first) + zstd("") + zstd(rest))), text);
  EXPECT_EQ(read_all(put(dir_ / "plain", text)), text);
  EXPECT_EQ(read_all(put(dir_ / "e.gz", gzip(""))), "");
}

TEST_F(Prepare, every_truncation_of_compressed_data_is_an_error) {
  const std::string text = "some text that is compressed, some text";
  for (const auto& [name, whole] : {std::pair("a.gz", gzip(text)), std::pair("a.zst", zstd(text))}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      const fs::path path = put(dir_ / name, whole.substr(0, size));
      EXPECT_TRUE(contains(error_of([&] { read_all(path); }), name)) << size;
    }
    const fs::path longer = put(dir_ / name, whole + "rubbish");
    EXPECT_TRUE(contains(error_of([&] { read_all(longer); }), "damaged")) << name;
    const fs::path plain = put(dir_ / name, "plain text");
    EXPECT_TRUE(contains(error_of([&] { read_all(plain); }), "misnamed")) << name;
  }
}

TEST_F(Prepare, a_line_of_jsonl_is_a_document_whatever_the_compression) {
  for (const auto& [name, bytes] :
       {std::pair("x.jsonl", kLines), std::pair("x.jsonl.gz", gzip(kLines)), std::pair("x.jsonl.zst", zstd(kLines))}) {
    fs::remove_all(in_), fs::remove_all(out_);
    fs::create_directories(in_);
    put(in_ / name, bytes);
    const PrepareResult result = prepare_with(options());
    EXPECT_EQ(documents(out_), kDocuments) << name;
    EXPECT_EQ(result.documents, 3u);
    EXPECT_EQ(result.tokens, 3u + 4 + 11 + 2);
  }
}

TEST_F(Prepare, folders_are_read_sorted_and_without_hidden_or_binary_files) {
  fs::create_directories(in_ / "sub");
  fs::create_directories(in_ / ".git");
  put(in_ / "b.txt", "bee"), put(in_ / "a.md", "ay"), put(in_ / "sub" / "c.txt.gz", gzip("sea"));
  put(in_ / ".hidden", "no"), put(in_ / ".git" / "config", "no"), put(in_ / "image.png", std::string("\x89PNG\0", 5));
  put(in_ / "empty.txt", "");
  fs::create_directory_symlink(in_, in_ / "loop");
  PrepareResult result = prepare_with(options());
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"ay", "bee", "sea"}));
  EXPECT_EQ(result.files.files_left_out(), 2u) << ".hidden and image.png";
  EXPECT_EQ(result.files.folders_left_out(), 2u) << ".git and loop";
  EXPECT_EQ(result.empty_documents, 1u);

  fs::remove_all(out_);
  PrepareOptions only = options();
  only.documents.files.extensions = {".txt"};
  prepare_with(only);
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"bee", "sea"}));

  fs::remove_all(out_);
  PrepareOptions files = options();
  files.inputs = {in_ / "sub", in_ / "image.png"};
  prepare_with(files);
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"sea", std::string("\x89PNG\0", 5)}))
      << "named files are not judged";
}

TEST_F(Prepare, shards_are_bounded_and_no_document_is_split) {
  std::vector<std::string> expected;
  for (int i = 0; i < 40; ++i) {
    expected.push_back(std::string(static_cast<size_t>(1 + i * 7 % 13), static_cast<char>('a' + i % 26)));
  }
  expected[20] = std::string(100, 'x');
  std::string lines;
  for (const auto& text : expected) lines += "{\"text\":\"" + text + "\"}\n";
  put(in_ / "x.jsonl", lines);
  PrepareOptions o = options();
  o.shard_tokens = 30;
  const PrepareResult result = prepare_with(o);
  EXPECT_GT(result.manifest.shards.size(), 10u);
  EXPECT_EQ(documents(out_), expected);
  for (const auto& shard : result.manifest.shards) {
    EXPECT_TRUE(shard.tokens <= 30 || shard.documents == 1) << shard.tokens;
  }
}

TEST_F(Prepare, shuffling_keeps_every_document_and_follows_the_seed) {
  std::string lines;
  std::vector<std::string> in_order;
  for (int i = 0; i < 500; ++i) {
    in_order.push_back(fmt::format("document {}", i));
    lines += fmt::format("{{\"text\":\"{}\"}}\n", in_order.back());
  }
  put(in_ / "x.jsonl", lines);
  const auto shuffled = [&](std::optional<uint64_t> seed) {
    fs::remove_all(out_);
    PrepareOptions o = options();
    o.shuffle_seed = seed, o.shard_tokens = 1000;
    EXPECT_EQ(prepare_with(o).manifest.shuffle_seed, seed);
    return documents(out_);
  };
  EXPECT_EQ(shuffled({}), in_order);
  const auto one = shuffled(1);
  EXPECT_NE(one, in_order);
  EXPECT_EQ(one, shuffled(1));
  EXPECT_NE(one, shuffled(2));
  EXPECT_EQ(std::multiset<std::string>(one.begin(), one.end()),
            std::multiset<std::string>(in_order.begin(), in_order.end()));
  for (const auto& item : fs::directory_iterator(out_)) {
    const fs::path extension = item.path().extension();
    EXPECT_TRUE(extension == ".tokens" || extension == ".json") << item.path();
  }
}

TEST_F(Prepare, the_number_of_threads_does_not_change_the_result) {
  std::string lines;
  for (int i = 0; i < 3000; ++i) {
    lines += fmt::format("{{\"text\":\"{}\"}}\n", std::string(static_cast<size_t>(i % 50), 'a'));
  }
  put(in_ / "x.jsonl", lines);
  PrepareOptions one = options(), four = options();
  four.threads = 4, four.output = dir_ / "four";
  prepare_with(one), prepare_with(four);
  EXPECT_EQ(read_file(out_ / "shard-00000.tokens", 1 << 20), read_file(four.output / "shard-00000.tokens", 1 << 20));
  EXPECT_EQ(read_file(out_ / kManifestName, 1 << 20), read_file(four.output / kManifestName, 1 << 20));
}

TEST_F(Prepare, an_error_of_the_tokenizer_in_any_thread_arrives_and_leaves_nothing) {
  put(in_ / "x.jsonl", kLines);
  for (const int threads : {1, 3}) {
    PrepareOptions o = options();
    o.threads = threads;
    const Encode failing = [](std::string_view text) -> std::vector<int32_t> {
      if (text == "eins") fail("no words");
      return encode_bytes(text);
    };
    EXPECT_TRUE(contains(error_of([&] { prepare(o, failing, {}); }), "no words"));
    expect_nothing_left();
  }
  const Encode beyond = [](std::string_view) { return std::vector<int32_t>{257}; };
  EXPECT_TRUE(contains(error_of([&] { prepare(options(), beyond, {}); }), "beyond its vocabulary"));
  expect_nothing_left();
}

TEST_F(Prepare, bad_lines_are_named_by_file_and_line) {
  const auto error = [&](std::string_view line) {
    put(in_ / "x.jsonl", "{\"text\":\"good\"}\n" + std::string(line) + "\n");
    const std::string text = error_with(options());
    expect_nothing_left();
    EXPECT_TRUE(contains(text, "x.jsonl:2")) << text;
    return text;
  };
  EXPECT_TRUE(contains(error("{\"text\":"), "JSON"));
  EXPECT_TRUE(contains(error("[1]"), "no JSON object"));
  EXPECT_TRUE(contains(error("\"text\""), "no JSON object"));
  EXPECT_TRUE(contains(error("{\"body\":\"x\",\"title\":\"y\"}"), "fields with text: body, title"));
  EXPECT_TRUE(contains(error("{\"text\":7}"), "'text' is not text"));
  EXPECT_TRUE(contains(error("{\"text\":\"\xff\"}"), "JSON"));
  EXPECT_TRUE(contains(error("{\"text\":\"a\",\"text\":\"b\"}"), "twice"));
  EXPECT_TRUE(contains(error("{\"text\":" + std::string(100'000, '[')), "nested"));
}

TEST_F(Prepare, another_field_can_hold_the_text) {
  put(in_ / "x.jsonl", "{\"text\":\"no\",\"content\":\"yes\"}");
  PrepareOptions o = options();
  o.documents.field = "content";
  prepare_with(o);
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"yes"}));
}

TEST_F(Prepare, documents_beyond_the_limit_are_refused_before_they_fill_the_memory) {
  PrepareOptions o = options();
  o.documents.max_document_bytes = 1'000'000;
  put(in_ / "bomb.txt.gz", gzip(std::string(20'000'000, 'a')));
  EXPECT_TRUE(contains(error_with(o), "bomb.txt.gz: larger than"));
  fs::remove(in_ / "bomb.txt.gz");
  put(in_ / "line.jsonl.zst", zstd("\n{\"text\":\"" + std::string(20'000'000, 'a')));
  EXPECT_TRUE(contains(error_with(o), "line.jsonl.zst:2: a line of more than"));
  expect_nothing_left();
}

TEST_F(Prepare, nothing_to_read_is_an_error_not_an_empty_folder) {
  EXPECT_TRUE(contains(error_with(options()), "no text file"));
  put(in_ / "a.txt", "");
  for (const std::optional<uint64_t> seed : {std::optional<uint64_t>{}, std::optional<uint64_t>{1}}) {
    PrepareOptions o = options();
    o.shuffle_seed = seed;
    EXPECT_TRUE(contains(error_with(o), "no document"));
  }
  PrepareOptions absent = options();
  absent.inputs = {dir_ / "absent"};
  EXPECT_TRUE(contains(error_with(absent), "absent: there is no such"));
  expect_nothing_left();
}

TEST_F(Prepare, an_existing_output_is_never_touched) {
  put(in_ / "a.txt", "text");
  fs::create_directories(out_);
  prepare_with(options());
  EXPECT_EQ(documents(out_).size(), 1u) << "an empty folder may be filled";
  const auto before = read_file(out_ / kManifestName, 10'000);
  EXPECT_TRUE(contains(error_with(options()), "exists already"));
  EXPECT_EQ(read_file(out_ / kManifestName, 10'000), before);
  PrepareOptions file = options();
  file.output = in_ / "a.txt";
  EXPECT_TRUE(contains(error_with(file), "exists already"));
  PrepareOptions impossible = options();
  impossible.output = "/proc/ingrain-cannot-write-here";
  EXPECT_TRUE(contains(error_with(impossible), "cannot write there"));
}

TEST_F(Prepare, stopping_leaves_nothing_behind) {
  put(in_ / "x.jsonl", kLines);
  for (const std::optional<uint64_t> seed : {std::optional<uint64_t>{}, std::optional<uint64_t>{1}}) {
    PrepareOptions o = options();
    o.shuffle_seed = seed;
    const auto stop = [](const PrepareProgress&) { return false; };
    EXPECT_TRUE(contains(error_of([&] { prepare(o, encode_bytes, stop); }), "stopped"));
    expect_nothing_left();
  }
}

TEST_F(Prepare, progress_reaches_the_end) {
  put(in_ / "x.jsonl", kLines), put(in_ / "y.txt.gz", gzip("y"));
  PrepareProgress last;
  prepare(options(), encode_bytes, [&](const PrepareProgress& now) {
    EXPECT_GE(now.bytes_done, last.bytes_done);
    last = now;
    return true;
  });
  EXPECT_EQ(last.bytes_done, last.bytes_total);
  EXPECT_EQ(last.bytes_total, kLines.size() + fs::file_size(in_ / "y.txt.gz"));
  EXPECT_EQ(last.documents, 4u);
}

/// Within its life no file may grow beyond `bytes`: what a full disk looks like to the program.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(Prepare, a_failing_write_at_any_point_leaves_nothing_behind) {
  put(in_ / "a.txt", std::string(5000, 'a'));
  for (const rlim_t bytes : {0, 100, 200, 5000, 10'000, 10'180}) {
    std::string error;
    {
      const FileSizeLimit limit(bytes);
      error = error_with(options());
    }
    EXPECT_TRUE(contains(error, "cannot write")) << bytes << ": " << error;
    expect_nothing_left();
  }
}

TEST_F(Prepare, names_in_capitals_and_json_lines_called_json_are_read_as_what_they_are) {
  const std::map<std::string, std::string> files{{"x.JSONL", kLines},
                                                 {"x.Jsonl.GZ", gzip(kLines)},
                                                 {"x.ndjson.ZST", zstd(kLines)},
                                                 {"x.json", kLines},
                                                 {"x.json.gz", gzip("\n" + kLines)}};
  for (const auto& [name, bytes] : files) {
    fs::remove_all(in_), fs::remove_all(out_);
    fs::create_directories(in_);
    put(in_ / name, bytes);
    prepare_with(options());
    EXPECT_EQ(documents(out_), kDocuments) << name;
  }
  for (const std::string whole : {"{\n  \"text\": \"one\"\n}\n", "[{\"text\":\"one\"}]", "{\"title\":\"x\"}", ""}) {
    fs::remove_all(in_), fs::remove_all(out_);
    fs::create_directories(in_);
    put(in_ / "x.json", whole), put(in_ / "y.txt", "y");
    prepare_with(options());
    EXPECT_EQ(documents(out_).front(), whole.empty() ? "y" : whole) << "JSON, but no lines of documents";
  }
}

TEST_F(Prepare, what_stands_beside_the_text_is_not_judged) {
  for (const std::string beside :
       {"NaN", "[Infinity, -Infinity]", "1e999", "123456789012345678901234567890", "{\"k\": 1, \"k\": 2}",
        "\"cut \\ud83d here\"", "{\"a\": [1, {\"b\": \"}]\\\"\"}], \"text\": 7}", "\"\xff\"", "null"}) {
    put(in_ / "x.jsonl",
        fmt::format("{{\"x\": {0}, \"text\": \"one\", \"x\": {0}}}\n{{\"te\\u0078t\":\"two\"}}", beside));
    fs::remove_all(out_);
    prepare_with(options());
    EXPECT_EQ(documents(out_), (std::vector<std::string>{"one", "two"})) << beside;
  }
}

TEST_F(Prepare, bad_lines_are_left_out_and_counted_if_asked) {
  const std::vector<std::string> bad{"[1]",
                                     "{\"text\":",
                                     "{\"text\": 1}",
                                     "{}",
                                     "{\"text\": \"\\ud83d\"}",
                                     "{\"text\":\"a\"} b",
                                     "{\"text\" \"a\"}",
                                     "{\"text\":\"a\" \"b\":1}",
                                     "{\"x\": [1 2], \"text\":\"a\"}",
                                     "{\"x\": nan, \"text\":\"a\"}",
                                     "{\"x\": \"",
                                     "{\"x\":\"\\"};
  std::string lines = "{\"text\":\"good\"}\n";
  for (const std::string& line : bad) lines += line + "\n";
  put(in_ / "x.jsonl", lines + "{\"text\":\"last\"}");
  PrepareOptions o = options();
  EXPECT_TRUE(contains(error_with(o), "x.jsonl:2")) << "without being asked, the first ends the work";
  o.documents.skip_bad = true;
  const PrepareResult result = prepare_with(o);
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"good", "last"}));
  EXPECT_EQ(result.bad_lines.count, bad.size());
  EXPECT_TRUE(contains(result.bad_lines.first, "x.jsonl:2"));
}

TEST_F(Prepare, long_windows_of_zstandard_are_read) {
  // Written in two parts, so that the window is as long as it was asked to be, not as the text.
  std::string text;
  for (uint32_t i = 0, x = 1; i < 200'000; ++i) text += static_cast<char>('a' + ((x = x * 1664525 + 1013904223) >> 28));
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 28);
  std::string out(ZSTD_compressBound(text.size()) + 1000, '\0');
  ZSTD_inBuffer in{text.data(), text.size() / 2, 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ASSERT_EQ(ZSTD_compressStream2(context, &to, &in, ZSTD_e_flush), 0u);
  in.size = text.size();
  ASSERT_EQ(ZSTD_compressStream2(context, &to, &in, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  ZSTD_DStream* const stream = ZSTD_createDStream();
  std::string piece(1000, '\0');
  ZSTD_inBuffer from{out.data(), out.size(), 0};
  ZSTD_outBuffer into{piece.data(), piece.size(), 0};
  EXPECT_TRUE(ZSTD_isError(ZSTD_decompressStream(stream, &into, &from))) << "zstd itself asks for --long first";
  ZSTD_freeDStream(stream);
  EXPECT_EQ(read_all(put(dir_ / "long.zst", out)), text);
}

TEST_F(Prepare, folders_are_read_as_their_gitignore_says_and_what_cannot_be_read_is_named) {
  fs::create_directories(in_ / "a" / "logs"), fs::create_directories(in_ / ".git"),
      fs::create_directories(in_ / "build");
  put(in_ / ".gitignore", "# comment\n*.log\n!keep.log\n/top.txt\nlogs/\n");
  put(in_ / "a" / ".gitignore", "b.txt\n");
  for (const char* name :
       {"x.log", "keep.log", "top.txt", "a/top.txt", "a/b.txt", "b.txt", "a/logs/z.txt", "build/o.txt"})
    put(in_ / name, name);
  fs::create_symlink(in_ / "absent", in_ / "a" / "link.txt");
  put(in_ / "not.gz", "plain text");
  const std::vector<std::string> kept{"a/top.txt", "b.txt", "keep.log"};
  PrepareResult result = prepare_with(options());
  EXPECT_EQ(documents(out_), kept);
  std::map<std::string, std::string> why;
  for (const LeftOut& one : result.files.left_out) {
    why[one.path.lexically_relative(in_)] = one.why;
    EXPECT_EQ(one.trouble, one.path.filename() == "link.txt" || one.path.filename() == "not.gz") << one.path;
  }
  EXPECT_EQ(why["a/b.txt"], "in .gitignore");
  EXPECT_EQ(why["a/logs"], "in .gitignore");
  EXPECT_EQ(why["build"], "generated");
  EXPECT_EQ(why["a/link.txt"], "leads nowhere");
  EXPECT_TRUE(contains(why["not.gz"], "misnamed")) << why["not.gz"];
  EXPECT_EQ(result.files.folders_left_out(), 3u) << ".git, a/logs, build";

  fs::remove_all(out_);
  PrepareOptions below = options();
  below.inputs = {in_ / "a"};
  prepare_with(below);
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"a/top.txt"})) << "rules come from the repository's root";

  fs::remove_all(out_);
  PrepareOptions all = options();
  all.documents.files.ignore = false;
  EXPECT_EQ(prepare_with(all).documents, 8u);
}

TEST(IgnorePatterns, mean_what_git_means) {
  const auto matches = matches_ignore_pattern;
  EXPECT_TRUE(matches("a/b", "a/b") && matches("a/bc", "a/b*") && matches("a", "*") && matches("x.c", "*.[ch]"));
  EXPECT_FALSE(matches("a/b/c", "a/*"));
  EXPECT_TRUE(matches("a/b/c", "a/**") && matches("c", "**/c") && matches("a/b/c", "**/c") && matches("a/c", "a/**/c"));
  EXPECT_TRUE(matches("a/x/y/c", "a/**/c") && matches("a/b/c", "**"));
  EXPECT_FALSE(matches("a", "a/**") || matches("b/a/c", "a/**/c") || matches("ab", "a?c"));
}

}  // namespace
}  // namespace ingrain::data
