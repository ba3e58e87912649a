// Statements.
#include "jinja/parser.h"

#include "base/error.h"
#include "base/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

constexpr int kMaxTagNesting = 60;  // of tags within tags and of expressions within brackets

}  // namespace

bool Parser::is_name(std::string_view name) const {
  return current().kind == TokenKind::Name && current().text == name;
}

bool Parser::is_operator(std::string_view op) const {
  return current().kind == TokenKind::Operator && current().text == op;
}

bool Parser::skip_name(std::string_view name) { return is_name(name) && (next(), true); }

bool Parser::skip_operator(std::string_view op) { return is_operator(op) && (next(), true); }

std::string Parser::expect_name() {
  if (current().kind != TokenKind::Name) unexpected("a name");
  return next().text;
}

void Parser::expect_operator(std::string_view op) {
  if (!skip_operator(op)) unexpected(fmt::format("'{}'", op));
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) unexpected(fmt::format("'{}'", what));
  next();
}

void Parser::fail_at(int line, std::string_view message) const { fail("line {}: {}", line, message); }

void Parser::unexpected(std::string_view wanted) const {
  const Token& token = current();
  std::string found = "'" + printable(token.text) + "'";
  if (token.kind == TokenKind::End) found = "the end of the template";
  if (token.kind == TokenKind::BlockEnd) found = "'%}'";
  if (token.kind == TokenKind::VariableEnd) found = "'}}'";
  fail_at(token.line, fmt::format("{} is expected, found {}", wanted, found));
}

void Parser::enter(int line) {
  if (++nesting_ > kMaxTagNesting) fail_at(line, fmt::format("the template nests deeper than {}", kMaxTagNesting));
}

std::unique_ptr<Stmt> Parser::make(StmtKind kind) const {
  auto out = std::make_unique<Stmt>();
  out->kind = kind;
  out->line = current().line;
  return out;
}

Template Parser::parse() {
  Template out{parse_until({}), {}};
  if (current().kind != TokenKind::End) unexpected("text or a tag");
  out.blocks = std::move(blocks_);
  return out;
}

/// Statements up to a tag that begins with one of `ends`; stops at that name, or at the end of the template.
Body Parser::parse_until(std::initializer_list<std::string_view> ends) {
  Body body;
  while (current().kind != TokenKind::End) {
    if (current().kind == TokenKind::Data) {
      body.push_back(make(StmtKind::Text));
      body.back()->text = next().text;
    } else if (current().kind == TokenKind::VariableBegin) {
      next();
      body.push_back(make(StmtKind::Output));
      body.back()->outputs.push_back(parse_tuple());
      expect(TokenKind::VariableEnd, "}}");
    } else {
      expect(TokenKind::BlockBegin, "{%");
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return is_name(end); })) return body;
      body.push_back(parse_statement());
    }
  }
  if (ends.size() > 0) unexpected(fmt::format("'{}'", *(ends.end() - 1)));
  return body;
}

/// The rest of an opening tag, its content and its closing tag.
Body Parser::parse_block(std::string_view end) {
  end_of_tag();
  Body body = parse_until({end});
  next();
  end_of_tag();
  return body;
}

std::unique_ptr<Stmt> Parser::parse_statement() {
  const int line = current().line;
  enter(line);
  const std::string name = expect_name();
  std::unique_ptr<Stmt> out;
  if (name == "if")
    out = parse_if();
  else if (name == "for")
    out = parse_for();
  else if (name == "set")
    out = parse_set();
  else if (name == "macro")
    out = parse_macro();
  else if (name == "call")
    out = parse_call_block();
  else if (name == "filter")
    out = parse_filter_block();
  else if (name == "with")
    out = parse_with();
  else if (name == "generation")
    out = parse_generation();
  else if (name == "print")
    out = parse_print();
  else if (name == "autoescape")
    out = parse_autoescape();
  else if (name == "block")
    out = parse_block_tag();
  else if (name == "break")
    out = parse_jump(StmtKind::Break);
  else if (name == "continue")
    out = parse_jump(StmtKind::Continue);
  else
    fail_at(line, fmt::format("the tag '{}' is not supported here", printable(name)));
  out->line = line;
  leave();
  return out;
}

