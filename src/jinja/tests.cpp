// Tests: what follows `is`.
#include "base/text.h"
#include "jinja/markup.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

namespace ingrain::jinja {
namespace {

using TestFunction = bool (*)(Runtime&, const Value&, const CallArguments&);

void no_arguments(const CallArguments& a) { Parameters("a test", a, {}); }

const Value& one_argument(const CallArguments& a) {
  const Parameters p("a test", a, {"other"}, 1);
  return *p[0];
}

template <bool (*kTest)(const Value&)>
bool plain(Runtime&, const Value& x, const CallArguments& a) {
  no_arguments(a);
  return kTest(x);
}

bool is_boolean(const Value& x) { return x.as_bool() != nullptr; }
bool is_true(const Value& x) { return x.as_bool() && *x.as_bool(); }
bool is_false(const Value& x) { return x.as_bool() && !*x.as_bool(); }
bool is_whole_number(const Value& x) { return is_integer(x) && !x.as_bool(); }
bool is_float(const Value& x) { return x.as_double() != nullptr; }
bool is_number(const Value& x) { return x.is_number(); }
bool is_string(const Value& x) { return x.as_text() != nullptr; }
bool is_mapping(const Value& x) { return x.as_dict() != nullptr; }
bool can_iterate(const Value& x) { return is_iterable(x); }
bool is_sequence(const Value& x) {
  return x.is_undefined() || x.as_text() || (x.as_list() && !x.as_list()->is_view()) || x.as_dict();
}
bool is_escaped(const Value& x) { return x.is_safe(); }
bool is_none(const Value& x) { return x.is_none(); }
bool is_defined(const Value& x) { return !x.is_undefined(); }
bool is_undefined(const Value& x) { return x.is_undefined(); }
bool can_call(const Value& x) {
  const auto space = x.as_namespace();
  return x.as_callable() || x.is_undefined() || x.as_loop() || (space && space->kind == Namespace::Kind::Joiner);
}

bool is_equal(Runtime& rt, const Value& x, const CallArguments& a) { return equal(rt, x, one_argument(a)); }
bool is_unequal(Runtime& rt, const Value& x, const CallArguments& a) { return !equal(rt, x, one_argument(a)); }
template <char kFirst, char kSecond = 0>
bool is_ordered(Runtime& rt, const Value& x, const CallArguments& a) {
  static constexpr char kOperator[] = {kFirst, kSecond};
  return ordered(rt, std::string_view(kOperator, kSecond ? 2 : 1), x, one_argument(a));
}

bool is_in(Runtime& rt, const Value& x, const CallArguments& a) { return contains(rt, one_argument(a), x); }

bool is_same(Runtime& rt, const Value& x, const CallArguments& a) {
  const Value& other = one_argument(a);
  if (x.is_undefined() || x.as_list() || x.as_dict() || x.as_namespace() || x.as_generator() || x.as_loop())
    return identical(x, other);
  return x.data().index() == other.data().index() && x.is_safe() == other.is_safe() && equal(rt, x, other);
}

bool leaves(Runtime& rt, const Value& x, const Value& divisor, int64_t rest) {
  return equal(rt, arithmetic(rt, "%", x, divisor), rest);
}

bool is_odd(Runtime& rt, const Value& x, const CallArguments& a) {
  return no_arguments(a), leaves(rt, x, int64_t{2}, 1);
}
bool is_even(Runtime& rt, const Value& x, const CallArguments& a) {
  return no_arguments(a), leaves(rt, x, int64_t{2}, 0);
}

bool is_divisible(Runtime& rt, const Value& x, const CallArguments& a) { return leaves(rt, x, one_argument(a), 0); }

/// Whether the text has letters, all of them of the wanted case.
bool is_upper_text(Runtime& rt, const Value& x, const CallArguments& a) {
  no_arguments(a);
  return all_cased(text_of(rt, x), true);
}

bool is_lower_text(Runtime& rt, const Value& x, const CallArguments& a) {
  no_arguments(a);
  return all_cased(text_of(rt, x), false);
}

bool is_filter(Runtime&, const Value& x, const CallArguments& a) {
  no_arguments(a);
  if (x.as_dict() || x.as_list()) Dict().set(x, None{});  // only what can be a key is looked for
  return x.as_text() && is_filter_name(*x.as_text());
}

bool is_test(Runtime& rt, const Value& x, const CallArguments& a);

const std::map<std::string, TestFunction, std::less<>>& table() {
  static const std::map<std::string, TestFunction, std::less<>> tests = {{"boolean", plain<is_boolean>},
                                                                         {"true", plain<is_true>},
                                                                         {"false", plain<is_false>},
                                                                         {"integer", plain<is_whole_number>},
                                                                         {"float", plain<is_float>},
                                                                         {"number", plain<is_number>},
                                                                         {"string", plain<is_string>},
                                                                         {"mapping", plain<is_mapping>},
                                                                         {"iterable", plain<can_iterate>},
                                                                         {"sequence", plain<is_sequence>},
                                                                         {"escaped", plain<is_escaped>},
                                                                         {"none", plain<is_none>},
                                                                         {"defined", plain<is_defined>},
                                                                         {"undefined", plain<is_undefined>},
                                                                         {"callable", plain<can_call>},
                                                                         {"eq", is_equal},
                                                                         {"equalto", is_equal},
                                                                         {"==", is_equal},
                                                                         {"ne", is_unequal},
                                                                         {"!=", is_unequal},
                                                                         {"lt", is_ordered<'<'>},
                                                                         {"lessthan", is_ordered<'<'>},
                                                                         {"<", is_ordered<'<'>},
                                                                         {"le", is_ordered<'<', '='>},
                                                                         {"<=", is_ordered<'<', '='>},
                                                                         {"gt", is_ordered<'>'>},
                                                                         {"greaterthan", is_ordered<'>'>},
                                                                         {">", is_ordered<'>'>},
                                                                         {"ge", is_ordered<'>', '='>},
                                                                         {">=", is_ordered<'>', '='>},
                                                                         {"test", is_test},
                                                                         {"in", is_in},
                                                                         {"sameas", is_same},
                                                                         {"odd", is_odd},
                                                                         {"even", is_even},
                                                                         {"divisibleby", is_divisible},
                                                                         {"upper", is_upper_text},
                                                                         {"lower", is_lower_text},
                                                                         {"filter", is_filter}};
  return tests;
}

bool is_test(Runtime&, const Value& x, const CallArguments& a) {
  no_arguments(a);
  if (x.as_dict() || x.as_list()) Dict().set(x, None{});
  return x.as_text() && table().contains(*x.as_text());
}

}  // namespace

bool apply_test(Runtime& runtime, const std::string& name, const Value& subject, const CallArguments& arguments) {
  const auto found = table().find(name);
  if (found != table().end()) return found->second(runtime, subject, arguments);
  std::vector<std::string> known;
  for (const auto& [candidate, function] : table()) known.push_back(candidate);
  fail("the test '{}' is not supported{}", printable(name), did_you_mean(name, known));
}

}  // namespace ingrain::jinja
