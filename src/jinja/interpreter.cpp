// Statements.
#include "jinja/interpreter.h"

#include "jinja/interpreter_guards.h"

namespace ingrain::jinja {

Interpreter::Interpreter(Runtime runtime, std::map<std::string, Value, std::less<>> variables)
    : runtime_(std::move(runtime)), scope_(std::make_shared<Scope>()) {
  scope_->values = std::move(variables);
}

Interpreter::~Interpreter() {
  // Macros hold scopes that hold them, and namespaces may hold themselves: cut here, or they would never be
  // freed.
  for (const auto& scope : captured_) scope->values.clear();
  for (const auto& space : runtime_.namespaces) space->values.clear();
}

std::string Interpreter::render(const Body& body) {
  std::string out;
  out_ = &out;
  const auto inside = Inside(*this);
  execute(body);
  return out;
}

void Interpreter::write(const std::string& text) {
  runtime_.charge(text.size());
  *out_ += text;
}

Interpreter::Flow Interpreter::execute(const Body& body) {
  for (const auto& stmt : body)
    if (const Flow flow = execute(*stmt); flow != Flow::Next) return flow;
  return Flow::Next;
}

Interpreter::Flow Interpreter::execute(const Stmt& stmt) {
  const Depth depth(*this);
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::Text: write(stmt.text); break;
    case StmtKind::Output: write(text_of(runtime_, evaluate(*stmt.value))); break;
    case StmtKind::If: return execute_if(stmt);
    case StmtKind::For: return execute_for(stmt);
    case StmtKind::Set: assign(stmt.target, evaluate(*stmt.value)); break;
    case StmtKind::SetBlock: execute_set_block(stmt); break;
    case StmtKind::Macro: scope_->values[stmt.text] = make_macro(stmt); break;
    case StmtKind::CallBlock: execute_call_block(stmt); break;
    case StmtKind::Filter: write(text_of(runtime_, filter_block(*stmt.value, Value(capture(stmt.body))))); break;
    case StmtKind::Scope: return execute_scope(stmt);
    case StmtKind::Break: return Flow::Break;
    case StmtKind::Continue: return Flow::Continue;
  }
  return Flow::Next;
}

Interpreter::Flow Interpreter::execute_if(const Stmt& stmt) {
  for (const auto& [condition, body] : stmt.branches)
    if (!condition || truth(evaluate(*condition))) return execute(body);
  return Flow::Next;
}

std::vector<Value> Interpreter::selected_items(const Stmt& loop) {
  std::vector<Value> items = iterate(runtime_, evaluate(*loop.value));
  if (!loop.condition) return items;
  std::vector<Value> out;
  const Inside inside(*this);
  for (Value& item : items) {
    assign(loop.target, item);
    if (truth(evaluate(*loop.condition))) out.push_back(std::move(item));
  }
  return out;
}

Interpreter::Flow Interpreter::execute_for(const Stmt& stmt) {
  const std::vector<Value> items = selected_items(stmt);
  if (items.empty()) {
    const Inside inside(*this);
    return execute(stmt.otherwise);
  }
  const auto state = runtime_.make_namespace();
  for (size_t i = 0; i < items.size(); ++i)
    if (run_iteration(stmt, items, i, state) == Flow::Break) break;
  return Flow::Next;
}

Interpreter::Flow Interpreter::run_iteration(const Stmt& loop, const std::vector<Value>& items, size_t i,
                                             const std::shared_ptr<Namespace>& state) {
  runtime_.charge(512);
  const Inside inside(*this);
  const auto index = static_cast<int64_t>(i), count = static_cast<int64_t>(items.size());
  auto& values = state->values;
  values["index"] = index + 1;
  values["index0"] = index;
  values["revindex"] = count - index;
  values["revindex0"] = count - index - 1;
  values["first"] = i == 0;
  values["last"] = i + 1 == items.size();
  values["length"] = count;
  values["previtem"] = i > 0 ? items[i - 1] : Value::undefined("there is no previous item");
  values["nextitem"] = i + 1 < items.size() ? items[i + 1] : Value::undefined("there is no next item");
  values["cycle"] = std::make_shared<const Callable>(Callable{"cycle", index, nullptr});
  scope_->values["loop"] = state;
  assign(loop.target, items[i]);
  return execute(loop.body);
}

Interpreter::Flow Interpreter::execute_scope(const Stmt& stmt) {
  std::vector<Value> values;  // all of them are evaluated outside
  for (const auto& [target, value] : stmt.assignments) values.push_back(evaluate(*value));
  const Inside inside(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
  return execute(stmt.body);
}

/// What the statements print, with their own scope.
std::string Interpreter::capture(const Body& body) {
  std::string text;
  struct Redirect {
    std::string*& at;
    std::string* before;
    ~Redirect() { at = before; }
  } redirect{out_, out_};
  out_ = &text;
  const Inside inside(*this);
  execute(body);
  return text;
}

void Interpreter::execute_set_block(const Stmt& stmt) {
  Value text(capture(stmt.body));
  assign(stmt.target, stmt.value ? filter_block(*stmt.value, text) : text);
}

void Interpreter::execute_call_block(const Stmt& stmt) {
  const Value caller = make_macro(stmt);
  write(text_of(runtime_, evaluate_call(*stmt.value, &caller)));
}

Value Interpreter::make_macro(const Stmt& definition) {
  runtime_.charge(256);
  captured_.push_back(scope_);
  auto instance = std::make_shared<const MacroInstance>(MacroInstance{&definition, scope_});
  return std::make_shared<const Callable>(Callable{definition.text, Value(), std::move(instance)});
}

void Interpreter::assign(const Target& target, Value value) {
  if (!target.member.empty()) {
    const auto space = look_up(target.names[0]).as_namespace();
    require(space != nullptr, "'{}' is not a namespace, so '{}' cannot be set in it", target.names[0], target.member);
    space->values[target.member] = std::move(value);
    return;
  }
  if (!target.unpack) {
    scope_->values[target.names[0]] = std::move(value);
    return;
  }
  const std::vector<Value> parts = iterate(runtime_, value);
  require(parts.size() == target.names.size(), "{} values cannot be unpacked into {} names", parts.size(),
          target.names.size());
  for (size_t i = 0; i < parts.size(); ++i) scope_->values[target.names[i]] = parts[i];
}

}  // namespace ingrain::jinja
