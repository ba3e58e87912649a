#include "data/byte_reader.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
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
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) fail("{}: cannot open: {}", name_, std::strerror(errno));
    struct stat info{};
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd_);
      fail("{}: not a regular file", name_);
    }
  }
  PlainReader(const PlainReader&) = delete;
  PlainReader& operator=(const PlainReader&) = delete;
  ~PlainReader() override { ::close(fd_); }

  size_t read(char* out, size_t size) override {
    size_t done = 0;
    while (done < size) {
      const ssize_t n = ::read(fd_, out + done, size - done);
      if (n < 0 && errno == EINTR) continue;
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

class ZstdReader : public Decompressor {
 public:
  explicit ZstdReader(const std::filesystem::path& path) : Decompressor(path), stream_(ZSTD_createDStream()) {
    require(stream_ != nullptr, "{}: cannot decompress: out of memory", file_.name());
  }
  ~ZstdReader() override { ZSTD_freeDStream(stream_); }

 protected:
  size_t decode(char* out, size_t size) override {
    ZSTD_inBuffer in{input_.data(), end_, begin_};
    ZSTD_outBuffer to{out, size, 0};
    const size_t status = ZSTD_decompressStream(stream_, &to, &in);
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
  if (path.extension() == ".gz") return std::make_unique<GzipReader>(path);
  if (path.extension() == ".zst") return std::make_unique<ZstdReader>(path);
  return std::make_unique<PlainReader>(path);
}

}  // namespace ingrain::data
