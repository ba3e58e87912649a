#include "serve/postgresql_server.h"

#include "base/error.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

namespace ingrain::serve {
namespace {

namespace fs = std::filesystem;

/// The newest folder with initdb, or nothing.
fs::path programs() {
  fs::path out;
  std::error_code error;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", error))
    if (fs::exists(version.path() / "bin/initdb") && version.path() > out) out = version.path();
  if (!out.empty()) return out / "bin";
  return fs::exists("/usr/local/bin/initdb") ? "/usr/local/bin" : "";
}

class Server {
 public:
  Server() : why(begin()) {}

  ~Server() {
    if (::getpid() != owner_) return;  // a fork of the test
    if (running_) run(bin_ + "pg_ctl -D " + folder_ + "/data -m immediate -w stop");
    std::error_code error;
    if (!folder_.empty()) fs::remove_all(folder_, error);
  }

  bool start() {
    return run(bin_ + "pg_ctl -D " + folder_ + "/data -l " + folder_ + "/log -w -o \"-k " + folder_ +
               " -c listen_addresses='' -c fsync=off\" start");
  }
  void restart() {
    require(run(bin_ + "pg_ctl -D " + folder_ + "/data -m immediate -w stop") && start(), "PostgreSQL: no restart");
  }
  std::string database() {
    const std::string name = "test" + std::to_string(++databases_);
    require(run(bin_ + "createdb -h " + folder_ + " -U ingrain " + name), "PostgreSQL: no database");
    return "postgresql://ingrain@/" + name + "?host=" + folder_;
  }

 private:
  /// What stands in the way, or nothing.
  std::string begin() {
    const fs::path bin = programs();
    if (bin.empty()) return "no PostgreSQL on this machine (Debian's package postgresql)";
    bin_ = bin.string() + "/";
    const passwd* user = ::getuid() == 0 ? ::getpwnam("postgres") : ::getpwuid(::getuid());
    if (!user) return "PostgreSQL does not run as root, and there is no user 'postgres'";
    user_ = user->pw_name;
    std::string name = "/tmp/ingrain-pg-XXXXXX";
    if (!::mkdtemp(name.data())) return "no temporary folder";
    folder_ = name;
    if (::chown(name.c_str(), user->pw_uid, user->pw_gid) != 0) return "the folder cannot be given away";
    if (!run(bin_ + "initdb -D " + name + "/data -A trust -E UTF8 --no-sync -U ingrain") || !start())
      return "PostgreSQL does not start: see " + name + "/log";
    running_ = true;
    return "";
  }

  bool run(const std::string& command) const {
    const std::string as = ::getuid() == 0 ? "cd / && runuser -u " + user_ + " -- " : "";
    return std::system((as + command + " >>" + folder_ + "/out 2>&1").c_str()) == 0;
  }

  std::string bin_, user_, folder_;
  bool running_ = false;
  pid_t owner_ = ::getpid();
  int databases_ = 0;

 public:
  std::string why;
};

Server& server() {
  static Server out;
  return out;
}

}  // namespace

std::string postgresql_database(std::string* why) {
  if (!server().why.empty()) {
    *why = server().why;
    return "";
  }
  return server().database();
}

void restart_postgresql() { server().restart(); }

}  // namespace ingrain::serve
