#include "serve/page/page.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

// Trusted types: the browser itself refuses innerHTML and its like.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types "
    "'none'";

/// Whether a list of If-None-Match names this tag. A weak one is as good: a proxy that compresses makes it so.
bool names(std::string_view list, std::string_view etag) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    std::string_view tag = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (!tag.empty() && tag.front() == ' ') tag.remove_prefix(1);
    while (!tag.empty() && tag.back() == ' ') tag.remove_suffix(1);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag || tag == "*") return true;
  }
  return false;
}

}  // namespace

const PageFile* page_file(std::string_view path) {
  const auto files = page_files();
  const auto found = std::find_if(files.begin(), files.end(), [&](const PageFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

void reply_page(Exchange& exchange, const PageFile& file) {
  const Headers headers = {{"ETag", std::string(file.etag)},
                           {"Cache-Control", "no-cache"},
                           {"Content-Security-Policy", kPolicy},
                           {"X-Content-Type-Options", "nosniff"},
                           {"Referrer-Policy", "no-referrer"},
                           {"Cross-Origin-Opener-Policy", "same-origin"},
                           {"Cross-Origin-Resource-Policy", "same-origin"}};
  const Headers& asked = exchange.request().headers;
  const auto known = asked.find("If-None-Match");
  if (known != asked.end() && names(known->second, file.etag))
    exchange.reply(304, file.content_type, {}, headers);
  else
    exchange.reply(200, file.content_type, std::string(file.bytes), headers);
}

}  // namespace ingrain::serve
