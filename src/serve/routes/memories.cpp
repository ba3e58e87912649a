#include "serve/api/memories_api.h"

#include "base/clock.h"
#include "base/json_texts.h"
#include "base/files.h"
#include "base/text.h"
#include "serve/routes/answering.h"
#include "serve/routes/conversation_store.h"
#include "serve/routes/noting.h"
#include "serve/store/ids.h"

#include <cmath>

namespace ingrain::serve {
namespace {

using api::Json;
namespace fs = std::filesystem;

/// Where a memory file lies on its way in or out; gone with this.
class ScratchFile {
 public:
  explicit ScratchFile(const Service& service) : path_(service_folder(service) / random_id("memory-")) {}
  ~ScratchFile() {
    std::error_code none;
    fs::remove(path_, none);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  const fs::path& path() const { return path_; }

 private:
  static const fs::path& service_folder(const Service& service) {
    const fs::path& folder = service.options().scratch;
    std::error_code error;
    fs::create_directories(folder, error);
    require(!error, "{}: cannot make this folder: {}", folder.string(), error.message());
    return folder;
  }
  fs::path path_;
};

Json memory_json(const Record& record) {
  Json out = {{"id", record.id},
              {"object", "memory"},
              {"name", record.name.empty() ? Json(nullptr) : Json(record.name)},
              {"created_at", record.created},
              {"updated_at", record.updated},
              {"parent", record.parent.empty() ? Json(nullptr) : Json(record.parent)}};
  out.update(parse_own_json(record.body));
  return out;
}

Record new_memory(const Call& call, const std::string& name, const std::string& parent) {
  Record out;
  out.owner = call.owner;
  out.kind = "memory";
  out.id = random_id("mem_");
  out.name = name;
  out.parent = parent;
  out.created = out.updated = unix_seconds();
  out.body = "{}";
  return out;
}

void need_free_name(Call& call, const std::string& name) {
  if (name.empty() || !call.service.records().by_name(call.owner, "memory", name)) return;
  throw api::ApiError(409, "invalid_request_error", "already_exists", "name",
                      fmt::format("there is a memory '{}'; rename or delete it, or take another name", name));
}

/// Puts the record unless its name was taken meanwhile.
void keep_memory(Call& call, Record& record, bool anew) {
  const std::lock_guard lock(call.service.memory_names());
  if (anew) need_free_name(call, record.name);
  record.updated = unix_seconds();
  call.service.records().put(record);
}

/// Body and state after `state`, with what was known before of its sources.
void set_state(Call& call, Record& record, const std::string& state, const std::vector<std::string>& sources) {
  const Engine::StateInfo info = call.service.engine().info(call.owner, state);
  Json body = parse_own_json(record.body);
  body["tokens"] = info.position;
  body["steps"] = info.steps;
  body["bytes"] = info.bytes;
  if (!body.contains("sources")) body["sources"] = Json::array();
  for (const std::string& source : sources)
    if (!source.empty()) body["sources"].push_back(source);
  record.body = api::dump(body);
  record.state = state;
}

/// Reads the texts one after another into a copy of `base`; what has become of it. States on the way are forgotten.
std::string read_texts(Call& call, const api::MemoryAsk& ask, const std::string& base) {
  const api::RateLimits::Place place(call.service.rates(), call.owner);
  std::string state = base;
  int64_t tokens = 0;
  double sum = 0;
  for (size_t i = 0; i < ask.texts.size(); ++i) {
    const auto hear = [&](const Event& event) {
      Json progress = api::progress_of(event);
      if (ask.stream && progress.is_object()) {
        progress["text"] = i;
        progress["texts"] = ask.texts.size();
        call.send(api::sse(progress, event.kind == Event::Kind::step ? "memory.step" : "memory.reading"));
      }
      return !call.exchange.gone();
    };
    const Engine::ReadOutcome outcome = call.service.engine().read(call.owner, state, ask.texts[i], hear);
    if (state != base) forget_state(call, state);
    state = outcome.state;
    tokens += outcome.tokens;
    if (std::isfinite(outcome.mean_nll)) sum += outcome.mean_nll * static_cast<double>(outcome.tokens);
    if (outcome.stopped) {
      if (state != base) forget_state(call, state);
      throw api::unavailable("reading was stopped; nothing was kept", 5);
    }
  }
  call.log.more["read_tokens"] = tokens;
  if (tokens > 0) call.log.more["mean_nll"] = sum / static_cast<double>(tokens);
  return state;
}

void stream_errors(Call& call) {
  call.stream_error = [](const api::ApiError& error) { return api::sse(api::openai_error(error), "error"); };
}

void reply_memory(Call& call, const Record& record, bool stream) {
  if (stream)
    call.send(api::sse(memory_json(record), "memory.completed"));
  else
    call.reply(memory_json(record));
}

/// What `use` makes of a file with these bytes. 400 naming `param` for what is wrong with them.
template <class Use>
auto of_uploaded(Call& call, const std::string& bytes, const char* param, const char* what, const Use& use) {
  const ScratchFile scratch(call.service);
  write_file(scratch.path(), bytes);
  try {
    return use(scratch.path());
  } catch (const Error& e) {
    std::string text = e.what();
    if (const size_t at = text.find(scratch.path().string()); at != text.npos)
      text.replace(at, scratch.path().string().size(), what);
    api::refuse(param, "{}", text);
  }
}

std::string upload_file(Call& call, const std::string& bytes) {
  return of_uploaded(call, bytes, "memory", "the memory file",
                     [&](const fs::path& file) { return call.service.engine().upload(call.owner, file); });
}

void upload_notes(Call& call, const std::string& bytes, const std::string& memory) {
  of_uploaded(call, bytes, "notes", "the file of notes", [&](const fs::path& file) {
    call.service.notes().of(call.owner)->copy(memory, Notepad(file, Open::read_only), "");
  });
}

void send_file(Call& call, const fs::path& path, const std::string& name) {
  const MappedFile file(path);
  call.exchange.begin(200, "application/octet-stream",
                      {{"Content-Disposition", fmt::format("attachment; filename=\"{}\"", name)}});
  call.streaming = true;
  constexpr size_t kPart = size_t{1} << 20;
  for (size_t at = 0; at < file.size() && call.exchange.write(file.bytes().substr(at, kPart)); at += kPart) {}
}

}  // namespace

void post_memories(Call& call) {
  const api::MemoryAsk ask = api::read_memory_request(call.request());
  stream_errors(call);
  need_free_name(call, ask.name);
  Record record = new_memory(call, ask.name, "");
  std::string base;
  if (!ask.from.empty()) {
    const Record from = memory_record(call, ask.from, "from");
    base = from.state;
    record.parent = from.id;
    record.body = from.body;
  } else if (!ask.response.empty()) {
    const Record from = response_record(call, ask.response, "response");
    base = from.state;
    record.parent = from.id;
    if (base.empty()) api::refuse("response", "'response': nothing was kept of this one's memory");
  }
  set_state(call, record, ask.file ? upload_file(call, *ask.file) : read_texts(call, ask, base), ask.sources);
  if (ask.notes) try {
      upload_notes(call, *ask.notes, record.id);
    } catch (...) {
      forget_state(call, record.state);
      throw;
    }
  note_fork(call, ask.from.empty() ? std::string() : record.parent, record.id);
  note_texts(call, record.id, ask);
  keep_memory(call, record, /*anew=*/true);
  reply_memory(call, record, ask.stream);
}

void read_into_memory(Call& call) {
  const api::MemoryAsk ask = api::read_memory_addition(call.request());
  stream_errors(call);
  Record record = memory_record(call, call.variables[0], "memory_id");
  std::optional<ConversationLease> lease(std::in_place, call.service, call.owner, record.id);
  const std::string before = record.state;
  set_state(call, record, read_texts(call, ask, before), ask.sources);
  note_texts(call, record.id, ask);
  keep_memory(call, record, /*anew=*/false);
  lease.reset();  // before the client is told
  reply_memory(call, record, ask.stream);
}

void get_memories(Call& call) {
  api::Page page;
  page.limit = 100;
  page.descending = false;
  if (!call.request().query.empty()) page = api::read_page(call.request().query);
  const auto [records, more] = list_page(call, "memory", "", page);
  Json data = Json::array();
  for (const Record& record : records) data.push_back(memory_json(record));
  call.reply(api::list_of(std::move(data), more));
}

void get_memory(Call& call) { call.reply(memory_json(memory_record(call, call.variables[0], "memory_id"))); }

void rename_memory(Call& call) {
  const api::MemoryChange change = api::read_memory_name(call.body());
  Record record = memory_record(call, call.variables[0], "memory_id");
  const bool anew = record.name != change.name;
  record.name = change.name;
  keep_memory(call, record, anew);
  call.reply(memory_json(record));
}

void fork_memory(Call& call) {
  const api::MemoryChange change = api::read_memory_name(call.body());
  const Record from = memory_record(call, call.variables[0], "memory_id");
  Record record = new_memory(call, change.name, from.id);
  record.body = from.body;
  note_fork(call, from.id, record.id);
  record.state = from.state;  // a state never changes: both go on from it
  keep_memory(call, record, /*anew=*/true);
  call.reply(memory_json(record));
}

void delete_memory(Call& call) {
  const Record record = memory_record(call, call.variables[0], "memory_id");
  call.service.records().remove(call.owner, "memory", record.id);
  forget_notes(call, record.id);
  forget_state(call, record.state);
  call.reply({{"id", record.id}, {"object", "memory.deleted"}, {"deleted", true}});
}

void download_memory(Call& call) {
  const Record record = memory_record(call, call.variables[0], "memory_id");
  const ScratchFile scratch(call.service);
  call.service.engine().download(call.owner, record.state, scratch.path());
  send_file(call, scratch.path(), record.id + ".memory");
}

void download_memory_notes(Call& call) {
  const Record record = memory_record(call, call.variables[0], "memory_id");
  const auto notes = call.service.notes().of(call.owner);
  if (notes->passages(record.id) == 0)
    api::refuse_missing("memory_id", fmt::format("a note of what the memory '{}' has read", printable(record.id)));
  Notepad alone;
  alone.copy("", *notes, record.id);
  const ScratchFile scratch(call.service);
  alone.save(scratch.path());
  send_file(call, scratch.path(), record.id + ".memory.notes");
}

}  // namespace ingrain::serve
