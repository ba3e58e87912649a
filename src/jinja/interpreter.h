// Renders a syntax tree: one Interpreter per rendering.
#pragma once

#include "jinja/ast.h"
#include "jinja/loop.h"
#include "jinja/runtime.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ingrain::jinja {

/// The variables of a block. Assignments go here; look-ups go on to the parents.
struct Scope {
  std::map<std::string, Value, std::less<>> values;
  std::shared_ptr<Scope> parent;
};

/// A macro (or a call block's content) and the scope in which it was defined.
struct MacroInstance {
  const Stmt* definition;
  std::shared_ptr<Scope> scope;
  bool autoescape = false;  // where it was defined
};

/// Bounded in work (the runtime's budget) and in depth. Errors are plain texts; line() says where they
/// happened.
class Interpreter {
 public:
  Interpreter(Runtime runtime, std::map<std::string, Value, std::less<>> variables);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  std::string render(const Template& source);
  int line() const { return line_; }

 private:
  enum class Flow { Next, Break, Continue };
  class Depth;
  class Inside;

  Runtime runtime_;
  std::shared_ptr<Scope> scope_, top_;
  std::string* out_ = nullptr;
  int line_ = 1;
  int depth_ = 0;
  std::vector<std::shared_ptr<Scope>> captured_;  // by macros: emptied at the end, as they form cycles

  // Statements (interpreter.cpp).
  Flow execute(const Body& body);
  Flow execute(const Stmt& stmt);
  Flow execute_if(const Stmt& stmt);
  Flow execute_for(const Stmt& stmt);
  Flow run_loop(const Stmt& stmt, const Value& items, int64_t depth0);
  std::shared_ptr<Loop> make_loop(const Stmt& stmt, const Value& items, int64_t depth0);
  std::shared_ptr<Generator> selected_items(const Stmt& stmt, const Value& items);
  Flow execute_autoescape(const Stmt& stmt);
  void execute_block(const Stmt& stmt);
  Value capture_block(const Stmt& stmt);
  void show(const Value& value);
  Flow execute_scope(const Stmt& stmt);
  void execute_set_block(const Stmt& stmt);
  void execute_call_block(const Stmt& stmt);
  Value capture(const Body& body);
  Value capture(const std::function<void()>& run);
  void assign(const Target& target, Value value);
  void write(const std::string& text);
  Value make_macro(const Stmt& definition);

  // Expressions (evaluate.cpp).
  Value evaluate(const Expr& expr);
  Value evaluate_or_none(const ExprPtr& expr) { return expr ? evaluate(*expr) : Value(None{}); }
  Value look_up(const std::string& name) const;
  Value evaluate_dict(const Expr& expr);
  Value evaluate_concat(const Expr& expr);
  Value evaluate_unary(const Expr& expr);
  bool evaluate_compare(const Expr& expr);
  Value filter_block(const Expr& filter, const Value& text);
  std::vector<Value> evaluate_all(const std::vector<ExprPtr>& exprs);
  CallArguments evaluate_arguments(const Expr& call);
  Value evaluate_call(const Expr& expr, const Value* caller);
  Value call(const Value& callee, const CallArguments& arguments);
  Value call_macro(const MacroInstance& macro, const std::string& name, const CallArguments& arguments);
  void bind_parameters(const Stmt& macro, const std::string& name, CallArguments arguments);
};

}  // namespace ingrain::jinja
