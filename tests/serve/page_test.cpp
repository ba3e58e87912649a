#include "serve/page/page.h"

#include <gtest/gtest.h>

#include <regex>

namespace ingrain::serve {
namespace {

/// One request, and what was replied.
class Asked : public Exchange {
 public:
  explicit Asked(Request request) : request_(std::move(request)) {}
  const Request& request() const override { return request_; }
  void reply(int status, std::string_view content_type, std::string body, const Headers& more) override {
    status_ = status;
    type = content_type;
    bytes = std::move(body);
    headers = more;
  }
  void begin(int status, std::string_view, const Headers&) override { status_ = status; }
  bool write(std::string_view) override { return false; }
  void end() override {}
  bool gone() const override { return false; }
  int status() const override { return status_; }

  std::string type, bytes;
  Headers headers;

 private:
  Request request_;
  int status_ = 0;
};

Request get(const std::string& path, const std::string& known = {}) {
  Request out;
  out.method = "GET";
  out.path = path;
  if (!known.empty()) out.headers["If-None-Match"] = known;
  return out;
}

TEST(Page, holds_every_file_that_its_files_name) {
  const std::regex named("(?:src|href)=\"(/[^\"]*)\"|from \"\\./([^\"]*)\"");
  size_t count = 0;
  for (const PageFile& file : page_files()) {
    const std::string text(file.bytes);
    for (std::sregex_iterator match(text.begin(), text.end(), named), end; match != end; ++match) {
      const std::string path = (*match)[1].matched ? (*match)[1].str() : "/page/" + (*match)[2].str();
      EXPECT_NE(page_file(path), nullptr) << file.path << " names " << path;
      ++count;
    }
  }
  EXPECT_GE(count, 20u);
}

TEST(Page, has_neither_inline_scripts_nor_styles_nor_markup_from_text) {
  const std::regex forbidden(
      "<script>|<style|\\son\\w+=\"|\\sstyle=\"|innerHTML|outerHTML|insertAdjacentHTML|document\\.write|eval\\(");
  for (const PageFile& file : page_files()) {
    const std::string text(file.bytes);
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, forbidden)) << file.path << ": " << found.str();
  }
}

TEST(Page, names_no_other_server) {
  for (const PageFile& file : page_files()) {
    if (file.path == "/page/icon.svg" || file.path == "/page/dom.js") continue;  // the name of SVG's namespace
    const std::regex address("[\"'(]https?://[a-z]");
    EXPECT_FALSE(std::regex_search(std::string(file.bytes), address)) << file.path;
  }
}

TEST(Page, is_sent_once_and_then_known_by_its_tag) {
  const PageFile* file = page_file("/");
  ASSERT_NE(file, nullptr);
  Asked first(get("/"));
  reply_page(first, *file);
  EXPECT_EQ(first.status(), 200);
  EXPECT_EQ(first.type, "text/html; charset=utf-8");
  EXPECT_EQ(first.bytes, file->bytes);
  const std::string tag = first.headers.at("ETag");
  for (const std::string& known : {tag, "W/" + tag, "\"other\", " + tag, std::string("*")}) {
    Asked again(get("/", known));
    reply_page(again, *file);
    EXPECT_EQ(again.status(), 304) << known;
    EXPECT_EQ(again.bytes, "");
    EXPECT_EQ(again.headers.at("ETag"), tag);
  }
  Asked changed(get("/", "\"other\""));
  reply_page(changed, *file);
  EXPECT_EQ(changed.status(), 200);
}

TEST(Page, allows_scripts_and_connections_of_this_server_alone) {
  Asked asked(get("/"));
  reply_page(asked, *page_file("/"));
  const std::string policy = asked.headers.at("Content-Security-Policy");
  for (const char* rule :
       {"default-src 'none';", "script-src 'self';", "connect-src 'self';", "frame-ancestors 'none';"})
    EXPECT_NE(policy.find(rule), policy.npos) << rule;
  EXPECT_EQ(policy.find("unsafe"), policy.npos);
  EXPECT_EQ(asked.headers.at("X-Content-Type-Options"), "nosniff");
}

TEST(Page, has_nothing_beside_its_files) {
  for (const char* path : {"", "/page", "/page/", "/page/../page/app.js", "/page/index.html", "/page/none.js"})
    EXPECT_EQ(page_file(path), nullptr) << path;
}

}  // namespace
}  // namespace ingrain::serve
