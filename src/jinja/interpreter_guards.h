// Guards that the interpreter's two files share.
#pragma once

#include "base/error.h"
#include "jinja/interpreter.h"

namespace ingrain::jinja {

/// Counts nested evaluations, so that a recursive macro ends in an error and not in an overflow of the stack.
class Interpreter::Depth {
 public:
  explicit Depth(Interpreter& in) : in_(in) {
    require(in.depth_ < kMaxDepth, "macros or expressions call each other deeper than {}", kMaxDepth);
    ++in_.depth_;
    in_.runtime_.charge(kStepCost);
  }
  ~Depth() { --in_.depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  static constexpr int kMaxDepth = 500;
  static constexpr uint64_t kStepCost = 4;
  Interpreter& in_;
};

/// A new scope, left when the guard ends.
class Interpreter::Inside {
 public:
  Inside(Interpreter& in, std::shared_ptr<Scope> parent) : in_(in), before_(in.scope_) {
    in_.scope_ = std::make_shared<Scope>();
    in_.scope_->parent = std::move(parent);
  }
  explicit Inside(Interpreter& in) : Inside(in, in.scope_) {}
  ~Inside() { in_.scope_ = std::move(before_); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Interpreter& in_;
  std::shared_ptr<Scope> before_;
};

}  // namespace ingrain::jinja
