// POST /v1/completions, /tokenize and /detokenize, as they come in.
#pragma once

#include "serve/api/ask.h"

namespace ingrain::serve::api {

/// One Ask with one prompt for each that the request holds; all else is the same in all.
std::vector<Ask> read_completion_request(const Json& body, const AskLimits& limits);

struct TokenizeRequest {
  std::string model;  // as Ask's
  std::string text;
  bool special = false;  // control tokens in it are meant as such
};
TokenizeRequest read_tokenize_request(const Json& body);
struct DetokenizeRequest {
  std::string model;
  std::vector<int32_t> tokens;
};
DetokenizeRequest read_detokenize_request(const Json& body);

}  // namespace ingrain::serve::api
