// Shows what the parsers in src/formats make of a file, for the comparisons in tests/python.
// Usage: formats_probe gguf-tensor FILE NAME     the tensor's elements as raw fp32 on standard output
//        formats_probe gguf-template FILE        the chat template in the file's metadata
//        formats_probe gguf-encode FILE < TEXT   the ids that the file's tokenizer gives, as int32
//        formats_probe gguf-describe FILE        the model's configuration as JSON
//        formats_probe render < CASES.json       a list of {template, messages, tools?, extra?, bos_token?,
//        eos_token?,
//                                                add_generation_prompt?} becomes a list of {text} or {error}
#include "base/error.h"
#include "base/json.h"
#include "chat/chat_template.h"
#include "formats/gguf.h"
#include "formats/gguf_quants.h"
#include "tokenizer/gguf_tokenizer.h"
#include "families/families.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <iostream>
#include <iterator>

namespace ingrain::formats {
namespace {

void write_out(const void* data, size_t size) {
  require(std::fwrite(data, 1, size, stdout) == size, "standard output: cannot write");
}

void gguf_tensor(const std::string& path, const std::string& name) {
  const Gguf file{std::filesystem::path(path)};
  const GgufTensor& tensor = file.tensor(name);
  std::vector<float> values(tensor.elements());
  dequantize_rows(tensor, 0, tensor.rows(), values);
  write_out(values.data(), values.size() * sizeof(float));
}

void gguf_template(const std::string& path) {
  const Gguf file{std::filesystem::path(path)};
  const auto text = file.need<std::string_view>("tokenizer.chat_template");
  write_out(text.data(), text.size());
}

using Json = nlohmann::ordered_json;

void gguf_encode(const std::string& path) {
  const Gguf file{std::filesystem::path(path)};
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto ids = tokenizer::gguf_tokenizer(file).encode(text);
  write_out(ids.data(), ids.size() * sizeof(int32_t));
}

void gguf_describe(const std::string& path) {
  const std::string text = to_json(families::read_gguf(Gguf{std::filesystem::path(path)}).config).dump();
  write_out(text.data(), text.size());
}

Json render_case(const Json& input) {
  chat::ChatOptions options;
  options.add_generation_prompt = input.value("add_generation_prompt", false);
  if (input.contains("tools")) options.tools = input["tools"];
  if (input.contains("extra")) options.extra = input["extra"];
  if (input.contains("bos_token")) options.bos_token = input["bos_token"].get<std::string>();
  if (input.contains("eos_token")) options.eos_token = input["eos_token"].get<std::string>();
  options.now = std::tm{};
  options.now->tm_year = 124;  // 2024-07-26
  options.now->tm_mon = 6;
  options.now->tm_mday = 26;
  options.now->tm_wday = 5;
  options.now->tm_yday = 207;
  try {
    const chat::ChatTemplate chat(input["template"].get<std::string>());
    return {{"text", chat.render(input["messages"], options)}};
  } catch (const Error& e) {
    return {{"error", e.what()}};
  }
}

void render_cases() {
  Json out = Json::array();
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto cases = parse_exactly(text);
  require(cases.has_value(), "standard input is no JSON");
  for (const Json& input : *cases) out.push_back(render_case(input));
  const std::string given = out.dump(-1, ' ', false, Json::error_handler_t::replace);
  write_out(given.data(), given.size());
}

void run(const std::vector<std::string>& args) {
  if (args.size() == 3 && args[0] == "gguf-tensor") return gguf_tensor(args[1], args[2]);
  if (args.size() == 2 && args[0] == "gguf-template") return gguf_template(args[1]);
  if (args.size() == 2 && args[0] == "gguf-encode") return gguf_encode(args[1]);
  if (args.size() == 2 && args[0] == "gguf-describe") return gguf_describe(args[1]);
  if (args.size() == 1 && args[0] == "render") return render_cases();
  fail_usage("formats_probe: see the head of tests/tools/formats_probe.cpp for its commands");
}

}  // namespace
}  // namespace ingrain::formats

int main(int argc, char** argv) {
  try {
    ingrain::formats::run(std::vector<std::string>(argv + 1, argv + argc));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
