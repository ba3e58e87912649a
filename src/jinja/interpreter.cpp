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
  for (const auto& space : runtime_.namespaces) space->values = {};
  for (const auto& loop : runtime_.loops) *loop = {};
}

std::string Interpreter::render(const Template& source) {
  std::string out;
  out_ = &out;
  const auto inside = Inside(*this);
  top_ = scope_;
  const auto blocks = runtime_.make_namespace(Namespace::Kind::Self);
  for (const auto& [name, block] : source.blocks) {
    auto instance = std::make_shared<const MacroInstance>(MacroInstance{block, nullptr});
    blocks->values.set(name, std::make_shared<const Callable>(Callable{name, Value(), std::move(instance)}));
  }
  scope_->parent->values.emplace("self", blocks);
  execute(source.body);
  top_ = nullptr;
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
    case StmtKind::Output:
      for (const ExprPtr& output : stmt.outputs) show(evaluate(*output));
      break;
    case StmtKind::If: return execute_if(stmt);
    case StmtKind::For: return run_loop(stmt, evaluate(*stmt.value), 0);
    case StmtKind::Set: assign(stmt.target, evaluate(*stmt.value)); break;
    case StmtKind::SetBlock: execute_set_block(stmt); break;
    case StmtKind::Macro: scope_->values[stmt.text] = make_macro(stmt); break;
    case StmtKind::CallBlock: execute_call_block(stmt); break;
    case StmtKind::Filter: {
      const Value text = filter_block(*stmt.value, capture(stmt.body));
      require(text.as_text() != nullptr, "a filter block's filter must give a string, not {}", type_name(text));
      write(*text.as_text());
      break;
    }
    case StmtKind::Scope: return execute_scope(stmt);
    case StmtKind::Autoescape: return execute_autoescape(stmt);
    case StmtKind::Block: execute_block(stmt); break;
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

/// The items that pass the loop's condition, which is asked when an item's turn comes.
std::shared_ptr<Generator> Interpreter::selected_items(const Stmt& stmt, const Value& items) {
  auto source = iterator(runtime_, items);
  if (!stmt.condition) return source;
  captured_.push_back(scope_);
  auto out = std::make_shared<Generator>();
  out->depth = checked_depth(source->depth + 1);
  out->next = [this, &stmt, source, outside = scope_](Runtime& runtime) -> std::optional<Value> {
    while (auto item = source->pull(runtime)) {
      const Depth depth(*this);
      const Inside inside(*this, outside);
      assign(stmt.target, *item);
      if (truth(evaluate(*stmt.condition))) return item;
    }
    return std::nullopt;
  };
  return out;
}

std::shared_ptr<Loop> Interpreter::make_loop(const Stmt& stmt, const Value& items, int64_t depth0) {
  runtime_.charge(512);
  auto loop = std::make_shared<Loop>();
  runtime_.loops.push_back(loop);
  loop->items = selected_items(stmt, items);
  loop->depth0 = depth0;
  if (!stmt.condition && !items.as_generator() && !items.as_loop()) loop->known_length = length_of(runtime_, items);
  if (stmt.recursive)
    loop->recurse = [this, &stmt, outside = scope_](const Value& inner, int64_t depth) {
      const Depth guard(*this);
      return capture([&] {
        const Inside inside(*this, outside);
        run_loop(stmt, inner, depth);
      });
    };
  return loop;
}

Interpreter::Flow Interpreter::run_loop(const Stmt& stmt, const Value& items, int64_t depth0) {
  const auto loop = make_loop(stmt, items, depth0);
  bool any = false;
  while (loop->advance(runtime_)) {
    any = true;
    runtime_.charge(32);
    const Inside inside(*this);
    scope_->values["loop"] = loop;
    assign(stmt.target, loop->current);
    if (execute(stmt.body) == Flow::Break) break;
  }
  if (any) return Flow::Next;
  const Inside inside(*this);
  return execute(stmt.otherwise);
}

Interpreter::Flow Interpreter::execute_autoescape(const Stmt& stmt) {
  struct Restore {
    bool& at;
    bool before;
    ~Restore() { at = before; }
  } restore{runtime_.autoescape, runtime_.autoescape};
  const bool escapes = truth(evaluate(*stmt.value));
  const Inside inside(*this);
  runtime_.autoescape = escapes;
  return execute(stmt.body);
}

/// A block sees the template's own variables, a scoped one those around it, too.
Value Interpreter::capture_block(const Stmt& stmt) {
  require(!stmt.required, "the required block '{}' is not defined", stmt.text);
  const Depth depth(*this);
  return capture([&] {
    const Inside inside(*this, stmt.scoped ? scope_ : top_);
    execute(stmt.body);
  });
}

void Interpreter::execute_block(const Stmt& stmt) { write(*capture_block(stmt).as_text()); }

void Interpreter::show(const Value& value) {
  if (runtime_.autoescape)
    write(*escaped(runtime_, value).as_text());
  else if (const std::string* text = value.as_text())  // it may be long, and is not copied
    runtime_.charge(text->size()), write(*text);
  else
    write(text_of(runtime_, value));
}

Interpreter::Flow Interpreter::execute_scope(const Stmt& stmt) {
  std::vector<Value> values;  // all of them are evaluated outside
  for (const auto& [target, value] : stmt.assignments) values.push_back(evaluate(*value));
  const Inside inside(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
  return execute(stmt.body);
}

/// What is printed meanwhile; safe where it is escaped.
Value Interpreter::capture(const std::function<void()>& run) {
  std::string text;
  struct Redirect {
    std::string*& at;
    std::string* before;
    ~Redirect() { at = before; }
  } redirect{out_, out_};
  out_ = &text;
  run();
  return Value(std::move(text), runtime_.autoescape);
}

/// What the statements print, with their own scope.
Value Interpreter::capture(const Body& body) {
  return capture([&] {
    const Inside inside(*this);
    execute(body);
  });
}

void Interpreter::execute_set_block(const Stmt& stmt) {
  const Value text = capture(stmt.body);
  assign(stmt.target, stmt.value ? filter_block(*stmt.value, text) : text);
}

void Interpreter::execute_call_block(const Stmt& stmt) {
  const Value caller = make_macro(stmt);
  show(evaluate_call(*stmt.value, &caller));
}

Value Interpreter::make_macro(const Stmt& definition) {
  runtime_.charge(256);
  captured_.push_back(scope_);
  auto instance = std::make_shared<const MacroInstance>(MacroInstance{&definition, scope_, runtime_.autoescape});
  return std::make_shared<const Callable>(Callable{definition.text, Value(), std::move(instance)});
}

void Interpreter::assign(const Target& target, Value value) {
  if (!target.member.empty()) {
    const auto space = look_up(target.name).as_namespace();
    require(space && space->kind == Namespace::Kind::Namespace, "'{}' is not a namespace, so '{}' cannot be set in it",
            target.name, target.member);
    check_namespace_name(target.member);
    runtime_.charge(target.member.size());
    space->values.set(target.member, std::move(value));
    return;
  }
  if (!target.unpack) {
    scope_->values[target.name] = std::move(value);
    return;
  }
  const std::vector<Value> parts = iterate(runtime_, value);
  require(parts.size() == target.parts.size(), "{} values cannot be unpacked into {} names", parts.size(),
          target.parts.size());
  for (size_t i = 0; i < parts.size(); ++i) assign(target.parts[i], parts[i]);
}

}  // namespace ingrain::jinja
