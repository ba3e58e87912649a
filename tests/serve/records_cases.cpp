#include "serve/records_cases.h"

#include "base/text.h"
#include "scratch.h"
#include "serve/postgresql_server.h"

#include <unistd.h>

namespace ingrain::serve {

std::vector<RecordsImplementation> implementations() {
  struct Nowhere : RecordsPlace {
    std::shared_ptr<Records> open() override { return open_sqlite(":memory:"); }
  };
  struct InAFile : RecordsPlace {
    InAFile() {
      std::string name = (std::filesystem::path(::testing::TempDir()) / "ingrain-records-XXXXXX").string();
      require(::mkdtemp(name.data()) != nullptr, "no temporary folder");
      folder = name;
    }
    ~InAFile() override { std::filesystem::remove_all(folder); }
    std::shared_ptr<Records> open() override { return open_sqlite(folder / "store.db"); }
    std::filesystem::path folder;
  };
  struct OnPostgresql : RecordsPlace {
    explicit OnPostgresql(std::string address) : url(std::move(address)) {}
    std::shared_ptr<Records> open() override { return open_postgresql(url); }
    std::string url;
  };
  const auto on_postgresql = [](std::string* why) -> std::unique_ptr<RecordsPlace> {
    if (!contains(error_of([] { open_postgresql("no address"); }), "address")) {
      *why = "this build has no libpq";
      return nullptr;
    }
    const std::string url = postgresql_database(why);
    return url.empty() ? nullptr : std::make_unique<OnPostgresql>(url);
  };
  return {{"sqlite_in_memory", [](std::string*) { return std::make_unique<Nowhere>(); }, false},
          {"sqlite", [](std::string*) { return std::make_unique<InAFile>(); }, true},
          {"postgresql", on_postgresql, true}};
}

}  // namespace ingrain::serve
