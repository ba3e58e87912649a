// Expressions, from the loosest binding to the tightest.
#include "base/error.h"
#include "jinja/parser.h"

#include <algorithm>
#include <cstdlib>

namespace ingrain::jinja {
namespace {

constexpr int kMaxExpressionDepth = 120;  // of an expression's tree; long sums and chains of members lean to the left

void deepen(Expr& node, const ExprPtr& part) {
  if (part) node.depth = std::max(node.depth, part->depth + 1);
}

}  // namespace

ExprPtr Parser::make(ExprKind kind, int line) const {
  auto out = std::make_unique<Expr>();
  out->kind = kind;
  out->line = line;
  return out;
}

/// Notes and bounds the depth of a complete node.
ExprPtr Parser::finish(ExprPtr node) const {
  for (const ExprPtr& part : node->parts) deepen(*node, part);
  for (const ExprPtr& argument : node->positional) deepen(*node, argument);
  for (const auto& [name, argument] : node->named) deepen(*node, argument);
  deepen(*node, node->more_positional);
  deepen(*node, node->more_named);
  if (node->depth > kMaxExpressionDepth)
    fail_at(node->line, fmt::format("an expression is deeper than {}", kMaxExpressionDepth));
  return node;
}

ExprPtr Parser::pair(ExprKind kind, int line, ExprPtr left, ExprPtr right) const {
  ExprPtr out = make(kind, line);
  out->parts.push_back(std::move(left));
  out->parts.push_back(std::move(right));
  return finish(std::move(out));
}

/// One expression, or several with commas between them as a tuple.
ExprPtr Parser::parse_tuple(bool conditional) {
  const auto part = [&] { return conditional ? parse_expression() : parse_or(); };
  const int line = current().line;
  ExprPtr first = part();
  if (!is_operator(",")) return first;
  ExprPtr out = make(ExprKind::Tuple, line);
  out->parts.push_back(std::move(first));
  while (skip_operator(",")) {
    const bool ends =
        is_operator(")") || current().kind == TokenKind::BlockEnd || current().kind == TokenKind::VariableEnd;
    if (ends) break;
    out->parts.push_back(part());
  }
  return finish(std::move(out));
}

ExprPtr Parser::parse_expression() {
  const int line = current().line;
  enter(line);
  ExprPtr out = parse_or();
  while (skip_name("if")) {
    ExprPtr choice = make(ExprKind::Conditional, line);
    choice->parts.push_back(std::move(out));
    choice->parts.push_back(parse_or());
    choice->parts.push_back(skip_name("else") ? parse_expression() : nullptr);
    out = finish(std::move(choice));
  }
  leave();
  return out;
}

ExprPtr Parser::parse_or() {
  const int line = current().line;
  ExprPtr out = parse_and();
  while (skip_name("or")) out = pair(ExprKind::Or, line, std::move(out), parse_and());
  return out;
}

ExprPtr Parser::parse_and() {
  const int line = current().line;
  ExprPtr out = parse_not();
  while (skip_name("and")) out = pair(ExprKind::And, line, std::move(out), parse_not());
  return out;
}

ExprPtr Parser::parse_not() {
  const int line = current().line;
  if (!skip_name("not")) return parse_compare();
  enter(line);
  ExprPtr out = make(ExprKind::Not, line);
  out->parts.push_back(parse_not());
  leave();
  return finish(std::move(out));
}

ExprPtr Parser::parse_compare() {
  const int line = current().line;
  ExprPtr first = parse_sum();
  ExprPtr out;
  while (true) {
    std::string op;
    static constexpr std::string_view kOperators[] = {"==", "!=", "<=", ">=", "<", ">"};
    for (const std::string_view candidate : kOperators)
      if (op.empty() && skip_operator(candidate)) op = candidate;
    if (op.empty() && skip_name("in")) op = "in";
    const bool not_in = op.empty() && is_name("not") && at_ + 1 < tokens_.size() &&
                        tokens_[at_ + 1].kind == TokenKind::Name && tokens_[at_ + 1].text == "in";
    if (not_in) next(), next(), op = "not in";
    if (op.empty()) return out ? finish(std::move(out)) : std::move(first);
    if (!out) {
      out = make(ExprKind::Compare, line);
      out->parts.push_back(std::move(first));
    }
    out->operators.push_back(std::move(op));
    out->parts.push_back(parse_sum());
  }
}

ExprPtr Parser::parse_sum() {
  const int line = current().line;
  ExprPtr out = parse_concat();
  while (is_operator("+") || is_operator("-")) {
    const std::string op = next().text;
    out = pair(ExprKind::Arithmetic, line, std::move(out), parse_concat());
    out->text = op;
  }
  return out;
}

ExprPtr Parser::parse_concat() {
  const int line = current().line;
  ExprPtr first = parse_product();
  if (!is_operator("~")) return first;
  ExprPtr out = make(ExprKind::Concat, line);
  out->parts.push_back(std::move(first));
  while (skip_operator("~")) out->parts.push_back(parse_product());
  return finish(std::move(out));
}

ExprPtr Parser::parse_product() {
  const int line = current().line;
  ExprPtr out = parse_power();
  while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
    const std::string op = next().text;
    out = pair(ExprKind::Arithmetic, line, std::move(out), parse_power());
    out->text = op;
  }
  return out;
}

