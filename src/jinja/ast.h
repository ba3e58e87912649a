// The syntax tree of a template.
#pragma once

#include "jinja/value.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ingrain::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

enum class ExprKind {
  Constant,  // constant
  Name,      // text
  List,
  Tuple,    // parts
  Dict,     // parts: key, value, key, value, ...
  Member,   // parts[0] . text
  Element,  // parts[0] [ parts[1] ]
  Slice,    // parts[0] [ parts[1] : parts[2] : parts[3] ]; what is left out is null
  Call,     // parts[0] ( arguments )
  Filter,   // parts[0] | text ( arguments ); parts[0] is null where a block's text is filtered
  Test,     // parts[0] is text ( arguments )
  Not,
  Negate,
  Plus,  // parts[0]
  And,
  Or,          // parts[0], parts[1]
  Arithmetic,  // parts[0] text parts[1]
  Concat,      // parts joined by ~
  Compare,     // parts[0] operators[0] parts[1] operators[1] parts[2] ...
  Conditional  // parts[0] if parts[1] else parts[2]; parts[2] may be null
};

struct Expr {
  ExprKind kind;
  int line;
  std::string text;
  Value constant;
  std::vector<ExprPtr> parts;
  std::vector<std::string> operators;
  std::vector<ExprPtr> positional;  // arguments of calls, filters and tests
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional, more_named;  // *values and **values
  int depth = 1;                        // of the tree below, bounded by the parser
};

/// What a value is assigned to: a name, a member of a namespace, or several targets (the value is unpacked).
struct Target {
  std::string name, member;
  std::vector<Target> parts;
  bool unpack = false;
};

enum class StmtKind {
  Text,        // text
  Output,      // outputs
  If,          // branches; the condition of `else` is null
  For,         // target in value [if condition]: body, otherwise
  Set,         // target = value
  SetBlock,    // target = body [| value]
  Macro,       // text(parameters): body
  CallBlock,   // call(parameters) value: body
  Filter,      // value: body
  Scope,       // targets[i] = values[i]: body
  Autoescape,  // value: body
  Block,       // text: body
  Break,
  Continue
};

struct Stmt {
  StmtKind kind;
  int line;
  std::string text;
  ExprPtr value, condition;
  Target target;
  std::vector<std::pair<ExprPtr, Body>> branches;
  std::vector<std::pair<Target, ExprPtr>> assignments;      // of a scope
  std::vector<std::pair<std::string, ExprPtr>> parameters;  // name and default, which may be null
  std::vector<ExprPtr> outputs;
  Body body, otherwise;
  bool recursive = false;                                                        // of a loop
  bool scoped = false, required = false;                                         // of a block
  bool catches_positional = false, catches_named = false, calls_caller = false;  // what a macro's body asks for
};

/// A template, and its blocks by name.
struct Template {
  Body body;
  std::map<std::string, const Stmt*, std::less<>> blocks;
};

}  // namespace ingrain::jinja
