#include "measures/loss.h"

#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "data/encoding.h"
#include "ingrain/reader.h"

#include <algorithm>

namespace ingrain::measures {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

std::vector<fs::path> files_of(const std::vector<fs::path>& paths) {
  std::vector<fs::path> out;
  for (const fs::path& path : paths) {
    if (!fs::is_directory(path)) {
      out.push_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file() && !entry.path().filename().string().starts_with(".")) inside.push_back(entry.path());
    std::sort(inside.begin(), inside.end());
    require(!inside.empty(), "{}: holds no files; there is nothing to score", path.string());
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

/// Calls add(bin index, begin, end, value per document) for every bin that some document reaches the end of.
template <class Value>
std::vector<LossBin> by_bin(const std::vector<DocumentLoss>& documents, const Value& value) {
  const auto longest = std::max_element(documents.begin(), documents.end(), [](const auto& a, const auto& b) {
    return a.bins.size() < b.bins.size() || (a.bins.size() == b.bins.size() && a.bins.back().end < b.bins.back().end);
  });
  std::vector<LossBin> out;
  if (longest == documents.end()) return out;
  for (size_t i = 0; i < longest->bins.size(); ++i) {
    const int64_t begin = longest->bins[i].begin, end = longest->bins[i].end;
    std::vector<double> values;
    for (size_t d = 0; d < documents.size(); ++d)
      if (i < documents[d].bins.size() && documents[d].bins[i].end == end) values.push_back(value(d, i));
    out.push_back({begin, end, mean_interval(values)});
  }
  return out;
}

}  // namespace

std::vector<Document> load_documents(const Model& model, const std::vector<fs::path>& paths, int64_t limit,
                                     int64_t least) {
  std::vector<Document> out;
  for (const fs::path& file : files_of(paths)) {
    const std::string text = read_file(file, kMaxTextBytes);
    data::require_text(text, file.string());
    require(!text.empty(), "{}: empty; there is nothing to score", file.string());
    Document document{file.string(), model.encode_document(text, /*parse_special=*/true)};
    if (static_cast<int64_t>(document.tokens.size()) < least) continue;
    if (limit > 0 && document.tokens.size() > static_cast<size_t>(limit))
      document.tokens.resize(static_cast<size_t>(limit));
    out.push_back(std::move(document));
  }
  require(!out.empty(), "none of the documents has {} tokens; give longer ones, or a shorter context", least);
  return out;
}

Score score_document(const Model& model, std::span<const int32_t> tokens, const ScoreOptions& o) {
  std::vector<float> nll;
  const auto keep_going = [&](int64_t done) {
    return !o.keep_going || o.keep_going(static_cast<int64_t>(nll.size()) + done);
  };
  Memory memory(model);
  Reader reader(memory, {.learn = o.learn, .keep_going = keep_going});
  const size_t step = o.at_once > 0 ? static_cast<size_t>(o.at_once) : tokens.size();
  for (bool stopped = false; !stopped && nll.size() < tokens.size();) {
    const Reading reading = reader.read(tokens.subspan(nll.size(), std::min(step, tokens.size() - nll.size())));
    nll.insert(nll.end(), reading.nll.begin(), reading.nll.end());
    stopped = reading.stopped || (nll.size() < tokens.size() && !keep_going(0));
  }
  if (nll.size() < tokens.size())
    throw Stopped(fmt::format("stopped after {} of {} tokens", nll.size(), tokens.size()));
  return score(model, tokens, std::move(nll), 1);
}

DocumentLoss summary_of(const std::string& name, const Score& score) {
  return {name, doubling_bins(score.nll, kFirstBin), score.scored, score.mean_nll, score.bits_per_byte};
}

std::vector<DocumentLoss> score_documents(const Model& model, const std::vector<Document>& documents,
                                          const ScoreOptions& options) {
  std::vector<DocumentLoss> out;
  for (const Document& document : documents)
    out.push_back(summary_of(document.name, score_document(model, document.tokens, options)));
  return out;
}

std::vector<LossBin> over_documents(const std::vector<DocumentLoss>& documents) {
  return by_bin(documents, [&](size_t d, size_t i) { return documents[d].bins[i].mean_nll; });
}

std::vector<LossBin> paired_difference(const std::vector<DocumentLoss>& a, const std::vector<DocumentLoss>& b) {
  require(a.size() == b.size(), "{} and {} documents cannot be compared one by one", a.size(), b.size());
  return by_bin(a, [&](size_t d, size_t i) {
    require(i < b[d].bins.size() && a[d].bins[i].end == b[d].bins[i].end, "{}: was scored to another length",
            a[d].name);
    return a[d].bins[i].mean_nll - b[d].bins[i].mean_nll;
  });
}

}  // namespace ingrain::measures
