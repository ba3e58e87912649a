// Expressions.
#include "jinja/interpreter.h"

#include "base/text.h"
#include "jinja/interpreter_guards.h"

#include <algorithm>

namespace ingrain::jinja {

Value Interpreter::evaluate(const Expr& expr) {
  const Depth depth(*this);
  line_ = expr.line;
  const auto part = [&](size_t i) { return evaluate(*expr.parts[i]); };
  switch (expr.kind) {
    case ExprKind::Constant: return expr.constant;
    case ExprKind::Name: return look_up(expr.text);
    case ExprKind::List: return Value::list(evaluate_all(expr.parts));
    case ExprKind::Tuple: return Value::list(evaluate_all(expr.parts), true);
    case ExprKind::Dict: return evaluate_dict(expr);
    case ExprKind::Member: return member(runtime_, part(0), expr.text);
    case ExprKind::Element: {
      const Value subject = part(0);
      return element(runtime_, subject, part(1));
    }
    case ExprKind::Slice: {
      const Value subject = part(0), start = evaluate_or_none(expr.parts[1]), stop = evaluate_or_none(expr.parts[2]);
      return slice(runtime_, subject, start, stop, evaluate_or_none(expr.parts[3]));
    }
    case ExprKind::Call: return evaluate_call(expr, nullptr);
    case ExprKind::Filter: return apply_filter(runtime_, expr.text, part(0), evaluate_arguments(expr));
    case ExprKind::Test: {
      const Value subject = part(0);
      return apply_test(runtime_, expr.text, subject, evaluate_arguments(expr));
    }
    case ExprKind::Not:
    case ExprKind::Negate:
    case ExprKind::Plus: return evaluate_unary(expr);
    case ExprKind::And: {
      Value left = part(0);
      return truth(left) ? part(1) : left;
    }
    case ExprKind::Or: {
      Value left = part(0);
      return truth(left) ? left : part(1);
    }
    case ExprKind::Arithmetic: {
      const Value left = part(0);
      return arithmetic(runtime_, expr.text, left, part(1));
    }
    case ExprKind::Concat: return evaluate_concat(expr);
    case ExprKind::Compare: return evaluate_compare(expr);
    case ExprKind::Conditional:
      if (truth(part(1))) return part(0);
      return expr.parts[2] ? part(2)
                           : Value::undefined("a condition without 'else' was false and its value is undefined");
  }
  return Value();
}

Value Interpreter::look_up(const std::string& name) const {
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent.get())
    if (const auto found = scope->values.find(name); found != scope->values.end()) return found->second;
  if (is_global_function(name)) return std::make_shared<const Callable>(Callable{name, Value(), nullptr});
  if (name == "lipsum") return Value::undefined("the function " + *refused_name(name));
  return Value::undefined(fmt::format("'{}' is undefined", name));
}

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExprPtr>& exprs) {
  std::vector<Value> out;
  for (const ExprPtr& expr : exprs) out.push_back(evaluate(*expr));
  return out;
}

Value Interpreter::evaluate_dict(const Expr& expr) {
  Dict out;
  for (size_t i = 0; i < expr.parts.size(); i += 2) {
    const Value key = evaluate(*expr.parts[i]);
    runtime_.charge(128);
    runtime_.charge_key(key);
    out.set(key, evaluate(*expr.parts[i + 1]));
  }
  return Value::dict(std::move(out));
}

/// Within {% autoescape true %}, a safe part makes all others escape.
Value Interpreter::evaluate_concat(const Expr& expr) {
  const std::vector<Value> parts = evaluate_all(expr.parts);
  const bool safe =
      runtime_.autoescape && std::any_of(parts.begin(), parts.end(), [](const Value& part) { return part.is_safe(); });
  std::string out;
  for (const Value& part : parts) out += safe ? *escaped(runtime_, part).as_text() : text_of(runtime_, part);
  return Value(std::move(out), safe);
}

Value Interpreter::evaluate_unary(const Expr& expr) {
  Value value = evaluate(*expr.parts[0]);
  if (expr.kind == ExprKind::Not) return !truth(value);
  if (expr.kind == ExprKind::Negate) return negative(value);
  return positive(value);
}

