// Measures as JSON and back: what `ingrain eval --json` prints and a study keeps. A NaN, the mean of nothing, is null.
#pragma once

#include "measures/asked.h"
#include "measures/loss.h"
#include "measures/recall.h"

#include <nlohmann/json_fwd.hpp>

namespace ingrain::measures {

nlohmann::json to_json(const std::vector<DocumentLoss>& documents);
/// Error, naming `where` and the field, if it is something else.
std::vector<DocumentLoss> documents_from_json(const nlohmann::json& json, const std::string& where);

nlohmann::json to_json(const std::vector<LossBin>& bins);
nlohmann::json to_json(const std::vector<RecallRow>& rows);
nlohmann::json to_json(const std::vector<AskedRow>& rows);

}  // namespace ingrain::measures