ExprPtr Parser::parse_power() {
  const int line = current().line;
  ExprPtr out = parse_unary(true);
  while (skip_operator("**")) {
    out = pair(ExprKind::Arithmetic, line, std::move(out), parse_unary(true));
    out->text = "**";
  }
  return out;
}

ExprPtr Parser::parse_unary(bool with_filters) {
  const int line = current().line;
  ExprPtr out;
  if (is_operator("-") || is_operator("+")) {
    enter(line);
    out = make(next().text == "-" ? ExprKind::Negate : ExprKind::Plus, line);
    out->parts.push_back(parse_unary(false));
    out = finish(std::move(out));
    leave();
  } else {
    out = parse_primary();
  }
  out = parse_postfix(std::move(out));
  return with_filters ? parse_filters_and_tests(std::move(out)) : std::move(out);
}

ExprPtr Parser::parse_primary() {
  const Token token = current();
  if (token.kind == TokenKind::Integer || token.kind == TokenKind::Float) return parse_number();
  if (is_operator("[")) return parse_list();
  if (is_operator("{")) return parse_dict();
  ExprPtr out = make(ExprKind::Constant, token.line);
  if (token.kind == TokenKind::Name) {
    next();
    if (token.text == "true" || token.text == "True")
      out->constant = true;
    else if (token.text == "false" || token.text == "False")
      out->constant = false;
    else if (token.text == "none" || token.text == "None")
      out->constant = None{};
    else
      out->kind = ExprKind::Name, out->text = token.text, note_name(token.text);
  } else if (token.kind == TokenKind::String) {
    std::string text;  // strings side by side are one
    while (current().kind == TokenKind::String) text += next().text;
    out->constant = std::move(text);
  } else if (skip_operator("(")) {
    enter(token.line);
    if (is_operator(")"))
      out->kind = ExprKind::Tuple;
    else
      out = parse_tuple();
    expect_operator(")");
    leave();
  } else {
    unexpected("a value");
  }
  return out;
}

ExprPtr Parser::parse_number() {
  const Token& token = next();
  ExprPtr out = make(ExprKind::Constant, token.line);
  const char *begin = token.text.data(), *end = begin + token.text.size();
  if (token.kind == TokenKind::Float) {
    out->constant = std::strtod(std::string(begin, end).c_str(), nullptr);  // infinite where too large
  } else {
    out->constant = Value::integer(token.text);
  }
  return out;
}

ExprPtr Parser::parse_list() {
  ExprPtr out = make(ExprKind::List, next().line);
  while (!is_operator("]")) {
    if (!out->parts.empty()) expect_operator(",");
    if (is_operator("]")) break;
    out->parts.push_back(parse_expression());
  }
  next();
  return finish(std::move(out));
}

ExprPtr Parser::parse_dict() {
  ExprPtr out = make(ExprKind::Dict, next().line);
  while (!is_operator("}")) {
    if (!out->parts.empty()) expect_operator(",");
    if (is_operator("}")) break;
    out->parts.push_back(parse_expression());
    expect_operator(":");
    out->parts.push_back(parse_expression());
  }
  next();
  return finish(std::move(out));
}

