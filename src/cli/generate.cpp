#include "ttt/generate.h"

#include "cli/commands.h"
#include "cli/model_options.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "ttt/memory_file.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <chrono>
#include <cstdio>

namespace ingrain::cli {
namespace {

struct GenerateCommand {
  ModelOptions model;
  std::string memory, prompt, save, learn = "all";
  std::vector<std::string> biases;
  ttt::GenerateOptions options;
  bool as_json = false;
};

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
    if (!ok) fail_usage("--logit-bias '{}' is no ID=VALUE, such as 13=-100 or 13=-inf", text);
    out[id] = value;
  }
  return out;
}

void generate_command(GenerateCommand& o) {
  o.options.sampling.logit_bias = parse_biases(o.biases);
  ttt::validate(o.options.sampling);
  watch_interrupts();
  const Model model = o.model.load();
  const data::Tokenizer tokenizer = o.model.tokenizer(model);
  ttt::Memory memory = o.memory.empty() ? ttt::empty_memory(model) : ttt::load_memory(o.memory, model);
  require(memory.batch() == 1, "{}: a memory of {} sequences; one is continued here", o.memory, memory.batch());
  const std::vector<int32_t> prompt = document_tokens(model.config, tokenizer, o.prompt, memory.position == 0);
  require(!prompt.empty() || memory.position > 0, "there is nothing to continue; give --prompt or --memory");

  ttt::ReadOptions reading;
  reading.learn = o.learn != "off";
  ttt::read(model, memory, ttt::as_batch(prompt, model.weights.device()), reading);
  o.options.reading = reading;
  o.options.reading.learn_these = o.learn == "all";
  o.options.keep_going = [] { return !interrupted(); };
  if (!o.as_json) std::fputs(o.prompt.c_str(), stdout);
  const auto start = std::chrono::steady_clock::now();
  const auto show = [&](std::string_view text) {
    if (o.as_json) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  const ttt::Generated out = ttt::generate(model, tokenizer, memory, prompt, o.options, show);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!o.save.empty()) ttt::save_memory(o.save, model, memory);
  if (o.as_json) {
    nlohmann::json root{{"prompt", o.prompt}, {"text", out.text}, {"tokens", out.tokens}, {"stopped_by", ttt::describe(out.reason)},
                        {"position", memory.position}, {"steps", memory.steps}, {"seconds", seconds}};
    std::printf("%s\n", root.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    std::printf("\n");
  }
}

void add_sampling_options(CLI::App& command, GenerateCommand& o) {
  auto& s = o.options.sampling;
  command.add_option("--max-tokens", o.options.max_tokens, "Write at most N tokens")->check(CLI::NonNegativeNumber)->capture_default_str();
  command.add_option("--stop", o.options.stop, "End before this text (may be given several times)")->allow_extra_args(false);
  command.add_option("--seed", s.seed, "The same seed gives the same text")->capture_default_str();
  command.add_option("--temperature", s.temperature, "0: always the likeliest token")->capture_default_str();
  command.add_option("--top-k", s.top_k, "Only the k likeliest tokens; 0: all")->capture_default_str();
  command.add_option("--top-p", s.top_p, "Only the fewest tokens that reach this probability")->capture_default_str();
  command.add_option("--min-p", s.min_p, "Only tokens with this share of the likeliest one's probability")->capture_default_str();
  command.add_option("--repetition-penalty", s.repetition_penalty, "Above 1: tokens seen become less likely")->capture_default_str();
  command.add_option("--presence-penalty", s.presence_penalty, "Taken once from the logit of a token seen")->capture_default_str();
  command.add_option("--frequency-penalty", s.frequency_penalty, "Taken for each time it was seen")->capture_default_str();
  command.add_option("--penalty-window", s.penalty_window, "How many of the latest tokens count as seen")->capture_default_str();
  command.add_option("--logit-bias", o.biases, "ID=VALUE, added to that token's logit (may be given several times)")->allow_extra_args(false);
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a memory or a prompt; what is written is also read");
  auto o = std::make_shared<GenerateCommand>();
  o->model.add_to(*command);
  o->options.sampling.temperature = 0.8;
  o->options.sampling.top_p = 0.95;
  command->add_option("--memory", o->memory, "Start from this memory file (it is not changed)");
  command->add_option("--prompt", o->prompt, "Text to read first");
  command->add_option("--save", o->save, "Write the memory afterwards to this file");
  command->add_option("--learn", o->learn, "all: learn from what is read and written; input: only from the prompt; off: not at all")
      ->check(CLI::IsMember({"all", "input", "off"}))->capture_default_str();
  command->add_flag("--json", o->as_json, "Print JSON when done");
  add_sampling_options(*command, *o);
  command->footer("Example: ingrain generate models/reader-17m --memory emma.memory --prompt 'Emma could not' --seed 3");
  command->callback([o] { generate_command(*o); });
}

}  // namespace ingrain::cli
