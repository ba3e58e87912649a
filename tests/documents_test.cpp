#include "data/byte_reader.h"
#include "data/encoding.h"
#include "data/ignore_rules.h"
#include "prepared.h"

#include <map>

namespace ingrain::data {
namespace {

using Documents = Prepare;

std::string read_all(const fs::path& path) {
  const auto reader = open_bytes(path);
  std::string out, piece(1000, '\0');
  for (size_t n; (n = reader->read(piece.data(), piece.size())) > 0;) out += piece.substr(0, n);
  return out;
}

TEST_F(Documents, compressed_bytes_come_back_whole_also_from_several_streams) {
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

TEST_F(Documents, every_truncation_of_compressed_data_is_an_error) {
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

TEST_F(Documents, a_line_of_jsonl_is_a_document_whatever_the_compression) {
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

TEST_F(Documents, folders_are_read_sorted_and_without_hidden_or_binary_files) {
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

TEST_F(Documents, bad_lines_are_named_by_file_and_line) {
  const auto error = [&](std::string_view line) {
    put(in_ / "x.jsonl", "{\"text\":\"good\"}\n" + std::string(line) + "\n");
    const std::string text = error_with(options());
    expect_nothing_left();
    EXPECT_TRUE(contains(text, "x.jsonl:2")) << text;
    return text;
  };
  EXPECT_TRUE(contains(error("{\"text\":"), "JSON"));
  EXPECT_TRUE(contains(error("[1]"), "no JSON object but an array"));
  EXPECT_TRUE(contains(error("\"text\""), "no JSON object"));
  EXPECT_TRUE(contains(error("{\"body\":\"x\",\"title\":\"y\"}"), "fields with text: body, title"));
  EXPECT_TRUE(contains(error("{\"text\":7}"), "'text' is not text"));
  EXPECT_TRUE(contains(error("{\"text\":\"\xff\"}"), "JSON"));
  EXPECT_TRUE(contains(error("{\"text\":\"a\",\"text\":\"b\"}"), "twice"));
  EXPECT_TRUE(contains(error("{\"text\":" + std::string(100'000, '[')), "nested"));
}

TEST_F(Documents, another_field_can_hold_the_text) {
  put(in_ / "x.jsonl", "{\"text\":\"no\",\"content\":\"yes\"}");
  PrepareOptions o = options();
  o.documents.field = "content";
  prepare_with(o);
  EXPECT_EQ(documents(out_), (std::vector<std::string>{"yes"}));
}

TEST_F(Documents, documents_beyond_the_limit_are_refused_before_they_fill_the_memory) {
  PrepareOptions o = options();
  o.documents.max_document_bytes = 1'000'000;
  put(in_ / "bomb.txt.gz", gzip(std::string(20'000'000, 'a')));
  EXPECT_TRUE(contains(error_with(o), "bomb.txt.gz: larger than"));
  fs::remove(in_ / "bomb.txt.gz");
  put(in_ / "line.jsonl.zst", zstd("\n{\"text\":\"" + std::string(20'000'000, 'a')));
  EXPECT_TRUE(contains(error_with(o), "line.jsonl.zst:2: a line of more than"));
  expect_nothing_left();
}

TEST_F(Documents, names_in_capitals_and_json_lines_called_json_are_read_as_what_they_are) {
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
  for (const std::string whole : {"{\n  \"text\": \"one\"\n}\n", "[{\"title\":\"x\"}]", "{\"title\":\"x\"}", ""}) {
    fs::remove_all(in_), fs::remove_all(out_);
    fs::create_directories(in_);
    put(in_ / "x.json", whole), put(in_ / "y.txt", "y");
    prepare_with(options());
    EXPECT_EQ(documents(out_).front(), whole.empty() ? "y" : whole) << "JSON, but no lines of documents";
  }
}

TEST_F(Documents, what_stands_beside_the_text_is_not_judged) {
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

TEST_F(Documents, bad_lines_are_left_out_and_counted_if_asked) {
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

TEST_F(Documents, long_windows_of_zstandard_are_read) {
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

TEST_F(Documents, folders_are_read_as_their_gitignore_says_and_what_cannot_be_read_is_named) {
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

/// As some text is written on Windows, and by PowerShell into pipes and files.
TEST_F(Documents, text_that_is_not_utf8_is_refused_where_it_is_named_and_named_where_it_is_found) {
  const auto wide = [](std::string_view text, bool little, std::string_view mark, int zeros) {
    std::string out(mark);
    for (const char c : text) {
      if (!little) out.append(static_cast<size_t>(zeros), '\0');
      out += c;
      if (little) out.append(static_cast<size_t>(zeros), '\0');
    }
    return out;
  };
  const std::string text = "Some text, and {\"text\": 1}\r\n";
  const std::map<std::string, std::string> files{{"UTF-16LE", wide(text, true, "\xFF\xFE", 1)},
                                                 {"UTF-16BE", wide(text, false, "", 1)},
                                                 {"UTF-32LE", wide(text, true, {"\xFF\xFE\0\0", 4}, 3)},
                                                 {"UTF-32BE", wide(text, false, {"\0\0\xFE\xFF", 4}, 3)}};
  put(in_ / "a.txt", "plain");
  for (const auto& [encoding, bytes] : files)
    for (const char* name : {"x.txt", "x.jsonl", "x.csv.gz"}) {
      const fs::path file = put(in_ / name, std::string_view(name).ends_with(".gz") ? gzip(bytes) : bytes);
      PrepareOptions o = options();
      o.inputs = {file};
      EXPECT_TRUE(contains(error_with(o), fmt::format("{}: cannot be read as text: it is {}", name, encoding)));
      const PrepareResult result = prepare_with(options());
      EXPECT_EQ(documents(out_), (std::vector<std::string>{"plain"})) << name;
      EXPECT_TRUE(result.files.left_out.front().trouble && contains(result.files.left_out.front().why, "iconv"));
      fs::remove(file), fs::remove_all(out_);
    }
  EXPECT_EQ(wide_encoding(wide(text, true, "", 3)), "UTF-32LE") << "without a mark";
  EXPECT_EQ(wide_encoding(wide(text, false, "", 3)), "UTF-32BE");
  std::string cyrillic[2];  // "\u0430 \u0431 ...": of every four bytes one is zero, and with more letters fewer
  for (int i = 0; i < 40; ++i) {
    const char low = static_cast<char>(0x30 + i % 32);
    cyrillic[0] += std::string({low, 4}) + (i % 8 == 0 ? std::string(" \0", 2) : "");
    cyrillic[1] += std::string({4, low}) + (i % 8 == 0 ? std::string("\0 ", 2) : "");
  }
  EXPECT_EQ(wide_encoding(cyrillic[0]), "UTF-16LE");
  EXPECT_EQ(wide_encoding(cyrillic[1]), "UTF-16BE");
  std::string names, ids;
  for (int i = 0; i < 100; ++i) {
    names += fmt::format("file{:03}", i * 7) + '\0';                              // find -print0
    ids += std::string({static_cast<char>(i * 37), static_cast<char>(i), 0, 0});  // tokens of 32 bits
  }
  EXPECT_EQ(wide_encoding(names), "");
  EXPECT_EQ(wide_encoding(ids), "");
  EXPECT_EQ(wide_encoding("plain"), "");
  EXPECT_EQ(wide_encoding(std::string_view("\x89PNG\0\0\0\rIHDR\0\0\0\0", 16)), "");
}

TEST_F(Documents, an_array_of_documents_is_not_taken_for_one) {
  for (const std::string whole :
       {"[{\"id\": 1, \"text\": \"one\"}, {\"text\": \"two\"}]", "\xEF\xBB\xBF [\n {\n  \"text\": \"cut"}) {
    PrepareOptions o = options();
    o.inputs = {put(in_ / "x.json", whole)};
    EXPECT_TRUE(contains(error_with(o), "x.json: cannot be read as documents")) << whole;
    o.inputs = {in_, put(dir_ / "y.txt", "y")};
    const PrepareResult result = prepare_with(o);
    EXPECT_EQ(documents(out_), (std::vector<std::string>{"y"}));
    EXPECT_TRUE(result.files.left_out.front().trouble && contains(result.files.left_out.front().why, "jq"));
    fs::remove_all(out_);
    o.documents.field = "body";
    prepare_with(o);
    EXPECT_EQ(documents(out_).front(), whole) << "of other fields it is text";
    fs::remove_all(out_);
  }
}

TEST_F(Documents, lines_of_json_may_begin_with_a_byte_order_mark) {
  for (const char* name : {"x.jsonl", "x.json"}) {
    PrepareOptions o = options();
    o.inputs = {put(in_ / name, "\xEF\xBB\xBF" + kLines)};
    prepare_with(o);
    EXPECT_EQ(documents(out_), kDocuments) << name;
    fs::remove_all(out_);
  }
}

}  // namespace
}  // namespace ingrain::data
