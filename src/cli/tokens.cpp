// ingrain tokens: what a model reads of a text, token by token.
#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/warnings.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "base/utf8.h"
#include "data/byte_reader.h"
#include "data/encoding.h"
#include "store/model_tokenizer.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/tokenizer.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxTokensText = 1 << 30;

struct TokensCommand {
  std::string model, text;
  bool as_json = false, special = false, whole = false;
};

/// A tokenizer.json by itself, or that of a model: without the tokens that it has no embedding for.
tokenizer::Tokenizer tokenizer_of(const std::string& name) {
  if (fs::path(name).extension() == ".json") return tokenizer::Tokenizer::load(name);
  const fs::path model = resolve_model(name);
  std::optional<ModelConfig> config;
  try {
    config = config_of(model);
  } catch (const Error&) {
    return tokenizer::tokenizer_at(model);  // of a model that we cannot run
  }
  return load_tokenizer(model, *config);
}

/// A token's bytes for people: white space and bytes that are no text are spelt.
std::string shown(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size();) {
    const Utf8Step step = utf8_step(bytes, i);
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (step.kind != Utf8::valid)
      for (size_t k = i; k < i + step.length; ++k) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(bytes[k]));
    else if (byte == '\n' || byte == '\t' || byte == '\r')
      out += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r";
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += bytes.substr(i, step.length);
    i += step.length;
  }
  return out;
}

void print_json(const tokenizer::Tokenizer& tokenizer, const std::vector<tokenizer::TokenPlace>& places) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [id, begin, end] : places)
    out.push_back({{"id", id},
                   {"piece", utf8_lossy(tokenizer.id_to_written(id))},
                   {"text", utf8_lossy(tokenizer.id_to_bytes(id))},
                   {"begin", begin},
                   {"end", end},
                   {"special", tokenizer.is_special(id)}});
  std::printf("%s\n", out.dump(2).c_str());
}

/// The text with a colour for each token in turn, where it goes to a terminal.
void print_coloured(const tokenizer::Tokenizer& tokenizer, const std::vector<tokenizer::TokenPlace>& places) {
  constexpr int kColours[] = {44, 42, 45, 46, 43};  // backgrounds
  size_t next = 0;
  for (const auto& place : places) {
    const std::string text = shown(tokenizer.id_to_bytes(place.id));
    std::printf("\033[30;%dm%s\033[0m", tokenizer.is_special(place.id) ? 47 : kColours[next++ % std::size(kColours)],
                text.c_str());
    if (tokenizer.id_to_bytes(place.id).ends_with('\n')) std::printf("\n");
  }
  std::printf("\n\n");
}

void print_table(const tokenizer::Tokenizer& tokenizer, const std::vector<tokenizer::TokenPlace>& places,
                 size_t bytes) {
  std::printf("%8s  %-15s  %s\n", "id", "bytes", "piece");
  for (const auto& [id, begin, end] : places) {
    stop_if_interrupted("stopped; the rest of the tokens is not shown");
    std::printf("%8d  %-15s  %s%s\n", id, begin == end ? "-" : fmt::format("{}-{}", begin, end).c_str(),
                shown(tokenizer.id_to_written(id)).c_str(), tokenizer.is_special(id) ? "  (special)" : "");
  }
  std::printf("%s, %s\n", counted(std::ssize(places), "token").c_str(),
              counted(static_cast<int64_t>(bytes), "byte").c_str());
}

/// A pipe's, too. Stopped if a signal comes while it is waited for.
std::string standard_input() {
  watch_interrupts("nothing is kept");
  const char* const name = "standard input";
  std::string text = data::read_to_end(*data::open_standard_input(), kMaxTokensText, name, "give a part of it");
  data::require_text(text, name);
  return text;
}

void tokens(const TokensCommand& o) {
  const tokenizer::Tokenizer tokenizer = tokenizer_of(o.model);
  say_warnings(tokenizer);
  const std::string text = o.text == "-" ? standard_input() : o.text;
  const auto places = tokenizer.encode_with_places(text, {.add_special_tokens = o.whole, .parse_special = o.special});
  stop_if_interrupted("stopped; nothing is shown");
  if (o.as_json) return print_json(tokenizer, places);
  if (::isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR")) print_coloured(tokenizer, places);
  print_table(tokenizer, places, text.size());
}

}  // namespace

void add_tokens_command(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("tokens", "Show what a model reads of a text, token by token");
  auto o = std::make_shared<TokensCommand>();
  command->add_option("MODEL", o->model, "A model folder, GGUF file or name, or a tokenizer.json")->required();
  command->add_option("TEXT", o->text, "The text; '-' for standard input")->required();
  add_special_flag(*command, o->special);
  command->add_flag("--whole", o->whole, "Add what stands around a text: a beginning-of-text token, say");
  command->add_flag("--json", o->as_json, "Print JSON");
  command->callback([o] { tokens(*o); });
}

}  // namespace ingrain::cli
