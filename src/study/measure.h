// What a study measures of a trained rival.
#pragma once

#include "study/config.h"

#include <functional>

namespace ingrain::study {

/// The ways in which a rival reads: {true, false} where it has fast weights, {false} where nothing learns.
std::vector<bool> ways_of(const train::RunConfig& run);

/// What the study asks of a rival, by measure: the settings under which a result is kept.
nlohmann::json asked_of(const Measures& measures, bool ablation);

/// Measures what is not there yet, each into FOLDER/MEASURE.json (study/kept.h).
void measure_rival(const StudyConfig& study, const Rival& rival, const std::filesystem::path& folder,
                   const std::function<void(const std::string&)>& say);

}  // namespace ingrain::study