std::unique_ptr<Stmt> Parser::parse_if() {
  auto out = make(StmtKind::If);
  while (true) {
    ExprPtr condition = parse_tuple(false);
    end_of_tag();
    Body body = parse_until({"elif", "else", "endif"});
    out->branches.emplace_back(std::move(condition), std::move(body));
    if (skip_name("elif")) continue;
    if (skip_name("else"))
      out->branches.emplace_back(nullptr, parse_block("endif"));
    else
      next(), end_of_tag();
    return out;
  }
}

std::unique_ptr<Stmt> Parser::parse_for() {
  auto out = make(StmtKind::For);
  ++loops_;
  out->target = parse_target(false, "in");
  --loops_;
  if (!skip_name("in")) unexpected("'in'");
  out->value = parse_tuple(false);
  if (skip_name("if")) out->condition = parse_expression();
  out->recursive = skip_name("recursive");
  end_of_tag();
  ++loops_;
  out->body = parse_until({"else", "endfor"});
  --loops_;
  if (skip_name("else")) {
    out->otherwise = parse_block("endfor");
  } else {
    next();
    end_of_tag();
  }
  return out;
}

std::unique_ptr<Stmt> Parser::parse_set() {
  auto out = make(StmtKind::Set);
  out->target = parse_target(true, "=");
  if (skip_operator("=")) {
    out->value = parse_tuple();
    end_of_tag();
    return out;
  }
  out->kind = StmtKind::SetBlock;
  if (out->target.unpack) fail_at(out->line, "a block cannot be unpacked into several names");
  while (skip_operator("|")) out->value = parse_filter(std::move(out->value));
  out->body = parse_block("endset");
  return out;
}

/// A body of its own: break and continue do not reach loops around it.
Body Parser::parse_closed_body(std::string_view end) {
  const int outside = std::exchange(loops_, 0);
  Body body = parse_block(end);
  loops_ = outside;
  return body;
}

void Parser::parse_macro_body(Stmt& macro, std::string_view end) {
  macros_.push_back(&macro);
  macro.body = parse_closed_body(end);
  macros_.pop_back();
  const auto& parameters = macro.parameters;
  const auto caller =
      std::find_if(parameters.begin(), parameters.end(), [](const auto& p) { return p.first == "caller"; });
  if (macro.calls_caller && caller != parameters.end() && !caller->second)
    fail_at(macro.line, "the parameter 'caller' of a macro that calls it needs a default");
}

/// Macros around a name learn that they need it.
void Parser::note_name(std::string_view name) {
  for (Stmt* macro : macros_) {
    if (name == "caller") macro->calls_caller = true;
    if (name == "varargs") macro->catches_positional = true;
    if (name == "kwargs") macro->catches_named = true;
  }
}

std::unique_ptr<Stmt> Parser::parse_macro() {
  auto out = make(StmtKind::Macro);
  out->text = expect_name();
  check_name(out->text, out->line);
  if (!is_operator("(")) unexpected("'('");
  parse_parameters(*out);
  parse_macro_body(*out, "endmacro");
  return out;
}

std::unique_ptr<Stmt> Parser::parse_call_block() {
  auto out = make(StmtKind::CallBlock);
  out->text = "caller";
  if (is_operator("(")) parse_parameters(*out);
  out->value = parse_expression();
  if (out->value->kind != ExprKind::Call) fail_at(out->line, "a call block needs a call");
  parse_macro_body(*out, "endcall");
  return out;
}

std::unique_ptr<Stmt> Parser::parse_print() {
  auto out = make(StmtKind::Output);
  while (current().kind != TokenKind::BlockEnd) {
    if (!out->outputs.empty()) expect_operator(",");
    out->outputs.push_back(parse_expression());
  }
  end_of_tag();
  return out;
}

std::unique_ptr<Stmt> Parser::parse_autoescape() {
  auto out = make(StmtKind::Autoescape);
  out->value = parse_expression();
  out->body = parse_block("endautoescape");
  return out;
}

