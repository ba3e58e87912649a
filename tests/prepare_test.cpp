#include "prepared.h"

#include <sys/resource.h>

#include <csignal>
#include <set>

namespace ingrain::data {
namespace {

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

}  // namespace
}  // namespace ingrain::data
