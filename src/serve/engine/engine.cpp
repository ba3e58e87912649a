#include "serve/engine/engine.h"

#include "api/parts.h"
#include "base/error.h"
#include "base/option_error.h"
#include "serve/engine/prompt_tokens.h"
#include "serve/engine/scheduler.h"
#include "session/sampler.h"
#include "store/model_tokenizer.h"
#include "ttt/memory_file.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ingrain::serve {

struct Engine::Parts {
  Model model;
  PromptReader prompts;
  States states;
  Scheduler scheduler;
  mutable std::mutex mutex;
  int64_t prompt_count = 0, known_count = 0, tokens_cached = 0;

  Parts(Model of, std::shared_ptr<Records> records, const EngineOptions& options)
      : model(std::move(of)),
        prompts(model),
        states(model, std::move(records), options),
        scheduler(model, states, options) {}
};

namespace {

using Json = nlohmann::ordered_json;

/// Why an earlier part of the conversation has to be read again; "" if only what is new is read.
std::string miss_of(const PromptReader& prompts, const tokenizer::Tokenizer& tokenizer, const Prompt& prompt,
                    const PromptTokens& read, const Job& job) {
  const auto rest = std::span(job.tokens).subspan(job.tokens_known);
  if (!job.again.empty())
    return fmt::format("of what is known, {} tokens are read again: its memory was no longer kept",
                       job.tokens_to_read() - rest.size());
  size_t bytes = 0;
  for (const int32_t token : rest) bytes += tokenizer.id_to_bytes(token).size();
  const size_t known = read.text.size() - std::min(read.text.size(), bytes);
  if (!prompts.lacks_of_answers(prompt, read, known)) return {};
  if (known == 0) return "nothing that begins so is known";
  return fmt::format("what is known agrees with {} of {} tokens only",
                     read.tokens.size() - std::min(read.tokens.size(), rest.size()), read.tokens.size());
}

void check(const Writing& writing, int64_t vocabulary) {
  session::validate(writing.sampling, vocabulary);
  if (writing.choices < 1 || writing.choices > 128) fail_option("n", "is {}; it must be 1 to 128", writing.choices);
  if (writing.top_logprobs > 20) fail_option("top_logprobs", "is {}; it must be at most 20", writing.top_logprobs);
}

/// The first event: what is known is there. The caller's own thread tells it, as the computing thread takes all
/// processors.
void begin_events(Job& job, const std::function<bool(const Event&)>& on_event) {
  Event event;
  event.kind = Event::Kind::reading;
  event.tokens_to_read = static_cast<int64_t>(job.tokens_to_read());
  if (on_event && !on_event(event)) job.cancelled = true;
}

/// Passes on events until all is done; a false answer of on_event ends the job.
void follow(Job& job, const std::function<bool(const Event&)>& on_event) {
  try {
    while (const std::optional<Event> event = job.next())
      if (on_event && !job.cancelled && !on_event(*event)) job.cancelled = true;
  } catch (...) {
    job.cancelled = true;
    throw;
  }
}

/// An answer that a client sends back, as the model wrote it: without the blank that comes before an answer which has
/// none. Nothing where that is the same.
std::optional<Json> as_written(const Json& message) {
  if (message.value("role", "") != "assistant" || message.contains(kAnswerMember) || !message.contains("content") ||
      !message["content"].is_string() || !chat::lacks_blank(message["content"].get_ref<const std::string&>()))
    return std::nullopt;
  Json out = message;
  out[kAnswerMember] = Json::array({{{"text", message["content"]}, {"literal", true}}});
  return out;
}

/// Without what the model thought before an earlier answer. Nothing where that is the same.
std::optional<Json> without_thoughts(const Json& message) {
  if (!message.contains("reasoning_content")) return std::nullopt;
  Json out = message;
  out.erase("reasoning_content");
  return out;
}

/// Messages in another form; nothing where all are the same.
std::optional<Json> in_form(const Json& messages, std::optional<Json> (*form)(const Json& message)) {
  std::optional<Json> out;
  for (size_t i = 0; i < messages.size(); ++i)
    if (auto other = form(messages[i])) {
      if (!out) out = messages;
      (*out)[i] = std::move(*other);
    }
  return out;
}

/// The prompt as it is read, and what of it is known.
struct Begun {
  Prompt prompt;
  PromptTokens read;
  States::Found found;
};

Begun begin_as(const PromptReader& prompts, States& states, const Root& root, Prompt prompt) {
  Begun out{std::move(prompt), {}, {}};
  const NodePtr latest = states.of_root(root, out.prompt.latest);  // held, so that find() need not ask the store again
  const auto its_memory = states.load_ahead(latest);  // takes longer than reading through a text of any usual length
  out.read = prompts.read(out.prompt, latest ? latest->text() : std::vector<int32_t>());
  if (its_memory.valid()) its_memory.wait();
  out.found = states.find(root, out.read.tokens);
  return out;
}

/// The memory has read answers as they were written. A template may show thoughts that a client sends back, and the
/// memory is found under the text without them; without a template an answer may lack the blank before it. Of two forms
/// the one of which more is known.
Begun begin(const PromptReader& prompts, States& states, const Root& root, const Prompt& prompt) {
  Begun out = begin_as(prompts, states, root, prompt);
  if (!prompt.messages.is_array()) return out;
  const auto form = prompts.has_template() ? without_thoughts : as_written;
  auto messages = in_form(prompt.messages, form);
  if (!messages) return out;
  Prompt other = prompt;
  other.messages = std::move(*messages);
  if (auto said = in_form(prompt.said, form)) other.said = std::move(*said);
  Begun begun = begin_as(prompts, states, root, std::move(other));
  return begun.found.rest.size() < out.found.rest.size() ? begun : out;
}

/// The state after an answer, under the text that the next prompt will begin with.
NodePtr keep_answer(States& states, const PromptReader& prompts, const Prompt& prompt, const PromptTokens& read,
                    const Root& root, Job::Written& written, const Json& returned) {
  if (!written.memory) return nullptr;
  const auto begin = written.tokens.begin();
  std::vector<int32_t> tokens(begin, begin + static_cast<std::ptrdiff_t>(written.read));
  if (tokens.empty()) {
    written.memory = states.restore(written.after, std::move(written.memory));
    return written.after;
  }
  States::Found text{written.after, nullptr, tokens};
  if (const auto known_as = prompts.text_after(prompt, read, returned, tokens, written.reason))
    text = states.beginning_of(written.after, root, *known_as);
  auto after = written.after ? written.after->read_since(text.node.get()) : std::vector<ReadPart>();
  after.push_back({std::move(tokens), /*written=*/true});
  auto [node, memory] = states.add(root, text.node, text.rest, std::move(written.memory), std::move(after));
  written.memory = std::move(memory);  // so that it stays in RAM until it is kept
  return node;
}

}  // namespace

