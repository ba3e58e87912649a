// The loss of documents by token position. Every score is taken before the inner step that learns the token.
#pragma once

#include "base/interval.h"
#include "ingrain/score.h"

#include <functional>
#include <map>

namespace ingrain::measures {

struct Document {
  std::string name;
  std::vector<int32_t> tokens;  // as Model::encode_document() gives them
};

/// The text files of a folder, sorted by name, or one file; each cut after `limit` tokens (0: whole). `least`: shorter
/// ones are left out. Error if a file is no text, or none is left.
std::vector<Document> load_documents(const Model& model, const std::vector<std::filesystem::path>& paths, int64_t limit,
                                     int64_t least);

struct ScoreOptions {
  bool learn = true;
  int64_t at_once = 0;                                  // tokens a call; 0: all
  std::function<bool(int64_t tokens)> keep_going = {};  // as ReaderOptions has it
};
/// What the model makes of a document that it reads from the start. Stopped if keep_going says so.
Score score_document(const Model& model, std::span<const int32_t> tokens, const ScoreOptions& options);

/// A document's means.
struct DocumentLoss {
  std::string name;
  std::vector<PositionBin> bins;
  int64_t scored;
  double mean_nll;
  std::optional<double> bits_per_byte;
};

/// Each document by itself, with bins that double from kFirstBin on.
constexpr int64_t kFirstBin = 256;
DocumentLoss summary_of(const std::string& name, const Score& score);
std::vector<DocumentLoss> score_documents(const Model& model, const std::vector<Document>& documents,
                                          const ScoreOptions& options);

/// One bin over all documents that reach its end.
struct LossBin {
  int64_t begin, end;
  MeanInterval loss;
};
std::vector<LossBin> over_documents(const std::vector<DocumentLoss>& documents);

/// The bins of `a` less those of `b`, document by document: the interval is of the differences. REQUIRES: the same
/// documents in the same order.
std::vector<LossBin> paired_difference(const std::vector<DocumentLoss>& a, const std::vector<DocumentLoss>& b);

}  // namespace ingrain::measures