bool Interpreter::evaluate_compare(const Expr& expr) {
  Value left = evaluate(*expr.parts[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.parts[i + 1]);
    const std::string& op = expr.operators[i];
    bool holds;
    if (op == "==")
      holds = equal(runtime_, left, right);
    else if (op == "!=")
      holds = !equal(runtime_, left, right);
    else if (op == "in")
      holds = contains(runtime_, right, left);
    else if (op == "not in")
      holds = !contains(runtime_, right, left);
    else
      holds = ordered(runtime_, op, left, right);
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

/// A block's filters: the innermost has no subject of its own and gets the block's text.
Value Interpreter::filter_block(const Expr& filter, const Value& text) {
  const Depth depth(*this);
  const Value subject = filter.parts[0] ? filter_block(*filter.parts[0], text) : text;
  line_ = filter.line;
  return apply_filter(runtime_, filter.text, subject, evaluate_arguments(filter));
}

CallArguments Interpreter::evaluate_arguments(const Expr& call) {
  CallArguments out;
  out.positional = evaluate_all(call.positional);
  for (const auto& [name, value] : call.named) out.named.emplace_back(name, evaluate(*value));
  if (call.more_positional)
    for (Value& value : iterate(runtime_, evaluate(*call.more_positional))) out.positional.push_back(std::move(value));
  if (!call.more_named) return out;
  const Value more = evaluate(*call.more_named);
  refuse_undefined(more);
  require(more.as_dict() != nullptr, "'**' needs a dictionary, not {}", type_name(more));
  for (const auto& [key, value] : more.as_dict()->items) {
    require(key.as_text() != nullptr, "'**': a name must be a string, not {}", type_name(key));
    require(!out.find(*key.as_text()), "the argument '{}' is given twice", printable(*key.as_text()));
    runtime_.charge(64 + key.as_text()->size());
    out.named.emplace_back(*key.as_text(), value);
  }
  return out;
}

Value Interpreter::evaluate_call(const Expr& expr, const Value* caller) {
  const Value callee = evaluate(*expr.parts[0]);
  CallArguments arguments = evaluate_arguments(expr);
  line_ = expr.line;
  if (caller) {
    require(!arguments.find("caller"), "the argument 'caller' is given twice");
    arguments.named.emplace_back("caller", *caller);
  }
  return call(callee, arguments);
}

Value Interpreter::call(const Value& callee, const CallArguments& arguments) {
  if (const auto loop = callee.as_loop()) {
    const Parameters p("loop", arguments, {"iterable"}, 1);
    require(loop->recurse != nullptr, "a loop that is called needs the word 'recursive'");
    return loop->recurse(*p[0], loop->depth0 + 1);
  }
  if (const auto space = callee.as_namespace(); space && space->kind == Namespace::Kind::Joiner) {
    Parameters("joiner", arguments, {});
    if (truth(*space->values.find("used"))) return *space->values.find("sep");
    space->values.set("used", true);
    return "";
  }
  const Callable* callable = callee.as_callable();
  if (!callable) {
    const auto* undefined = std::get_if<Undefined>(&callee.data());
    if (undefined && undefined->what) fail("{}; it cannot be called", *undefined->what);
    fail("a value of type {} cannot be called", type_name(callee));
  }
  if (!callable->macro)
    return callable->self.is_undefined() ? call_global(runtime_, callable->name, arguments)
                                         : call_method(runtime_, callable->self, callable->name, arguments);
  if (callable->macro->definition->kind != StmtKind::Block)
    return call_macro(*callable->macro, callable->name, arguments);
  Parameters("a block", arguments, {});
  return capture_block(*callable->macro->definition);
}

Value Interpreter::call_macro(const MacroInstance& macro, const std::string& name, const CallArguments& arguments) {
  const Depth depth(*this);
  runtime_.charge(256);
  struct Restore {
    bool& at;
    bool before;
    ~Restore() { at = before; }
  } restore{runtime_.autoescape, runtime_.autoescape};
  const bool safe = runtime_.autoescape;
  runtime_.autoescape = macro.autoescape;
  const Inside inside(*this, macro.scope);
  bind_parameters(*macro.definition, name, arguments);
  const Value out = capture(macro.definition->body);
  return safe == out.is_safe() ? out : Value(*out.as_text(), safe);
}

/// As jinja2's macros take them: by place, by name, and what is left over where the body asks for it.
void Interpreter::bind_parameters(const Stmt& macro, const std::string& name, CallArguments arguments) {
  const auto& parameters = macro.parameters;
  const size_t by_place = std::min(arguments.positional.size(), parameters.size());
  const auto take = [&](std::string_view wanted) -> std::optional<Value> {
    const auto at = std::find_if(arguments.named.begin(), arguments.named.end(),
                                 [&](const auto& given) { return given.first == wanted; });
    if (at == arguments.named.end()) return std::nullopt;
    Value out = std::move(at->second);
    arguments.named.erase(at);
    return out;
  };
  std::vector<std::optional<Value>> given(parameters.size());
  bool has_caller = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    given[i] = i < by_place ? std::optional(arguments.positional[i]) : take(parameters[i].first);
    has_caller = has_caller || parameters[i].first == "caller";
  }
  auto& values = scope_->values;
  if (macro.calls_caller && !has_caller) {
    const auto caller = take("caller");
    values["caller"] = caller && !caller->is_none() ? *caller : Value::undefined("no caller is defined");
  }
  if (macro.catches_named) {
    Dict rest;
    for (auto& [key, value] : arguments.named) rest.set(key, std::move(value));
    values["kwargs"] = Value::dict(std::move(rest));
  } else {
    for (const auto& rest : arguments.named)
      fail("macro '{}' has no parameter '{}', or it is given twice", name, printable(rest.first));
  }
  if (macro.catches_positional)
    values["varargs"] = Value::list(
        {arguments.positional.begin() + static_cast<std::ptrdiff_t>(by_place), arguments.positional.end()}, true);
  else
    require(arguments.positional.size() <= parameters.size(), "macro '{}' takes at most {} arguments, {} were given",
            name, parameters.size(), arguments.positional.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [parameter, otherwise] = parameters[i];
    values[parameter] = given[i]    ? *given[i]
                        : otherwise ? evaluate(*otherwise)
                                    : Value::undefined(fmt::format("parameter '{}' was not provided", parameter));
  }
}

}  // namespace ingrain::jinja
