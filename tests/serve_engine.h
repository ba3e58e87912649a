// A server's engine with a tiny model, for tests.
#pragma once

#include "base/files.h"
#include "scratch.h"
#include "serve/engine/engine.h"
#include "store/model_files.h"
#include "tiny_model.h"

namespace ingrain::serve {

using Json = nlohmann::ordered_json;

/// Ends a text after so many tokens.
class EndsAfter final : public Constraint {
 public:
  explicit EndsAfter(int64_t tokens) : left_(tokens) {}
  void allow(std::span<uint64_t> bits) override { std::fill(bits.begin(), bits.end(), ~uint64_t{0}); }
  bool may_end() const override { return false; }
  bool complete() const override { return left_ == 0; }
  void accept(int32_t) override { --left_; }
  std::unique_ptr<Constraint> clone() const override { return std::make_unique<EndsAfter>(*this); }

 private:
  int64_t left_;
};

/// An answer of which the first three letters are a thought, which clients do not send back.
inline Writing thoughtful(int64_t tokens, bool ends) {
  Writing out;
  out.sampling.temperature = 0;
  out.max_tokens = tokens;
  out.sampling.logit_bias = test::only_letters();
  if (ends) out.constraint = std::make_shared<EndsAfter>(tokens - 1);
  out.returned = [](int64_t, const std::string& text) {
    return Json{{"role", "assistant"}, {"content", text.substr(std::min<size_t>(text.size(), 3))}};
  };
  return out;
}

class ServingTest : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    ModelConfig c = test::tiny_config({.window = 12, .chunk = 16});
    c.vocab_size = 257;
    c.bos_id = 0;
    c.eos_ids = {0};
    save_model(dir_ / "model", c, initial_weights(c, 5), at::kFloat);
    std::filesystem::copy_file(std::filesystem::path(INGRAIN_EXAMPLES) / "tiny-book/tokenizer.json",
                               dir_ / "model/tokenizer.json");
    write_file(dir_ / "model/chat_template.jinja",
               "{% for m in messages %}<{{ m.role }}>{{ m.content }}|{% endfor %}"
               "{% if add_generation_prompt %}<assistant>{% endif %}");
  }
  Model model() const { return Model::load(dir_ / "model", {.dtype = "fp64"}); }
  std::unique_ptr<Engine> engine(EngineOptions options = {}, const std::string& store = ":memory:") const {
    return std::make_unique<Engine>(model(), open_sqlite(store), options);
  }
  EngineOptions on_disk() const { return {.folder = dir_ / "states"}; }
  std::string store() const { return (dir_ / "store.db").string(); }

  static Json message(const char* role, const std::string& content) { return {{"role", role}, {"content", content}}; }
  static Prompt prompt(const Json& messages, const Owner& owner = "") {
    Prompt out;
    out.owner = owner;
    out.messages = messages;
    return out;
  }
  static Writing writing(int64_t tokens) {
    Writing out;
    out.sampling.temperature = 0;
    out.max_tokens = tokens;
    out.sampling.logit_bias = test::only_letters();
    return out;
  }
  /// The conversation goes on: the answer as clients send it back, and another question.
  static Json next(Json messages, const std::string& answer, const std::string& question) {
    messages.push_back(message("assistant", answer));
    messages.push_back(message("user", question));
    return messages;
  }
};

}  // namespace ingrain::serve
