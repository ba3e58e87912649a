// Tokens to syntax tree: a recursive descent with the precedences of Jinja.
#pragma once

#include "jinja/ast.h"
#include "jinja/lexer.h"

#include <initializer_list>
#include <map>
#include <string_view>
#include <vector>

namespace ingrain::jinja {

/// Error ("line N: ...") for what is no template, for constructs that are not supported, and for trees that
/// are too deep to be evaluated.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Template parse();

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  int loops_ = 0;              // enclosing for loops, within which break and continue stand
  std::vector<Stmt*> macros_;  // the enclosing ones: told what their bodies ask for
  std::map<std::string, const Stmt*, std::less<>> blocks_;

  // Tokens (parser.cpp).
  const Token& current() const { return tokens_[at_]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is_name(std::string_view name) const;
  bool is_operator(std::string_view op) const;
  bool skip_name(std::string_view name);
  bool skip_operator(std::string_view op);
  std::string expect_name();
  void expect_operator(std::string_view op);
  void expect(TokenKind kind, std::string_view what);
  [[noreturn]] void unexpected(std::string_view wanted) const;
  [[noreturn]] void fail_at(int line, std::string_view message) const;
  void enter(int line);
  void leave() { --nesting_; }

  // Statements (parser.cpp).
  Body parse_until(std::initializer_list<std::string_view> ends);
  std::unique_ptr<Stmt> parse_statement();
  std::unique_ptr<Stmt> make(StmtKind kind) const;
  void end_of_tag() { expect(TokenKind::BlockEnd, "%}"); }
  Body parse_block(std::string_view end);
  std::unique_ptr<Stmt> parse_if();
  std::unique_ptr<Stmt> parse_for();
  std::unique_ptr<Stmt> parse_set();
  std::unique_ptr<Stmt> parse_macro();
  std::unique_ptr<Stmt> parse_call_block();
  std::unique_ptr<Stmt> parse_filter_block();
  std::unique_ptr<Stmt> parse_with();
  std::unique_ptr<Stmt> parse_generation();
  std::unique_ptr<Stmt> parse_jump(StmtKind kind);
  std::unique_ptr<Stmt> parse_print();
  std::unique_ptr<Stmt> parse_autoescape();
  std::unique_ptr<Stmt> parse_block_tag();
  void parse_macro_body(Stmt& macro, std::string_view end);
  Body parse_closed_body(std::string_view end);
  void parse_parameters(Stmt& macro);
  Target parse_target(bool member_allowed, std::string_view end);
  Target parse_single_target(bool member_allowed);
  Target parse_targets(bool member_allowed, std::string_view end);
  void check_name(const std::string& name, int line) const;

  // Expressions (parser_expressions.cpp).
  ExprPtr make(ExprKind kind, int line) const;
  ExprPtr finish(ExprPtr node) const;
  ExprPtr pair(ExprKind kind, int line, ExprPtr left, ExprPtr right) const;
  ExprPtr parse_tuple(bool conditional = true);
  ExprPtr parse_expression();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_number();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr node);
  ExprPtr parse_filters_and_tests(ExprPtr node);
  ExprPtr parse_filter(ExprPtr node);
  ExprPtr parse_test(ExprPtr node);
  ExprPtr parse_call(ExprPtr node);
  void parse_arguments(Expr& call);
  ExprPtr parse_subscribed();
  void note_name(std::string_view name);
};

}  // namespace ingrain::jinja
