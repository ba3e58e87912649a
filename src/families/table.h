// The families' table, and what the two readers share.
#pragma once

#include "families/family.h"

#include <vector>

namespace ingrain::families {

const std::vector<Family>& all_families();
/// "llama (SmolLM2 is one), qwen2, ...": one of their names with `end` behind it, for errors.
std::string known_families(std::string_view Family::* name, std::string_view end);

/// Which layers slide: by `layer_types`, or else by the family; empty where neither says.
std::vector<bool> sliding_layers(const Field& fields, bool (*slides)(const Field& fields, int64_t layer),
                                 int64_t num_layers);

/// An object that has members, or nothing.
std::optional<Field> filled(const Field& outer, const char* name);
/// RoPE's fields: `rope_scaling`, or else `rope_parameters`.
std::optional<Field> rope_fields(const Field& config);

/// YaRN's attention factor where a file does not give one: 0.1 ln(factor) + 1.
double default_yarn_attention_factor(double factor);
/// LongRoPE's: sqrt(1 + ln(factor) / ln(original length)).
double longrope_attention_factor(double factor, double original_length);

}  // namespace ingrain::families