ExprPtr Parser::parse_postfix(ExprPtr node) {
  while (true) {
    const int line = current().line;
    if (skip_operator(".")) {
      if (current().kind == TokenKind::Integer) {
        node = pair(ExprKind::Element, line, std::move(node), parse_number());
        continue;
      }
      ExprPtr out = make(ExprKind::Member, line);
      out->text = expect_name();
      out->parts.push_back(std::move(node));
      node = finish(std::move(out));
    } else if (is_operator("[")) {
      node = parse_subscript(std::move(node));
    } else if (is_operator("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

/// An index, or a slice without its subject, which parse_subscript() puts in.
ExprPtr Parser::parse_subscribed() {
  const int line = current().line;
  const auto bound = [&]() -> ExprPtr {
    return is_operator(":") || is_operator("]") || is_operator(",") ? nullptr : parse_expression();
  };
  ExprPtr first = bound();
  if (!is_operator(":")) {
    if (!first) unexpected("an index");
    return first;
  }
  ExprPtr out = make(ExprKind::Slice, line);
  out->parts.push_back(nullptr);
  out->parts.push_back(std::move(first));
  next();
  out->parts.push_back(bound());
  out->parts.push_back(skip_operator(":") ? bound() : nullptr);
  return finish(std::move(out));
}

ExprPtr Parser::parse_subscript(ExprPtr node) {
  const int line = next().line;
  std::vector<ExprPtr> parts;
  while (!is_operator("]")) {
    if (!parts.empty()) expect_operator(",");
    parts.push_back(parse_subscribed());
  }
  next();
  if (parts.size() != 1) {
    ExprPtr key = make(ExprKind::Tuple, line);
    key->parts = std::move(parts);
    for (const ExprPtr& part : key->parts)
      if (part->kind == ExprKind::Slice && !part->parts[0]) fail_at(line, "a slice among several indices");
    return pair(ExprKind::Element, line, std::move(node), finish(std::move(key)));
  }
  if (parts[0]->kind != ExprKind::Slice || parts[0]->parts[0])
    return pair(ExprKind::Element, line, std::move(node), std::move(parts[0]));
  parts[0]->parts[0] = std::move(node);
  return finish(std::move(parts[0]));
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr node) {
  while (true) {
    if (skip_operator("|"))
      node = parse_filter(std::move(node));
    else if (skip_name("is"))
      node = parse_test(std::move(node));
    else if (is_operator("("))
      node = parse_call(std::move(node));
    else
      return node;
  }
}

ExprPtr Parser::parse_filter(ExprPtr node) {
  ExprPtr out = make(ExprKind::Filter, current().line);
  out->text = expect_name();
  while (skip_operator(".")) out->text += "." + expect_name();
  out->parts.push_back(std::move(node));
  if (is_operator("(")) parse_arguments(*out);
  return finish(std::move(out));
}

ExprPtr Parser::parse_test(ExprPtr node) {
  const int line = current().line;
  const bool negated = skip_name("not");
  ExprPtr out = make(ExprKind::Test, line);
  out->text = expect_name();
  while (skip_operator(".")) out->text += "." + expect_name();
  out->parts.push_back(std::move(node));
  const TokenKind kind = current().kind;
  const bool word = kind == TokenKind::Name && !is_name("else") && !is_name("or") && !is_name("and");
  const bool literal = kind == TokenKind::String || kind == TokenKind::Integer || kind == TokenKind::Float;
  if (is_operator("(")) {
    parse_arguments(*out);
  } else if (word || literal || is_operator("[") || is_operator("{")) {
    if (is_name("is")) fail_at(line, "tests with 'is' cannot follow each other");
    enter(line);
    out->positional.push_back(parse_postfix(parse_primary()));
    leave();
  }
  out = finish(std::move(out));
  if (!negated) return out;
  ExprPtr inverse = make(ExprKind::Not, line);
  inverse->parts.push_back(std::move(out));
  return finish(std::move(inverse));
}

ExprPtr Parser::parse_call(ExprPtr node) {
  ExprPtr out = make(ExprKind::Call, current().line);
  out->parts.push_back(std::move(node));
  parse_arguments(*out);
  return finish(std::move(out));
}

void Parser::parse_arguments(Expr& call) {
  expect_operator("(");
  bool first = true;
  while (!is_operator(")")) {
    if (!std::exchange(first, false)) expect_operator(",");
    if (is_operator(")")) break;
    const int line = current().line;
    const bool named = current().kind == TokenKind::Name && tokens_[at_ + 1].kind == TokenKind::Operator &&
                       tokens_[at_ + 1].text == "=";
    if (is_operator("*") || is_operator("**")) {
      const bool positional = next().text == "*";
      if (call.more_named || (positional && call.more_positional))
        fail_at(line, "'*' or '**' stands twice or in the wrong order in a call");
      (positional ? call.more_positional : call.more_named) = parse_expression();
    } else if (named) {
      if (call.more_named) fail_at(line, "an argument follows '**'");
      std::string name = next().text;
      next();
      for (const auto& given : call.named)
        if (given.first == name) fail_at(line, fmt::format("the argument '{}' is given twice", name));
      call.named.emplace_back(std::move(name), parse_expression());
    } else if (call.named.empty() && !call.more_positional && !call.more_named) {
      call.positional.push_back(parse_expression());
    } else {
      fail_at(line, "an argument without a name follows one with a name");
    }
  }
  next();
}

}  // namespace ingrain::jinja
