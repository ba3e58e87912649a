// A study's results, gathered from its folder, and told.
#pragma once

#include "study/config.h"

namespace ingrain::study {

/// Everything that is known so far, as JSON: what was trained how, its log, its measures.
nlohmann::json gather(const StudyConfig& study, const std::filesystem::path& folder);

/// The page that tells of it (`gathered` as gather() gives it).
std::string report_page(const nlohmann::json& gathered);

}  // namespace ingrain::study