Engine::Engine(Model model, std::shared_ptr<Records> records, const EngineOptions& options)
    : parts_(std::make_unique<Parts>(std::move(model), std::move(records), options)) {}

Engine::~Engine() { finish(0); }

const Model& Engine::model() const { return parts_->model; }

Outcome Engine::run(const Prompt& asked, const Writing& writing, const std::function<bool(const Event&)>& on_event) {
  Parts& p = *parts_;
  check(writing, p.model.parts().network.config.vocab_size);
  const auto job = std::make_shared<Job>();
  job->root = {asked.owner, asked.base, writing.learn};
  const Scheduler::Place place(p.scheduler);
  auto [prompt, read, found] = begin(p.prompts, p.states, job->root, asked);
  if (read.tokens.empty() && prompt.base.empty()) fail_option("prompt", "is empty; there is nothing to go on from");
  job->memory = std::move(found.memory);
  job->from = found.node;
  const size_t found_already = read.tokens.size() - std::min(read.tokens.size(), found.rest.size());
  job->shared = read.shared > found_already ? read.shared - found_already : 0;
  job->tokens = std::move(found.rest);
  job->again = std::move(found.again);
  if (!job->again.empty()) job->beginnings.push_back({0, job->from->hash});
  if (!job->tokens.empty()) job->beginnings.push_back({job->tokens.size(), found.text});
  if (job->shared > 0)
    job->beginnings.push_back({job->shared, p.states.hash(job->root, std::span(read.tokens).first(read.shared))});
  // The same whatever is known of the prompt.
  const size_t window = static_cast<size_t>(std::max<int64_t>(writing.sampling.penalty_window, 0));
  job->seen.assign(read.tokens.end() - static_cast<std::ptrdiff_t>(std::min(window, read.tokens.size())),
                   read.tokens.end());
  job->writing = writing;
  job->reads_end = prompt.messages.is_array() && p.prompts.has_template();
  job->how.sampling = writing.sampling;
  job->how.max_tokens = writing.max_tokens < 0 ? std::numeric_limits<int64_t>::max() : writing.max_tokens;
  job->how.stop = writing.stop;
  job->how.stop.insert(job->how.stop.end(), read.stops.begin(), read.stops.end());
  begin_events(*job, on_event);
  p.scheduler.submit(job, place);
  follow(*job, on_event);

  Outcome out;
  // As the memory has read them: an answer in the tokens that were sampled, thoughts too.
  out.prompt_tokens = (job->from ? job->from->tokens_read() : 0) + static_cast<int64_t>(job->tokens.size());
  out.cached_tokens = std::max<int64_t>(0, out.prompt_tokens - static_cast<int64_t>(job->tokens_to_read()));
  out.miss = miss_of(p.prompts, p.model.parts().tokenizer(), prompt, read, *job);
  {
    std::lock_guard lock(p.mutex);
    ++p.prompt_count;
    p.known_count += out.miss.empty();
    p.tokens_cached += out.cached_tokens;
  }
  out.seconds_queued = job->seconds_queued;
  out.seconds_reading = job->seconds_reading;
  out.seconds_writing = job->seconds_writing;
  for (Job::Written& written : job->written) {
    const auto index = static_cast<int64_t>(out.choices.size());
    const Json returned = writing.returned ? writing.returned(index, written.text) : Json(nullptr);
    const NodePtr node = keep_answer(p.states, p.prompts, prompt, read, job->root, written, returned);
    if (node && writing.keep) p.states.persist(node);
    out.choices.push_back({written.text, written.reason, static_cast<int64_t>(written.tokens.size()),
                           node ? node->id : "", p.prompts.answer(written.tokens, written.reason, written.text)});
    if (!node) continue;
    out.memory_bytes = node->bytes;
    out.position = node->position;
  }
  job->written.clear();
  job->memory.reset();
  p.states.trim();
  return out;
}

