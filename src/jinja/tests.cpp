// Tests: what follows `is`.
#include "base/text.h"
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
bool is_integer(const Value& x) { return x.as_integer() != nullptr; }
bool is_float(const Value& x) { return x.as_double() != nullptr; }
bool is_number(const Value& x) { return x.is_number(); }
bool is_string(const Value& x) { return x.as_text() != nullptr; }
bool is_mapping(const Value& x) { return x.as_dict() != nullptr; }
bool is_iterable(const Value& x) { return x.is_undefined() || x.as_text() || x.as_list() || x.as_dict(); }
bool is_none(const Value& x) { return x.is_none(); }
bool is_defined(const Value& x) { return !x.is_undefined(); }
bool is_undefined(const Value& x) { return x.is_undefined(); }
bool is_callable(const Value& x) { return x.as_callable() || x.is_undefined(); }

bool is_equal(Runtime& rt, const Value& x, const CallArguments& a) { return equal(rt, x, one_argument(a)); }
bool is_unequal(Runtime& rt, const Value& x, const CallArguments& a) { return !equal(rt, x, one_argument(a)); }
bool is_less(Runtime& rt, const Value& x, const CallArguments& a) { return less(rt, x, one_argument(a)); }
bool is_greater(Runtime& rt, const Value& x, const CallArguments& a) { return less(rt, one_argument(a), x); }
bool is_in(Runtime& rt, const Value& x, const CallArguments& a) { return contains(rt, one_argument(a), x); }

bool is_at_most(Runtime& rt, const Value& x, const CallArguments& a) {
  return less(rt, x, one_argument(a)) || equal(rt, x, one_argument(a));
}

bool is_at_least(Runtime& rt, const Value& x, const CallArguments& a) {
  return less(rt, one_argument(a), x) || equal(rt, x, one_argument(a));
}

bool is_same(Runtime& rt, const Value& x, const CallArguments& a) {
  const Value& other = one_argument(a);
  if (x.as_list()) return x.as_list() == other.as_list();
  if (x.as_dict()) return x.as_dict() == other.as_dict();
  return x.data().index() == other.data().index() && equal(rt, x, other);
}

int64_t remainder_of(Runtime& rt, const Value& x, int64_t divisor) {
  const Value out = arithmetic(rt, "%", x, divisor);
  const double* d = out.as_double();
  return d ? (*d == 0 ? 0 : *d == 1 ? 1 : 2) : *integer_of(out);
}

bool is_odd(Runtime& rt, const Value& x, const CallArguments& a) {
  return no_arguments(a), remainder_of(rt, x, 2) == 1;
}
bool is_even(Runtime& rt, const Value& x, const CallArguments& a) {
  return no_arguments(a), remainder_of(rt, x, 2) == 0;
}

bool is_divisible(Runtime& rt, const Value& x, const CallArguments& a) {
  const auto divisor = integer_of(one_argument(a));
  require(divisor.has_value(), "divisibleby: the divisor must be an integer");
  return remainder_of(rt, x, *divisor) == 0;
}

/// Whether the text has letters, all of them of the wanted case.
bool is_upper(Runtime& rt, const Value& x, const CallArguments& a) {
  no_arguments(a);
  const std::string text = text_of(rt, x);
  return upper(text) == text && lower(text) != text;
}

bool is_lower(Runtime& rt, const Value& x, const CallArguments& a) {
  no_arguments(a);
  const std::string text = text_of(rt, x);
  return lower(text) == text && upper(text) != text;
}

bool is_filter(Runtime&, const Value& x, const CallArguments& a) {
  no_arguments(a);
  return x.as_text() && (text_filters().contains(*x.as_text()) || sequence_filters().contains(*x.as_text()));
}

const std::map<std::string, TestFunction, std::less<>>& table() {
  static const std::map<std::string, TestFunction, std::less<>> tests = {{"boolean", plain<is_boolean>},
                                                                         {"true", plain<is_true>},
                                                                         {"false", plain<is_false>},
                                                                         {"integer", plain<is_integer>},
                                                                         {"float", plain<is_float>},
                                                                         {"number", plain<is_number>},
                                                                         {"string", plain<is_string>},
                                                                         {"mapping", plain<is_mapping>},
                                                                         {"iterable", plain<is_iterable>},
                                                                         {"sequence", plain<is_iterable>},
                                                                         {"none", plain<is_none>},
                                                                         {"defined", plain<is_defined>},
                                                                         {"undefined", plain<is_undefined>},
                                                                         {"callable", plain<is_callable>},
                                                                         {"eq", is_equal},
                                                                         {"equalto", is_equal},
                                                                         {"==", is_equal},
                                                                         {"ne", is_unequal},
                                                                         {"!=", is_unequal},
                                                                         {"lt", is_less},
                                                                         {"lessthan", is_less},
                                                                         {"<", is_less},
                                                                         {"le", is_at_most},
                                                                         {"<=", is_at_most},
                                                                         {"gt", is_greater},
                                                                         {"greaterthan", is_greater},
                                                                         {">", is_greater},
                                                                         {"ge", is_at_least},
                                                                         {">=", is_at_least},
                                                                         {"in", is_in},
                                                                         {"sameas", is_same},
                                                                         {"odd", is_odd},
                                                                         {"even", is_even},
                                                                         {"divisibleby", is_divisible},
                                                                         {"upper", is_upper},
                                                                         {"lower", is_lower},
                                                                         {"filter", is_filter}};
  return tests;
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
