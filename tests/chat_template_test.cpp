// The template language against what jinja2 made of the same templates (fixtures/chat_cases.json), and
// hostile templates.
#include "chat/chat_template.h"

#include "base/error.h"
#include "base/files.h"
#include "sanitized.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>

namespace ingrain::chat {
namespace {

using OrderedJson = nlohmann::ordered_json;
using testing::HasSubstr;

std::string render(const std::string& source, const OrderedJson& messages = OrderedJson::array(),
                   uint64_t limit = 16 << 20) {
  ChatOptions options;
  options.work_limit = limit;
  return ChatTemplate(source).render(messages, options);
}

std::string refusal(const std::string& source) {
  try {
    return "accepted: " + render(source);
  } catch (const Error& e) {
    return e.what();
  }
}

ChatOptions options_of(const OrderedJson& input, const OrderedJson& extra) {
  ChatOptions out;
  out.add_generation_prompt = input.value("add_generation_prompt", false);
  if (input.contains("tools")) out.tools = input["tools"];
  out.extra = extra;
  if (input.contains("bos_token")) out.bos_token = input["bos_token"].get<std::string>();
  if (input.contains("eos_token")) out.eos_token = input["eos_token"].get<std::string>();
  out.now = std::tm{};
  out.now->tm_year = 124;
  out.now->tm_mon = 6;
  out.now->tm_mday = 26;
  return out;
}

TEST(ChatTemplate, every_construct_renders_as_jinja2_renders_it) {
  const std::string path = std::string(INGRAIN_TEST_FIXTURES) + "/chat_cases.json";
  size_t rendered = 0, refused = 0;
  for (const OrderedJson& group : OrderedJson::parse(read_file(path, 8 << 20))) {
    for (const OrderedJson& input : group["cases"]) {
      const std::string source = input["template"];
      std::optional<std::string> got;
      std::string error;
      try {
        got = ChatTemplate(source).render(input["messages"], options_of(input, group["extra"]));
      } catch (const Error& e) {
        error = e.what();
      }
      if (input["want"].is_null()) {
        EXPECT_FALSE(got) << source << "\nshould be refused, became: " << *got;
        ++refused;
      } else {
        EXPECT_EQ(got.value_or("error: " + error), input["want"].get<std::string>()) << source << "\n"
                                                                                     << input["messages"];
        ++rendered;
      }
    }
  }
  EXPECT_GT(rendered, 150u);
  EXPECT_GT(refused, 40u);
}

TEST(ChatTemplate, letters_change_case_alike_in_every_locale) {
  const std::string was = std::setlocale(LC_ALL, nullptr);
  for (const char* locale : {"C", "POSIX", "C.UTF-8"}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    EXPECT_EQ(render("{{ 'straße éα ǆ ŉ' | upper }}"), "STRASSE ÉΑ Ǆ ʼN") << locale;
    EXPECT_EQ(render("{{ 'ÀÉ ΑΣ ΣΑ' | lower }}"), "àé ας σα") << locale;
    EXPECT_EQ(render("{{ 'été ǆ ΑΣ'.title() }}"), "Été ǅ Ας") << locale;
    EXPECT_EQ(render("{{ 'éCOLE' | capitalize }}"), "École") << locale;
  }
  std::setlocale(LC_ALL, was.c_str());
}

TEST(ChatTemplate, errors_name_the_line_and_what_is_wrong) {
  EXPECT_EQ(refusal("a\nb\n{{ 1 + }}"), "chat template, line 3: a value is expected, found '}}'");
  EXPECT_EQ(refusal("\n{% include 'x' %}"), "chat template, line 2: the tag 'include' is not supported here");
  EXPECT_THAT(refusal("{{ 'x' | uper }}"),
              HasSubstr("line 1: the filter 'uper' is not supported (did you mean 'upper'?)"));
  EXPECT_THAT(refusal("{{ 1 }}\n\n{{ missing.name }}"), HasSubstr("line 3: 'missing' is undefined"));
  EXPECT_THAT(refusal("{% for x in [1] %}{{ loop([2]) }}{% endfor %}"), HasSubstr("needs the word 'recursive'"));
  EXPECT_THAT(refusal("{{ range(**{1: 2}) }}"), HasSubstr("a name must be a string"));
  EXPECT_THAT(refusal("{{ [1] | random }}"),
              HasSubstr("the filter 'random' is not supported: it gives something else"));
  EXPECT_THAT(refusal("{{ lipsum() }}"), HasSubstr("the function 'lipsum' is not supported: it gives something else"));
  EXPECT_THAT(refusal("{{ 'a'.encode() }}"), HasSubstr("'encode' is not supported"));
  EXPECT_THAT(refusal("{% macro m() %}{% endmacro %}{{ m(x=1) }}"), HasSubstr("has no parameter 'x'"));
  EXPECT_THAT(refusal("{% set ns = namespace() %}{% set ns._x = 1 %}"), HasSubstr("begins with an underscore"));
}

TEST(ChatTemplate, what_a_template_refuses_is_told_in_its_own_words) {
  EXPECT_EQ(refusal("{{ raise_exception('Roles must alternate!') }}"), "Roles must alternate!");
}

TEST(ChatTemplate, a_rendering_changes_nothing_for_the_next) {
  const ChatTemplate chat("{% set ns = namespace(n=messages|length) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}");
  EXPECT_EQ(chat.render(OrderedJson::array()), "1");
  EXPECT_EQ(chat.render(OrderedJson::parse("[1, 2]")), "3");
  EXPECT_EQ(chat.render(OrderedJson::array()), "1");
}

TEST(ChatTemplate, endless_work_ends_in_an_error) {
  const std::string loops = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
  EXPECT_THAT(refusal(loops), HasSubstr("too much work"));
  EXPECT_THAT(
      refusal(
          "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"),
      HasSubstr("too much work"));
  EXPECT_THAT(refusal("{{ 'x' * 1000000000000 }}"), HasSubstr("too much work"));
  EXPECT_THAT(refusal("{{ 'x' * 9223372036854775807 * 2 }}"), HasSubstr("chat template, line 1"));
  EXPECT_THAT(refusal("{{ [[]] * 1000000000 }}"), HasSubstr("too much work"));
  EXPECT_THAT(refusal("{{ ('x' * 100000)|replace('', 'y' * 100000) }}"), HasSubstr("too much work"));
  EXPECT_THAT(
      refusal(
          "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}"),
      HasSubstr("too much work"));
}

TEST(ChatTemplate, endless_depth_ends_in_an_error) {
  EXPECT_THAT(refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("deeper than"));
  EXPECT_THAT(refusal("{% macro f(x=g()) %}{% endmacro %}{% macro g(x=f()) %}{% endmacro %}{{ f() }}"),
              HasSubstr("line 1"));
  EXPECT_THAT(refusal("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}"),
              HasSubstr("nests deeper"));
  EXPECT_THAT(refusal("{{ " + std::string(100000, '[') + std::string(100000, ']') + " }}"), HasSubstr("nests deeper"));
  EXPECT_THAT(refusal("{{ " + std::string(100000, '-') + "1 }}"), HasSubstr("nests deeper"));
  std::string deep_ifs, sum = "{{ 1", members = "{{ x", nots = "{{ ", choices = "{{ 1";
  for (int i = 0; i < 20000; ++i) {
    deep_ifs += "{% if 1 %}";
    sum += " + 1";
    members += ".y";
    nots += "not ";
    choices += " if 1 else 1";
  }
  EXPECT_THAT(refusal(deep_ifs), HasSubstr("nests deeper"));
  EXPECT_THAT(refusal(sum + " }}"), HasSubstr("deeper than"));
  EXPECT_THAT(refusal(members + " }}"), HasSubstr("deeper than"));
  EXPECT_THAT(refusal(nots + "1 }}"), HasSubstr("nests deeper"));
  EXPECT_THAT(refusal(choices + " }}"), HasSubstr("nests deeper"));
  EXPECT_THAT(refusal("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}"),
              HasSubstr("nest deeper"));
}

TEST(ChatTemplate, messages_that_nest_too_deeply_are_refused) {
  OrderedJson deep = 1;
  for (int i = 0; i < 1000; ++i) deep = OrderedJson::array({deep});
  EXPECT_THROW(render("x", deep), Error);
}

TEST(ChatTemplate, chains_and_cycles_of_namespaces_are_freed) {
  // Under the address sanitizer a leak fails; a recursive release would overflow the stack.
  EXPECT_EQ(render("{% set a = namespace() %}{% set a.me = a %}{% set b = namespace(x=[a]) %}{% set a.b = b %}ok"),
            "ok");
  EXPECT_EQ(
      render(
          "{% set ns = namespace(p=none) %}{% for i in range(20000) %}{% set ns.p = namespace(p=ns.p) %}{% endfor %}ok",
          OrderedJson::array(), 256 << 20),
      "ok");
  EXPECT_EQ(render("{% set ns = namespace() %}{% for i in range(3) %}{% macro m() %}{{ i }}{% endmacro %}"
                   "{% set ns.m = m %}{% endfor %}{{ ns.m() }}"),
            "2");
}

TEST(ChatTemplate, keys_that_json_cannot_write_are_refused) {
  for (const char* key : {"nope", "(1, 2)", "()", "(nope, none)"}) {
    const std::string dict = fmt::format("{{{}: 1}}", key);
    EXPECT_THAT(refusal("{{ " + dict + " | tojson }}"), HasSubstr("keys must be str, int, float, bool or None")) << key;
    EXPECT_THAT(refusal("{{ [{'a': " + dict + "}] | tojson(indent=2) }}"), HasSubstr("keys must be")) << key;
  }
  EXPECT_EQ(render("{{ {1: 1, 2.5: 2, true: 3, none: 4, false: 5, 'x': 6} | tojson }}"),
            R"({"1": 3, "2.5": 2, "null": 4, "false": 5, "x": 6})");
}

TEST(ChatTemplate, integers_of_any_size_are_written_exactly) {
  const OrderedJson schema =
      OrderedJson::parse(R"([{"maximum": 18446744073709551615, "minimum": -9223372036854775808}])");
  EXPECT_EQ(render("{{ messages[0] | tojson }}", schema),
            R"({"maximum": 18446744073709551615, "minimum": -9223372036854775808})");
  EXPECT_EQ(render("{{ messages[0].maximum + 1 }} {{ 123456789012345678901234567890123456789012 }}", schema),
            "18446744073709551616 123456789012345678901234567890123456789012");
  EXPECT_THAT(refusal("{{ 2 ** 200 }}"), HasSubstr("exceeds 64 bits by far"));
  EXPECT_THAT(refusal("{{ " + std::string(5000, '9') + " }}"), HasSubstr("4300 digits"));
}

TEST(ChatTemplate, long_conversations_and_messages_are_within_the_bounds) {
  ChatOptions options;  // the limit that everybody gets
  OrderedJson turns = OrderedJson::array();
  const int exchanges = test::kSanitized ? 200 : 800;  // the bounds count what is done, not the time
  for (int i = 0; i < exchanges; ++i) {
    turns.push_back({{"role", "user"}, {"content", "What is it?"}});
    turns.push_back({{"role", "assistant"}, {"content", "It is."}});
  }
  const ChatTemplate looks_back(
      "{% set ns = namespace(n=0) %}{% for m in messages %}{% set i = loop.index0 %}{% for back in range(i) %}"
      "{% if messages[back].role == 'user' and back > ns.n %}{% set ns.n = back %}{% endif %}{% endfor %}{% endfor %}"
      "{{ ns.n }}");
  EXPECT_EQ(looks_back.render(turns, options), std::to_string(2 * exchanges - 2));
  const ChatTemplate by_letters(
      "{% set ns = namespace(images=0) %}{% for m in messages %}{% for part in m.content %}{% if part.type == 'image' "
      "or "
      "'image' in part %}{% set ns.images = ns.images + 1 %}{% endif %}{% endfor %}{% endfor %}{{ ns.images }}");
  EXPECT_EQ(
      by_letters.render(
          OrderedJson::array({{{"role", "user"}, {"content", std::string(test::kSanitized ? 1 << 16 : 1 << 20, 'x')}}}),
          options),
      "0");
}

TEST(ChatTemplate, what_is_lazy_is_read_once) {
  EXPECT_EQ(render("{% set g = [1, 2, 3] | map('string') %}{{ g | first }}{{ g | list }}{{ g | list }}"),
            "1['2', '3'][]");
  EXPECT_EQ(render("{% if [] | select %}true{% endif %}{{ ([] | map('nofilter')) is iterable }}"), "trueTrue");
  // Python refuses these; templates for more lenient engines need them.
  EXPECT_EQ(render("{{ [1, 2] | map('string') | tojson }}{{ [1, 2] | select | length }}"), "[\"1\", \"2\"]2");
  EXPECT_THAT(
      refusal(
          "{% set ns = namespace(g=[1]) %}{% for i in range(1000) %}{% set ns.g = ns.g | map('abs') %}{% endfor %}"),
      HasSubstr("nest deeper"));
}

TEST(ChatTemplate, what_holds_itself_is_printed_and_freed) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}"), "<Namespace {'me': <Namespace {...}>}>");
  EXPECT_EQ(
      render(
          "{% set ns = namespace(p=none) %}{% for i in range(5000) %}{% for j in [1] %}{% set c = loop.changed(ns.p) %}"
          "{% set ns.p = loop %}{% endfor %}{% endfor %}ok",
          OrderedJson::array(), 64 << 20),
      "ok");
  EXPECT_THAT(refusal("{% set ns = namespace(p=none) %}{% for i in range(5000) %}{% set ns.p = namespace(p=ns.p) %}{% "
                      "endfor %}{{ ns }}"),
              HasSubstr("nest deeper"));
  EXPECT_THAT(refusal("{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}"), HasSubstr("deeper than"));
  EXPECT_THAT(refusal("{% block a %}{{ self.a() }}{% endblock %}"), HasSubstr("deeper than"));
}

TEST(ChatTemplate, widths_and_precisions_are_bounded) {
  for (const char* source : {"{{ '%999999999d' % 1 }}", "{{ '%.999999999f' % 1 }}", "{{ '{:>9999999999}'.format(1) }}",
                             "{{ 'x'.center(99999999999) }}", "{{ '\\t'.expandtabs(999999999) }}",
                             "{{ 'x' | center(99999999999) }}", "{{ [1] | batch(99999999999, 0) | list }}",
                             "{{ [1] | slice(99999999999) | list }}", "{{ 'a' | indent(99999999999) }}",
                             "{{ '{:.99999999}'.format(1.5) }}", "{{ 1 | round(-99999) }}", "{{ 10 ** 99999999999 }}"})
    EXPECT_THAT(refusal(source), HasSubstr("chat template")) << source;
}

TEST(ChatTemplate, bytes_that_are_no_utf8_do_no_harm) {
  EXPECT_EQ(render("{{ 'a\xff\xc3' | length }}{{ 'a\xff'[::-1] }}"),
            "3\xff"
            "a");
}

}  // namespace
}  // namespace ingrain::chat
