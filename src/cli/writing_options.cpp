#include "cli/writing_options.h"
#include "cli/ranges.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/output.h"
#include "session/sampler.h"

#include <charconv>
#include <cstdio>

namespace ingrain::cli {
namespace {

/// "ID=VALUE" pairs.
std::map<int32_t, double> parse_biases(const std::vector<std::string>& texts) {
  std::map<int32_t, double> out;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    int32_t id = 0;
    double value = 0;
    const char *begin = text.data(), *end = begin + text.size();
    const bool ok = equals != text.npos && std::from_chars(begin, begin + equals, id).ptr == begin + equals &&
                    std::from_chars(begin + equals + 1, end, value).ptr == end && equals + 1 < text.size();
    if (!ok) fail_usage("--logit-bias '{}' is not ID=VALUE, such as 13=-100 or 13=-inf", text);
    out[id] = value;
  }
  return out;
}

Learn parse_learn(const std::string& name) {
  if (name == "off") return Learn::off;
  return name == "input" ? Learn::input : Learn::all;
}

}  // namespace

void WritingOptions::add_to(CLI::App& command) {
  auto& s = options.sampling;
  command.add_option("--max-tokens", options.max_tokens, "Write at most N tokens")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--stop", options.stop, "End before this text (may be given several times)")
      ->allow_extra_args(false);
  command.add_option("--seed", s.seed, "The same seed gives the same text")
      ->check(without_sign())
      ->capture_default_str();
  command.add_option("--temperature", s.temperature, "0: always the likeliest token")->capture_default_str();
  command.add_option("--top-k", s.top_k, "Only the k likeliest tokens; 0: all")->capture_default_str();
  command.add_option("--top-p", s.top_p, "Only the fewest tokens that reach this probability")->capture_default_str();
  command.add_option("--min-p", s.min_p, "Only tokens with this share of the likeliest one's probability")
      ->capture_default_str();
  command.add_option("--repetition-penalty", s.repetition_penalty, "Above 1: tokens seen become less likely")
      ->capture_default_str();
  command.add_option("--presence-penalty", s.presence_penalty, "Taken once from the logit of a token seen")
      ->capture_default_str();
  command.add_option("--frequency-penalty", s.frequency_penalty, "Taken for each time it was seen")
      ->capture_default_str();
  command.add_option("--penalty-window", s.penalty_window, "How many of the latest tokens count as seen")
      ->capture_default_str();
  command.add_option("--logit-bias", biases_, "ID=VALUE, added to that token's logit (may be given several times)")
      ->allow_extra_args(false);
  command
      .add_option("--learn", learn_,
                  "all: learn from what is read and written; input: only from what you give; off: not at all")
      ->check(CLI::IsMember({"all", "input", "off"}))
      ->capture_default_str();
}

GenerateOptions WritingOptions::parse() const {
  GenerateOptions out = options;
  out.sampling.logit_bias = parse_biases(biases_);
  session::validate(out.sampling);
  out.learn = parse_learn(learn_);
  out.keep_going = [] { return !interrupted(); };
  return out;
}

void show_text(std::string_view text) { put(text); }

}  // namespace ingrain::cli
