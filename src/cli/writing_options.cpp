#include "cli/writing_options.h"
#include "cli/ranges.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/output.h"
#include "base/text.h"
#include "base/whole_number.h"
#include "session/sampler.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace ingrain::cli {
namespace {

/// "ID=VALUE" pairs.
std::map<int32_t, double> parse_biases(const std::vector<std::string>& texts) {
  std::map<int32_t, double> out;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == text.npos)
      fail_usage("--logit-bias '{}' is not ID=VALUE, such as 13=-100 or 13=-inf", printable(text));
    const std::string id = text.substr(0, equals), number = text.substr(equals + 1);
    const auto range = WholeRange::of<int32_t>(0);
    if (const std::string fault = whole_number_fault(id, range); !fault.empty())
      fail_usage("--logit-bias '{}': the id {}", printable(text), fault);
    double value = 0;
    const char* const end = number.data() + number.size();
    const auto [at, error] = std::from_chars(number.data(), end, value);
    if (error != std::errc() || at != end || std::isnan(value) || value == INFINITY)
      fail_usage("--logit-bias '{}': '{}' is no bias; it must be a finite number, or -inf, which forbids the token",
                 printable(text), printable(number));
    out[*whole_number<int32_t>(id)] = value;
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
  add_whole(command, "--max-tokens", options.max_tokens, "Write at most N tokens", 0)->capture_default_str();
  command.add_option("--stop", options.stop, "End before this text (may be given several times)")
      ->allow_extra_args(false);
  add_whole(command, "--seed", s.seed, "The same seed gives the same text", 0)->capture_default_str();
  // Whose ranges have more to say: session::validate().
  add_real(command, "--temperature", s.temperature, "0: always the likeliest token")->capture_default_str();
  add_whole(command, "--top-k", s.top_k, "Only the k likeliest tokens; 0: all", 0)->capture_default_str();
  add_real(command, "--top-p", s.top_p, "Only the fewest tokens that reach this probability")->capture_default_str();
  add_real(command, "--min-p", s.min_p, "Only tokens with this share of the likeliest one's probability")
      ->capture_default_str();
  add_real(command, "--repetition-penalty", s.repetition_penalty, "Above 1: tokens seen become less likely")
      ->capture_default_str();
  add_real(command, "--presence-penalty", s.presence_penalty, "Taken once from the logit of a token seen")
      ->capture_default_str();
  add_real(command, "--frequency-penalty", s.frequency_penalty, "Taken for each time it was seen")
      ->capture_default_str();
  add_whole(command, "--penalty-window", s.penalty_window, "How many of the latest tokens count as seen", 0)
      ->capture_default_str();
  command.add_option("--logit-bias", biases_, "ID=VALUE, added to that token's logit (may be given several times)")
      ->allow_extra_args(false);
  command
      .add_option("--learn", learn_,
                  "all: learn from what is read and written; input: only from what you give; off: not at all")
      ->check(one_of({"all", "input", "off"}))
      ->capture_default_str();
}

GenerateOptions WritingOptions::parse() const {
  GenerateOptions out = options;
  for (const std::string& stop : out.stop)
    if (stop.empty()) fail_usage("--stop is empty, which ends nothing; give the text to end before");
  out.sampling.logit_bias = parse_biases(biases_);
  session::validate(out.sampling);
  out.learn = parse_learn(learn_);
  out.keep_going = [] { return !interrupted(); };
  return out;
}

void show_text(std::string_view text) { put(text); }

}  // namespace ingrain::cli
