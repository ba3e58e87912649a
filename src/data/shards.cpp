#include "data/shards.h"

#include "base/checked.h"
#include "base/error.h"

#include <cstring>

namespace ingrain::data {
namespace {

constexpr char kMagic[8] = {'I', 'N', 'G', 'R', 'T', 'O', 'K', 'S'};
constexpr uint32_t kShardVersion = 1;
constexpr uint64_t kAlignment = 64;
constexpr size_t kBufferBytes = 1 << 20;
constexpr uint32_t kMaxVocabulary = 1u << 30;
constexpr const char* kRemedy = "prepare the data again";

/// The first 128 bytes of the file, exactly.
struct ShardHeader {
  char magic[8];
  uint32_t version;
  uint16_t token_bytes;
  uint16_t reserved;
  uint64_t tokens;
  uint64_t documents;
  uint32_t vocab_size;
  uint32_t bos;
  uint64_t tokenizer;
  uint64_t documents_offset;
  uint64_t tokens_checksum;
  uint64_t documents_checksum;
  uint8_t unused[48];
  uint64_t header_checksum;
};
static_assert(sizeof(ShardHeader) == 128 && offsetof(ShardHeader, header_checksum) == 120);

uint64_t header_checksum(const ShardHeader& header) {
  return checksum(&header, offsetof(ShardHeader, header_checksum));
}

uint64_t round_up(uint64_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

/// The file's header, checked against itself and the file's size.
ShardHeader read_header(const std::filesystem::path& path, const MappedFile& file) {
  const std::string name = path.string();
  ShardHeader header;
  if (file.size() < sizeof header || std::memcmp(file.data(), kMagic, sizeof kMagic) != 0) {
    fail("{}: no token shard; 'ingrain data prepare' makes them", name);
  }
  std::memcpy(&header, file.data(), sizeof header);
  require(header.version == kShardVersion, "{}: header field 'version' is {}; this program reads {}; {}", name,
          header.version, kShardVersion, kRemedy);
  require(header.header_checksum == header_checksum(header),
          "{}: the header is damaged (its checksum does not match); {}", name, kRemedy);
  require(header.token_bytes == 2 || header.token_bytes == 4,
          "{}: header field 'token_bytes' is {}; it must be 2 or 4; {}", name, header.token_bytes, kRemedy);
  require(header.vocab_size > 0 && header.vocab_size <= kMaxVocabulary, "{}: header field 'vocab_size' is {}; {}", name,
          header.vocab_size, kRemedy);
  require(header.bos < header.vocab_size, "{}: header field 'bos' is {}, beyond the vocabulary of {}; {}", name,
          header.bos, header.vocab_size, kRemedy);
  require(header.documents <= header.tokens, "{}: header field 'documents' is {}, more than tokens; {}", name,
          header.documents, kRemedy);
  // With both counts below file.size() nothing that follows can overflow.
  const auto token_bytes = checked_mul(header.tokens, header.token_bytes);
  const auto table_bytes = checked_mul(header.documents, sizeof(uint64_t));
  const bool fits = token_bytes && table_bytes && *token_bytes <= file.size() && *table_bytes <= file.size() &&
                    header.documents_offset == round_up(sizeof header + *token_bytes) &&
                    header.documents_offset + *table_bytes == file.size();
  require(fits, "{}: {} tokens and {} documents do not fit the file's {} bytes; it is cut off: copy it again", name,
          header.tokens, header.documents, file.size());
  return header;
}

}  // namespace

ShardFile::ShardFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const ShardHeader header = read_header(path, file_);
  info_ = {static_cast<TokenType>(header.token_bytes),
           header.tokens,
           header.documents,
           header.vocab_size,
           header.bos,
           header.tokenizer,
           header.tokens_checksum};
  tokens_ = TokenSpan(file_.data() + sizeof header, info_.tokens, info_.type);
  document_table_ = file_.data() + header.documents_offset;
  if (checksum(document_table_, info_.documents * sizeof(uint64_t)) != header.documents_checksum) {
    fail("{}: the table of documents is damaged (its checksum does not match); {}", path_.string(), kRemedy);
  }
  require((info_.documents == 0) == (info_.tokens == 0), "{}: tokens without a document; {}", path_.string(), kRemedy);
  for (uint64_t i = 0; i < info_.documents; ++i) {
    const uint64_t begin = document_begin(i);
    const bool ordered = i == 0 ? begin == 0 : begin > document_begin(i - 1);
    require(ordered && begin < info_.tokens, "{}: document {} begins at token {}: out of order; {}", path_.string(), i,
            begin, kRemedy);
  }
}

uint64_t ShardFile::document_begin(uint64_t index) const {
  uint64_t begin;
  std::memcpy(&begin, document_table_ + index * sizeof begin, sizeof begin);
  return begin;
}

TokenSpan ShardFile::document(uint64_t index) const {
  const uint64_t begin = document_begin(index);
  const uint64_t end = index + 1 < info_.documents ? document_begin(index + 1) : info_.tokens;
  return tokens_.part(begin, end - begin);
}

void ShardFile::verify() const {
  if (checksum(tokens_.bytes(), tokens_.size() * token_bytes(info_.type)) != info_.checksum) {
    fail("{}: the tokens are damaged (their checksum does not match); copy the file again or prepare it again",
         path_.string());
  }
  const uint64_t beyond = tokens_.find_beyond(info_.vocab_size);
  require(beyond == tokens_.size(), "{}: token {} is {}, beyond the vocabulary of {}; {}", path_.string(), beyond,
          beyond < tokens_.size() ? tokens_[beyond] : 0, info_.vocab_size, kRemedy);
  for (uint64_t i = 0; i < info_.documents; ++i) {
    require(document(i)[0] == info_.bos, "{}: document {} does not begin with id {}; {}", path_.string(), i, info_.bos,
            kRemedy);
  }
}

ShardWriter::ShardWriter(const std::filesystem::path& path, const ShardInfo& info) : file_(path), path_(path) {
  require(info.vocab_size > 0 && info.vocab_size <= kMaxVocabulary && info.bos < info.vocab_size,
          "{}: a vocabulary of {} with beginning-of-text id {} cannot be stored", path.string(), info.vocab_size,
          info.bos);
  info_.type = token_type_for(info.vocab_size);
  info_.vocab_size = info.vocab_size, info_.bos = info.bos, info_.tokenizer = info.tokenizer;
  const ShardHeader placeholder{};
  file_.write(&placeholder, sizeof placeholder);
}

void ShardWriter::add(std::span<const int32_t> tokens) {
  require(!tokens.empty() && tokens[0] == static_cast<int32_t>(info_.bos), "{}: document {} must begin with id {}",
          path_.string(), documents(), info_.bos);
  const size_t width = token_bytes(info_.type);
  const size_t filled = buffer_.size();
  buffer_.resize(filled + tokens.size() * width);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<uint32_t>(tokens[i]);
    require(id < info_.vocab_size, "{}: document {}: the tokenizer gave id {}, beyond its vocabulary of {}",
            path_.string(), documents(), tokens[i], info_.vocab_size);
    std::memcpy(buffer_.data() + filled + i * width, &id, width);
  }
  starts_.push_back(info_.tokens);
  info_.tokens += tokens.size();
  if (buffer_.size() >= kBufferBytes) flush();
}

void ShardWriter::flush() {
  file_.write(buffer_.data(), buffer_.size());
  checksum_.update(buffer_.data(), buffer_.size());
  buffer_.clear();
}

ShardInfo ShardWriter::commit() {
  flush();
  file_.write(std::string(round_up(file_.size()) - file_.size(), '\0'));
  ShardHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kShardVersion;
  header.token_bytes = static_cast<uint16_t>(token_bytes(info_.type));
  header.tokens = info_.tokens;
  header.documents = info_.documents = documents();
  header.vocab_size = info_.vocab_size;
  header.bos = info_.bos;
  header.tokenizer = info_.tokenizer;
  header.documents_offset = file_.size();
  header.tokens_checksum = info_.checksum = checksum_.value();
  header.documents_checksum = checksum(starts_.data(), starts_.size() * sizeof(uint64_t));
  header.header_checksum = header_checksum(header);
  file_.write(starts_.data(), starts_.size() * sizeof(uint64_t));
  file_.write_at(0, &header, sizeof header);
  file_.commit();
  return info_;
}

}  // namespace ingrain::data
