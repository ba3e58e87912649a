// Expressions.
#include "jinja/interpreter.h"

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

Value Interpreter::evaluate_concat(const Expr& expr) {
  std::string out;
  for (const ExprPtr& part : expr.parts) out += text_of(runtime_, evaluate(*part));
  return Value(std::move(out));
}

Value Interpreter::evaluate_unary(const Expr& expr) {
  Value value = evaluate(*expr.parts[0]);
  if (expr.kind == ExprKind::Not) return !truth(value);
  if (expr.kind == ExprKind::Negate) return negative(value);
  return negative(negative(value));
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
    else if (op == "<")
      holds = less(runtime_, left, right);
    else if (op == ">")
      holds = less(runtime_, right, left);
    else if (op == "<=")
      holds = less(runtime_, left, right) || equal(runtime_, left, right);
    else
      holds = less(runtime_, right, left) || equal(runtime_, left, right);
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
  return out;
}

Value Interpreter::evaluate_call(const Expr& expr, const Value* caller) {
  const Value callee = evaluate(*expr.parts[0]);
  CallArguments arguments = evaluate_arguments(expr);
  line_ = expr.line;
  if (caller) arguments.named.emplace_back("caller", *caller);
  const Callable* callable = callee.as_callable();
  if (!callable) {
    const auto* undefined = std::get_if<Undefined>(&callee.data());
    if (undefined && undefined->what) fail("{}, so it cannot be called", *undefined->what);
    fail("a value of type {} cannot be called", type_name(callee));
  }
  if (callable->macro) return call_macro(*callable->macro, callable->name, arguments);
  if (callable->self.is_undefined()) return call_global(runtime_, callable->name, arguments);
  return call_method(runtime_, callable->self, callable->name, arguments);
}

Value Interpreter::call_macro(const MacroInstance& macro, const std::string& name, const CallArguments& arguments) {
  const Depth depth(*this);
  runtime_.charge(256);
  const Inside inside(*this, macro.scope);
  bind_parameters(*macro.definition, name, arguments);
  return Value(capture(macro.definition->body));
}

void Interpreter::bind_parameters(const Stmt& macro, const std::string& name, const CallArguments& arguments) {
  const auto& parameters = macro.parameters;
  require(arguments.positional.size() <= parameters.size(), "macro '{}' takes at most {} arguments, {} were given",
          name, parameters.size(), arguments.positional.size());
  auto& values = scope_->values;
  values["caller"] = Value::undefined("'caller' is undefined");
  for (size_t i = 0; i < arguments.positional.size(); ++i) values[parameters[i].first] = arguments.positional[i];
  for (const auto& argument : arguments.named) {
    const auto at =
        std::find_if(parameters.begin(), parameters.end(), [&](const auto& p) { return p.first == argument.first; });
    require(at != parameters.end() || argument.first == "caller", "macro '{}' has no parameter '{}'", name,
            argument.first);
    const bool twice = at != parameters.end() && at - parameters.begin() < std::ssize(arguments.positional);
    require(!twice, "macro '{}': parameter '{}' is given twice", name, argument.first);
    values[argument.first] = argument.second;
  }
  for (size_t i = arguments.positional.size(); i < parameters.size(); ++i) {
    const std::string& parameter = parameters[i].first;
    const bool given = std::any_of(arguments.named.begin(), arguments.named.end(),
                                   [&](const auto& argument) { return argument.first == parameter; });
    if (given) continue;
    values[parameter] = parameters[i].second
                            ? evaluate(*parameters[i].second)
                            : Value::undefined(fmt::format("parameter '{}' was not provided", parameter));
  }
}

}  // namespace ingrain::jinja
