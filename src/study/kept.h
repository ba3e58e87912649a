// Results on disk: a measure of a model, kept as JSON until the model or what was asked changes.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <string>

namespace ingrain::study {

/// What `file` holds if it was made with these `settings` of the model with this `fingerprint`; else what `measure`
/// gives, which is written there, whole or not at all. A file that is no such result is measured anew.
nlohmann::json kept_or(const std::filesystem::path& file, const std::string& fingerprint,
                       const nlohmann::json& settings, const std::function<nlohmann::json()>& measure);

}  // namespace ingrain::study
