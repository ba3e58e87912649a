// The page at "/": the files of web/, compiled in.
#pragma once

#include "serve/http/server.h"

#include <span>
#include <string_view>

namespace ingrain::serve {

struct PageFile {
  std::string_view path;          // as it is asked for: "/", "/page/app.js"
  std::string_view content_type;  // "text/javascript; charset=utf-8"
  std::string_view bytes;
  std::string_view etag;  // quoted; of the content
};

/// All of them (cmake/embed.cmake writes this).
std::span<const PageFile> page_files();
/// nullptr where there is none.
const PageFile* page_file(std::string_view path);

/// Replies with the file: 200, or 304 where the client has it. Scripts and styles come from this server alone, nothing
/// is framed, and no text becomes markup.
void reply_page(Exchange& exchange, const PageFile& file);

}  // namespace ingrain::serve
