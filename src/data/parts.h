// A corpus prepared in parts, on as many machines as one likes, and made one by a manifest.
#pragma once

#include "data/corpus.h"
#include "data/documents.h"

namespace ingrain::data {

/// OUTPUT/part-00003-of-00008.
std::filesystem::path part_folder(const std::filesystem::path& output, const PartOf& part);

/// "3/8". UsageError, naming `option`, for anything else.
PartOf parse_part(const std::string& text, std::string_view option);

/// The part's files: as many bytes as in any other, as far as whole files allow, one file at the least. All parts in
/// their order are the sources in theirs. Error if there are fewer files than parts.
SourceList part_of(SourceList list, const PartOf& part);

/// Writes FOLDER/manifest.json, which lists the shards of all parts in their order, and moves nothing: the same tokens
/// and documents in the same order as if one run had prepared them, cut into shards where parts begin, too. Returns it.
/// Error if a part is missing, or if parts were made from other sources, or with another tokenizer or number of parts.
Manifest merge_parts(const std::filesystem::path& folder);

}  // namespace ingrain::data