std::string Engine::text(const Prompt& prompt) const { return parts_->prompts.text(prompt); }

int64_t Engine::count(const Prompt& prompt) const {
  return static_cast<int64_t>(parts_->prompts.read(prompt).tokens.size());
}

Engine::ReadOutcome Engine::read(const Owner& owner, const std::string& base, std::string_view text,
                                 const std::function<bool(const Event&)>& on_event) {
  Parts& p = *parts_;
  const auto job = std::make_shared<Job>();
  job->writes = false;
  job->root = {owner, base, Learn::all};
  const Scheduler::Place place(p.scheduler);
  if (!base.empty()) {
    job->from = p.states.get(owner, base);
    job->memory = p.states.memory(job->from);
  }
  const ModelConfig& config = p.model.parts().network.config;
  job->tokens = job->memory ? p.model.encode(text) : document_tokens(config, p.model.parts().tokenizer(), text);
  if (text.empty()) fail_option("text", "is empty; there is nothing to read");
  begin_events(*job, on_event);
  p.scheduler.submit(job, place);
  follow(*job, on_event);
  require(job->result.has_value(), "nothing was read");
  const auto [node, memory] = p.states.add_base(owner, std::move(*job->result));
  p.states.persist(node);
  p.states.trim();
  return {node->id,
          job->tokens_read,
          node->position,
          node->steps,
          job->nll_count > 0 ? job->nll_sum / static_cast<double>(job->nll_count)
                             : std::numeric_limits<double>::quiet_NaN(),
          node->bytes,
          job->stopped_reading};
}

Engine::StateInfo Engine::info(const Owner& owner, const std::string& state) const {
  const NodePtr node = parts_->states.get(owner, state);
  return {node->position, node->steps, node->bytes};
}

void Engine::download(const Owner& owner, const std::string& state, const std::filesystem::path& file) {
  const auto memory = parts_->states.memory(parts_->states.get(owner, state));
  ttt::save_memory(file, parts_->model.parts().network, *memory);
}

std::string Engine::upload(const Owner& owner, const std::filesystem::path& file) {
  ttt::Memory memory = ttt::load_memory(file, parts_->model.parts().network);
  require(memory.batch() == 1, "a memory of {} sequences; the server's are of one", memory.batch());
  const auto [node, kept] = parts_->states.add_base(owner, std::move(memory));
  parts_->states.persist(node);
  return node->id;
}

void Engine::forget(const Owner& owner, const std::string& state) {
  parts_->states.forget(parts_->states.get(owner, state));
}

EngineStats Engine::stats() const {
  EngineStats out;
  parts_->scheduler.count(out);
  parts_->states.count(out);
  out.tokens_learned = out.inner_steps * parts_->model.chunk();
  std::lock_guard lock(parts_->mutex);
  out.prompts = parts_->prompt_count;
  out.prompts_known = parts_->known_count;
  out.tokens_cached = parts_->tokens_cached;
  return out;
}

void Engine::set_outside_bytes(uint64_t bytes) { parts_->scheduler.set_outside_bytes(bytes); }

void Engine::finish(double grace_seconds) { parts_->scheduler.finish(grace_seconds); }

}  // namespace ingrain::serve
