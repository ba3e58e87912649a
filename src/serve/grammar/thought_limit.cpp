#include "serve/grammar/thought_limit.h"

#include "serve/grammar/token_trie.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

class ThoughtLimit final : public Constraint {
 public:
  ThoughtLimit(std::unique_ptr<Constraint> inner, AnswerReader reader, int64_t left, std::vector<int32_t> closing,
               std::shared_ptr<const TokenTrie> trie)
      : inner_(std::move(inner)),
        reader_(std::move(reader)),
        left_(left),
        closing_(std::move(closing)),
        trie_(std::move(trie)) {}

  void allow(std::span<uint64_t> bits) override {
    if (forced()) {
      std::fill(bits.begin(), bits.end(), 0);
      set_bit(bits, closing_[closed_]);
    } else if (inner_) {
      inner_->allow(bits);
    } else {
      std::fill(bits.begin(), bits.end(), ~uint64_t{0});
    }
  }
  bool may_end() const override { return !forced() && (!inner_ || inner_->may_end()); }
  bool complete() const override { return !forced() && inner_ && inner_->complete(); }

  void accept(int32_t token) override {
    if (inner_) inner_->accept(token);
    if (over_) return;
    if (forced()) ++closed_;
    std::string_view bytes = trie_->bytes(token);
    if (bytes.empty()) bytes = trie_->spelling(token, kMarks);
    const bool was = reader_.place() == AnswerReader::Place::thought;
    reader_.push(bytes);
    const bool is = reader_.place() == AnswerReader::Place::thought;
    if (is && closed_ == 0) --left_;
    over_ = (was && !is && closed_ == 0) || reader_.place() == AnswerReader::Place::text || closed_ == closing_.size();
  }

  std::unique_ptr<Constraint> clone() const override {
    auto out = std::make_unique<ThoughtLimit>(inner_ ? inner_->clone() : nullptr, reader_, left_, closing_, trie_);
    out->closed_ = closed_;
    out->over_ = over_;
    return out;
  }

 private:
  bool forced() const {
    return !over_ && (closed_ > 0 || (left_ <= 0 && reader_.place() == AnswerReader::Place::thought));
  }

  std::unique_ptr<Constraint> inner_;
  AnswerReader reader_;
  int64_t left_;
  std::vector<int32_t> closing_;
  std::shared_ptr<const TokenTrie> trie_;
  size_t closed_ = 0;  // tokens of closing_ that were written
  bool over_ = false;  // the answer itself has begun
};

}  // namespace

std::shared_ptr<const Constraint> limit_thoughts(const std::shared_ptr<const Constraint>& inner,
                                                 AnswerReader::Options reader, int64_t most,
                                                 std::vector<int32_t> closing, std::shared_ptr<const TokenTrie> trie) {
  reader.tools = ToolFormat::none;
  return std::make_shared<ThoughtLimit>(inner ? inner->clone() : nullptr, AnswerReader(std::move(reader)), most,
                                        std::move(closing), std::move(trie));
}

}  // namespace ingrain::serve