/// Without templates that extend this one, a block is shown where it stands; `self` has it, too.
std::unique_ptr<Stmt> Parser::parse_block_tag() {
  auto out = make(StmtKind::Block);
  out->text = expect_name();
  out->scoped = skip_name("scoped");
  out->required = skip_name("required");
  if (!blocks_.emplace(out->text, out.get()).second)
    fail_at(out->line, fmt::format("the block '{}' is defined twice", printable(out->text)));
  end_of_tag();
  const int outside = std::exchange(loops_, 0);
  out->body = parse_until({"endblock"});
  loops_ = outside;
  next();
  skip_name(out->text);
  end_of_tag();
  for (const auto& part : out->body)
    if (out->required &&
        (part->kind != StmtKind::Text || part->text.find_first_not_of(" \t\n\r\f\v") != std::string::npos))
      fail_at(out->line, "a required block holds nothing but white space");
  return out;
}

std::unique_ptr<Stmt> Parser::parse_filter_block() {
  auto out = make(StmtKind::Filter);
  do out->value = parse_filter(std::move(out->value));
  while (skip_operator("|"));
  out->body = parse_block("endfilter");
  return out;
}

std::unique_ptr<Stmt> Parser::parse_with() {
  auto out = make(StmtKind::Scope);
  while (current().kind != TokenKind::BlockEnd) {
    if (!out->assignments.empty()) expect_operator(",");
    Target target = parse_target(false, "=");
    expect_operator("=");
    ExprPtr value = parse_expression();
    out->assignments.emplace_back(std::move(target), std::move(value));
  }
  out->body = parse_block("endwith");
  return out;
}

/// {% generation %} marks the assistant's tokens for training; it only opens a scope here.
std::unique_ptr<Stmt> Parser::parse_generation() {
  auto out = make(StmtKind::Scope);
  out->body = parse_closed_body("endgeneration");
  return out;
}

std::unique_ptr<Stmt> Parser::parse_jump(StmtKind kind) {
  auto out = make(kind);
  if (loops_ == 0) fail_at(out->line, "break and continue need a loop around them");
  end_of_tag();
  return out;
}

void Parser::parse_parameters(Stmt& macro) {
  expect_operator("(");
  while (!is_operator(")")) {
    if (!macro.parameters.empty()) expect_operator(",");
    const int line = current().line;
    std::string name = expect_name();
    check_name(name, line);
    for (const auto& parameter : macro.parameters)
      if (parameter.first == name) fail_at(line, fmt::format("two parameters have the name '{}'", printable(name)));
    ExprPtr otherwise;
    if (skip_operator("="))
      otherwise = parse_expression();
    else if (!macro.parameters.empty() && macro.parameters.back().second)
      fail_at(current().line, "a parameter without a default follows one that has one");
    macro.parameters.emplace_back(std::move(name), std::move(otherwise));
  }
  expect_operator(")");
}

void Parser::check_name(const std::string& name, int line) const {
  static constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kConstants), std::end(kConstants), name) != std::end(kConstants))
    fail_at(line, fmt::format("'{}' cannot be assigned to", name));
  if (name == "loop" && loops_ > 0) fail_at(line, "'loop' cannot be assigned to within a loop");
}

/// A name, a namespace's member, or targets in parentheses.
Target Parser::parse_single_target(bool member_allowed) {
  const int line = current().line;
  Target out;
  if (skip_operator("(")) {
    enter(line);
    out = parse_targets(false, ")");
    expect_operator(")");
    leave();
    return out;
  }
  out.name = expect_name();
  if (member_allowed && skip_operator("."))
    out.member = expect_name();
  else
    check_name(out.name, line);
  return out;
}

Target Parser::parse_targets(bool member_allowed, std::string_view end) {
  const auto ends = [&] { return is_operator(end) || is_name(end); };
  Target out = ends() && end == ")" ? Target{{}, {}, {}, true} : parse_single_target(member_allowed);
  if (!is_operator(",")) return out;
  Target several;
  several.unpack = true;
  several.parts.push_back(std::move(out));
  while (skip_operator(",")) {
    if (ends()) break;  // after a last comma
    several.parts.push_back(parse_single_target(member_allowed));
  }
  return several;
}

Target Parser::parse_target(bool member_allowed, std::string_view end) { return parse_targets(member_allowed, end); }

}  // namespace ingrain::jinja
