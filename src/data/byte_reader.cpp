#include "data/byte_reader.h"

#include "base/error.h"
#include "base/interrupt.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace ingrain::data {
namespace {

constexpr size_t kChunkBytes = 1 << 16;

class PlainReader : public ByteReader {
 public:
  explicit PlainReader(const std::filesystem::path& path) : name_(path.string()) {
    // Not waiting: opening a FIFO would, until it has a writer, and could not be interrupted.
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ < 0) fail("{}: cannot open: {}", name_, std::strerror(errno));
    struct stat info{};
    const bool known = ::fstat(fd_, &info) == 0;
    waits_ = known && S_ISFIFO(info.st_mode);
    if (!waits_ && !(known && S_ISREG(info.st_mode))) {
      ::close(fd_);
      fail("{}: not a regular file", name_);
    }
  }
  struct StandardInput {};
  explicit PlainReader(StandardInput) : name_("standard input"), waits_(true), fd_(::dup(STDIN_FILENO)) {
    if (fd_ < 0) fail("{}: cannot read: {}", name_, std::strerror(errno));
  }
  PlainReader(const PlainReader&) = delete;
  PlainReader& operator=(const PlainReader&) = delete;
  ~PlainReader() override { ::close(fd_); }

  size_t read(char* out, size_t size) override {
    size_t done = 0;
    while (done < size) {
      if (waits_) wait_readable(fd_, name_);
      const ssize_t n = ::read(fd_, out + done, size - done);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n < 0) fail("{}: cannot read: {}", name_, std::strerror(errno));
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    consumed_ += done;
    return done;
  }

  uint64_t consumed() const override { return consumed_; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  bool waits_ = false;  // for a writer: a FIFO, standard input
  int fd_ = -1;
  uint64_t consumed_ = 0;
};

/// What gzip and Zstandard share: input arrives in chunks, and a file may hold several streams end to end.
class Decompressor : public ByteReader {
 public:
  explicit Decompressor(const std::filesystem::path& path) : file_(path), input_(kChunkBytes) {}

  size_t read(char* out, size_t size) override {
    size_t done = 0;
    while (done < size) {
      if (begin_ == end_) {
        begin_ = 0, end_ = file_.read(input_.data(), input_.size());
        at_end_ = end_ < input_.size();
      }
      if (begin_ == end_ && between_streams_) break;
      const size_t before = begin_;
      const size_t made = decode(out + done, size - done);
      done += made;
      if (made == 0 && before == begin_ && begin_ == end_ && at_end_) {
        fail("{}: compressed data ends too early; the file is cut off: fetch it again", file_.name());
      }
    }
    return done;
  }

  uint64_t consumed() const override { return file_.consumed(); }

 protected:
  /// Decodes input_[begin_, end_), moves begin_, sets between_streams_; returns the bytes written.
  virtual size_t decode(char* out, size_t size) = 0;

  [[noreturn]] void damaged(const char* format, const char* why) const {
    fail("{}: no valid {} data ({}); the file is damaged or misnamed", file_.name(), format, why);
  }

  PlainReader file_;
  std::vector<char> input_;
  size_t begin_ = 0, end_ = 0;
  bool between_streams_ = false;  // an empty file is no compressed file

 private:
  bool at_end_ = false;
};

class GzipReader : public Decompressor {
 public:
  explicit GzipReader(const std::filesystem::path& path) : Decompressor(path) {
    constexpr int gzip_only = 16 + MAX_WBITS;
    require(inflateInit2(&stream_, gzip_only) == Z_OK, "{}: cannot decompress: out of memory", file_.name());
  }
  ~GzipReader() override { inflateEnd(&stream_); }

 protected:
  size_t decode(char* out, size_t size) override {
    if (between_streams_) inflateReset(&stream_);
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data() + begin_);
    stream_.avail_in = static_cast<uInt>(end_ - begin_);
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    const auto room = static_cast<uInt>(std::min<size_t>(size, 1u << 30));
    stream_.avail_out = room;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      damaged("gzip", stream_.msg ? stream_.msg : "unknown error");
    }
    begin_ = end_ - stream_.avail_in;
    between_streams_ = status == Z_STREAM_END;
    return room - stream_.avail_out;
  }

 private:
  z_stream stream_{};
};

/// The logarithm of the largest window that is accepted: a quarter of the machine's memory, 2^27 (zstd's own limit) at
/// least, 2^31 (its format's, as far as the tool makes them) at most.
int largest_window() {
  const auto pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  const uint64_t quarter = pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) / 4 : 0;
  return std::clamp(static_cast<int>(std::bit_width(quarter)) - 1, 27, 31);
}

class ZstdReader : public Decompressor {
 public:
  explicit ZstdReader(const std::filesystem::path& path) : Decompressor(path), stream_(ZSTD_createDStream()) {
    require(stream_ != nullptr, "{}: cannot decompress: out of memory", file_.name());
    ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, largest_window());
  }
  ~ZstdReader() override { ZSTD_freeDStream(stream_); }

 protected:
  size_t decode(char* out, size_t size) override {
    ZSTD_inBuffer in{input_.data(), end_, begin_};
    ZSTD_outBuffer to{out, size, 0};
    const size_t status = ZSTD_decompressStream(stream_, &to, &in);
    if (ZSTD_isError(status) && ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge)
      fail(
          "{}: was compressed with a window of more than 2^{} bytes, which needs more memory than is sensible on this "
          "machine; expand it elsewhere, or compress it again with a smaller --long",
          file_.name(), largest_window());
    if (ZSTD_isError(status)) damaged("Zstandard", ZSTD_getErrorName(status));
    begin_ = in.pos;
    between_streams_ = status == 0;
    return to.pos;
  }

 private:
  ZSTD_DStream* stream_;
};

}  // namespace

std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (::strcasecmp(extension.c_str(), ".gz") == 0) return std::make_unique<GzipReader>(path);
  if (::strcasecmp(extension.c_str(), ".zst") == 0) return std::make_unique<ZstdReader>(path);
  return std::make_unique<PlainReader>(path);
}

std::unique_ptr<ByteReader> open_standard_input() {
  return std::make_unique<PlainReader>(PlainReader::StandardInput());
}

std::string read_to_end(ByteReader& reader, uint64_t max_bytes, const std::string& name, const char* remedy) {
  constexpr size_t kPiece = 1 << 18;
  std::string text;
  for (size_t n = kPiece; n == kPiece;) {
    const size_t filled = text.size();
    text.resize(filled + kPiece);
    n = reader.read(text.data() + filled, kPiece);
    text.resize(filled + n);
    require(text.size() <= max_bytes, "{}: larger than {} bytes; {}", name, max_bytes, remedy);
  }
  return text;
}

}  // namespace ingrain::data
