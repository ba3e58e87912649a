"""Random expressions and small templates of the language that chat templates are written in."""

VARIABLES = {
    "n": 7, "z": 0, "neg": -3, "f": 2.5, "t": True, "no": False, "nil": None, "s": "Hello, World", "u": "Grüße 世界 ß",
    "w": "  two  words\n", "e": "", "lines": "a\nb\r\n\nc", "xs": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"],
    "empty": [], "mix": [1, "a", None, True, 2.5], "nested": [[1, 2], [3], []],
    "d": {"b": 1, "a": "x", "items": [1], "k": {"deep": [10, 20]}}, "blank": {},
    "people": [{"name": "Ann", "age": 30, "role": "user"}, {"name": "bob", "age": 25, "role": "system"},
               {"name": "Cy", "age": 30, "role": "user", "tags": ["x", "y"]}],
}

NUMBERS = ["n", "z", "neg", "f", "1", "0", "42", "3.75", "t", "xs[0]", "xs|length", "s|length", "loop_free|default(4)"]
STRINGS = ["s", "u", "w", "e", "'lit'", '"q\'t"', "'tab\\t'", "lines", "words[1]", "people[0].name", "d.a", "'x' 'y'"]
LISTS = ["xs", "words", "empty", "mix", "nested", "[1, 'two', [3]]", "(1, 2)", "range(4)|list", "d.k.deep", "d.keys()|list"]
DICTS = ["d", "blank", "people[0]", "{'x': 1, 'y': [2]}", "d.k"]
ANY = ["nil", "missing", "t", "no", "d['items']", "d.items()|list", "people[9]", "d.nope"]


def choose(rng, *options):
    return rng.choice(options)


def number(rng, depth):
    if depth <= 0:
        return rng.choice(NUMBERS)
    a, b = number(rng, depth - 1), number(rng, depth - 1)
    return choose(rng, a, f"({a} + {b})", f"{a} - {b}", f"{a} * {b}", f"{a} / {b}", f"({a} // {b})", f"{a} % {b}", f"-{a}",
                  f"2 ** {rng.randrange(6)}", f"({a})|abs", f"({a})|int", f"({a})|float", f"({a})|round",
                  f"({a})|round(1)", f"{sequence(rng, depth - 1)}|length", f"({string(rng, depth - 1)})|int(5)",
                  "xs|sum", "xs|max", "xs|min", f"people|sum(attribute='age')", f"{a} if {truth(rng, depth - 1)} else {b}",
                  f"({string(rng, depth - 1)}).find('o')", f"({string(rng, depth - 1)}).count('l')")


def string(rng, depth):
    if depth <= 0:
        return rng.choice(STRINGS)
    a, b, n = string(rng, depth - 1), string(rng, depth - 1), rng.randrange(-4, 6)
    return choose(rng, a, f"({a} ~ {value(rng, depth - 1)})", f"({a} + {b})", f"({a})|upper", f"({a})|lower", f"({a})|title",
                  f"({a})|capitalize", f"({a})|trim", f"({a}).strip()", f"({a}).lstrip('H a')", f"({a}).rstrip('\\n')",
                  f"({a})[{n}]", f"({a})[{n}:]", f"({a})[:{n}]", f"({a})[::-1]", f"({a})[1:6:2]", f"({a})|replace('l', 'L')",
                  f"({a}).replace('o', '00', 1)", f"{sequence(rng, depth - 1)}|join(', ')", f"({a}).split(',')[0]",
                  f"({a}).split()[-1]", f"({value(rng, depth - 1)})|string", f"({value(rng, depth - 1)})|tojson",
                  f"({value(rng, depth - 1)})|tojson(indent=2)", f"({a})|indent(3)", f"({a})|indent(2, true)", f"({a}) * 2",
                  f"'%s-%s'|format({a}, {b})", f"'{{}}/{{}}'.format({a}, {b})", f"({a}).title()", f"({a}).capitalize()",
                  f"({a})|first", f"({a})|last", f"({a})|default('none', true)", f"'-'.join({sequence(rng, depth - 1)}|map('string'))",
                  f"({a}).removeprefix('He')")


def sequence(rng, depth):
    if depth <= 0:
        return rng.choice(LISTS)
    a, n = sequence(rng, depth - 1), rng.randrange(-3, 4)
    test = choose(rng, "", "'string'", "'number'", "'defined'", "'equalto', 1", "'gt', 1", "'none'", "'in', [1, 'a']")
    return choose(rng, a, f"({a} + {sequence(rng, depth - 1)})", f"({a})[{n}:]", f"({a})[::-1]", f"({a})[{n}:{n + 2}]",
                  f"({a}|list)", f"({a}|sort)", f"({a}|sort(reverse=true))", f"({a}|reverse|list)", f"({a}|unique|list)",
                  f"({a}|select({test})|list)", f"({a}|reject({test})|list)", f"({a}|map('string')|list)",
                  f"({a}|map('upper')|list)", f"(people|map(attribute='name')|list)",
                  f"(people|selectattr('role', 'equalto', 'user')|map(attribute='age')|list)",
                  f"(people|rejectattr('tags')|map(attribute='name')|list)", f"(people|sort(attribute='name')|map(attribute='name')|list)",
                  f"(people|sort(attribute='age,name')|map(attribute='name')|list)", f"({string(rng, depth - 1)}).split('l')",
                  f"({string(rng, depth - 1)})|list", f"({mapping(rng, depth - 1)}).values()|list", f"({mapping(rng, depth - 1)})|list",
                  f"({mapping(rng, depth - 1)})|dictsort", f"[{value(rng, depth - 1)}, {value(rng, depth - 1)}]",
                  f"({string(rng, depth - 1)}).splitlines()", f"(xs|batch(2, 0)|list)")


def mapping(rng, depth):
    if depth <= 0:
        return rng.choice(DICTS)
    return choose(rng, rng.choice(DICTS), f"{{'v': {value(rng, depth - 1)}, 'w': {number(rng, depth - 1)}}}",
                  f"dict(a={number(rng, depth - 1)}, b={string(rng, depth - 1)})", "people|first", "people|last")


def truth(rng, depth):
    if depth <= 0:
        return choose(rng, "t", "no", "n > 3", "s", "empty", "nil", "missing")
    a, b, v = truth(rng, depth - 1), truth(rng, depth - 1), value(rng, depth - 1)
    test = rng.choice(["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean", "true",
                       "false", "integer", "float", "odd", "even", "divisibleby(2)", "divisibleby 3", "upper", "lower",
                       "in [1, 'a']", "equalto(1)", "eq 2", "sameas none", "callable"])
    op = rng.choice(["==", "!=", "<", "<=", ">", ">="])
    x, y = number(rng, depth - 1), number(rng, depth - 1)
    return choose(rng, f"not {a}", f"({a} and {b})", f"({a} or {b})", f"({v}) is {test}", f"({v}) is not {test}", f"({x} {op} {y})",
                  f"({string(rng, depth - 1)} {op} {string(rng, depth - 1)})", f"({v}) in {sequence(rng, depth - 1)}",
                  f"'a' not in ({string(rng, depth - 1)})", f"'a' in ({mapping(rng, depth - 1)})", f"0 < {x} < 5",
                  f"({v}) == ({value(rng, depth - 1)})", f"({string(rng, depth - 1)}).startswith('He')",
                  f"({string(rng, depth - 1)}).endswith(('d', 'e'))", f"(({string(rng, depth - 1)}).isspace())")


def value(rng, depth):
    kind = choose(rng, number, string, sequence, mapping, truth, None)
    return kind(rng, depth) if kind else rng.choice(ANY)


def generate(rng):
    return value(rng, rng.choice([1, 2, 2, 3]))


def generate_template(rng, depth=3):
    """Statements with random white space and signs around their tags."""
    def sign():
        return rng.choice(["", "", "", "-", "-"])

    def tag(text):
        plus = rng.choice(["", "", "", "", "+"])
        opening = sign() or plus
        return "{%" + opening + " " + text + " " + sign() + "%}"

    def space():
        return rng.choice(["", " ", "\n", "  \n", "\n    ", "text\n", "\t", "{# note #}", "{#- note -#}\n", "\r\n"])

    def body(level):
        return "".join(space() + statement(level - 1) + space() for _ in range(rng.randrange(1, 4)))

    def statement(level):
        if level <= 0:
            return "{{" + sign() + " " + value(rng, 1) + " " + sign() + "}}"
        pick = rng.randrange(9)
        if pick == 0:
            return tag("if " + truth(rng, 1)) + body(level) + tag("elif " + truth(rng, 1)) + body(level) + tag("else") + \
                body(level) + tag("endif")
        if pick == 1:
            guard = rng.choice(["", " if loop_item is defined", " if x", " if x is not none"])
            return tag("for x in " + sequence(rng, 1) + guard) + "{{ loop.index }}/{{ loop.length }}" + body(level) + \
                tag("if loop.last") + "!" + tag("endif") + tag("else") + body(level) + tag("endfor")
        if pick == 2:
            return tag("for k, v in d.items()") + "{{ k }}={{ v }}" + tag("if loop.index > 2") + tag("break") + tag("endif") + \
                body(level) + tag("endfor")
        if pick == 3:
            return tag("set y = " + value(rng, 1)) + body(level) + "{{ y }}"
        if pick == 4:
            return tag("set y") + body(level) + tag("endset") + "[{{ y }}]"
        if pick == 5:
            return tag("set ns = namespace(c=0)") + tag("for x in xs") + tag("set ns.c = ns.c + x") + tag("set n = 5") + \
                tag("endfor") + "{{ ns.c }}{{ n }}"
        if pick == 6:
            return tag("macro m(a, b=" + value(rng, 1) + ")") + "<{{ a }}:{{ b }}>" + body(level) + tag("endmacro") + \
                "{{ m(1) }}{{ m(b=2, a=s) }}"
        if pick == 7:
            return tag("raw") + " {{ raw }} {% x %}\n" + tag("endraw")
        return tag("with y = " + value(rng, 1)) + "{{ y }}" + body(level) + tag("endwith")

    return body(depth)


FIXED = [
    # jinja2's and Python's own corners, found by readers
    "{{ self }}", "{{ [self] }}", "{{ self.x }}", "{{ self ~ 'x' }}", "{{ [{}, {}] | groupby('b', default=1e308 * 10 - 1e308 * 10) | list }}", "{{ 1e308 * 10 }}",
    "{{ 5 | tojson(indent=2, separators=(1, 2)) }}", "{{ [1, 2] | tojson(indent=2, separators=(',', 2)) }}", "{{ [] | tojson(indent=1, separators=(1, ':')) }}",
    "{{ [1] | tojson(indent=1, separators=(1, ':')) }}", "{{ {'a': 1} | tojson(indent=1, separators=(',', none)) }}", "{{ {'a': 1} | tojson(separators=(',', none)) }}",
    "{{ {'a': [1, {}]} | tojson(separators=(',', ':')) }}", "{{ {'a': [1, {}]} | tojson(indent=1, separators=(';', '=')) }}",
    "{{ '{:5c}|{:<5c}|{:^5c}|{:05c}|{:=5c}|{:*>3c}'.format(65, 65, 65, 65, 65, n) }}",
    "{{ 'a' if no }}|{{ nil }}|{{ missing }}", "{{ missing.x }}", "{{ missing + 1 }}", "{{ nil.x }}", "{{ nil.x.y }}",
    "{{ d.items() | list }}", "{{ d['items'] }}", "{{ d.get('zz', 5) }}", "{{ d.get('zz') }}", "{{ 1 }}\n", "{{ 1 }}\n\n", "\n",
    "{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7.5 // 2 }} {{ -7.5 % 2 }}", "{{ 1 / 0 }}", "{{ 2 ** -1 }}", "{{ 2 ** 3 ** 2 }}",
    "{{ -2 ** 2 }}", "{{ 1e20 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 0.1 + 0.2 }} {{ 100.0 }}", "{{ 1_000 }}",
    "{{ [1, 'a\\'b', \"q\\\"\", None, 1.0, (1,), {'k': true}] }}", "{{ 'a\\u00e9\\x41\\101\\q' }}", "{{ u | length }} {{ u[-1] }}",
    "{{ u | upper }} {{ u | title }} {{ u.title() }}", "{{ ['\\u200b', '\\n', '\\x7f', 'é', '\\U0001F600'] }}",
    "{{ {'ü': '\\u2028\\x01\\b'} | tojson }} {{ u | tojson(ensure_ascii=true) }}", "{{ xs | tojson(separators=(',', ':')) }}",
    "{{ d | tojson(sort_keys=true) }}", "{{ [] | tojson(indent=2) }}{{ blank | tojson(indent=2) }}", "{{ missing | tojson }}",
    "{{ 'x' * 3 }}{{ 3 * [1] }}{{ 'x' * -1 }}", "{{ 'abc'[5] }}|{{ xs[5] }}|{{ xs['a'] }}", "{{ range(5, 0, -2) | list }}",
    "{{ lines.splitlines() }}{{ lines | indent }}", "{{ ' a  b c '.split() }}{{ ' a  b c '.split(' ') }}{{ ' a  b c '.split(none, 1) }}",
    "{{ 'a,b,c'.rsplit(',', 1) }}{{ ' a b  c '.rsplit(none, 1) }}", "{{ 'a,b'.split('') }}", "{{ 'a-b'.split('-', maxsplit=1) }}",
    "{{ 'abc' is string and 1 is number and 1.0 is float and true is boolean }}", "{{ 1 is true }} {{ true is integer }}",
    "{{ 1 == true }} {{ 'a' < 1 }}", "{{ 'a' in 1 }}", "{{ 'a' in nil }}", "{{ 1 in 'a' }}", "{{ [1, 2] < [1, 3] }}", "{{ xs is sequence }}",
    "{{ xs | join(d='+') }}{{ people | join(', ', attribute='name') }}", "{{ xs.append(1) }}", "{{ d.update({}) }}", "{{ s.__class__ }}",
    "{{ s.nope() }}", "{{ s() }}", "{{ nope() }}", "{{ raise_exception('no ' ~ s) }}", "{{ range(1000000) }}", "{{ s | nofilter }}",
    "{{ s is notest }}", "{% for x in nil %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{{ loop.first }}{{ loop.last }}{{ loop.revindex }};{% endfor %}",
    "{% for x in xs %}{% set n = n + x %}{{ n }} {% endfor %}{{ n }}", "{% set a, b = 1, [2] %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}",
    "{% if missing %}a{% elif d.b == 1 %}b{% else %}c{% endif %}", "{% set x %}  a {{ n }} {% endset %}[{{ x }}]", "{% set x | trim | upper %} a {% endset %}{{ x }}",
    "{% macro m(a, b='d', c) %}{% endmacro %}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{{ caller is defined }}{% endmacro %}{{ m(1) }}{{ m() }}{{ m(1, 2, 3) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m() }}{{ m(b=1) }}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m() %}{{ g }}{% endmacro %}{% set g = 1 %}{{ m() }}{% set g = 2 %}{{ m() }}",
    "{% call m() %}{% endcall %}", "{% macro m(x) %}<{{ caller(x) }}>{% endmacro %}{% call(y) m(4) %}{{ y + 1 }}{% endcall %}",
    "{% filter upper %}a{% set q = 1 %}{% endfilter %}{{ q }}", "{% break %}", "{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{{ 'a' 'b' ~ 1 ~ none }}", "{{ (1, 2)[0] }}{{ () }}{{ (1,) }}", "{{ [1, 2,] }}{{ {'a': 1,} }}", "{{ d.k.deep.1 }}", "{{ 5.5.x }}", "{{ 1 if t else 2 if no else 3 }}",
    "{{ not t or t }} {{ not (t or t) }} {{ not not t }}", "{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 not in xs }}", "{{ -n | abs }} {{ +n }} {{ - n }}", "{{ n|string|length }}",
    "{{ '{}-{0}'.format(1) }}", "{{ '{a}{{}}'.format(a=2) }}", "{{ '%d%%' % 5 }} {{ '%s %s' % (1, 2) }}", "{{ '%s' % 1 % 2 }}", "{{ 'a' + 1 }}", "{{ {} == blank }} {{ {'a': 1}.a }}",
    "{{ xs|first }} {{ empty|first }} {{ empty|last }}", "{{ people|map(attribute='tags', default=0)|list }}", "{{ people|map(attribute='tags.0')|list }}", "{{ xs|map('nofilter')|list }}",
    "{{ '5.9'|int }} {{ 'x'|int }} {{ 'ff'|int(0, 16) }} {{ nil|int }} {{ ' 7 '|int }} {{ '1e3'|float }} {{ 'x'|float }}", "{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ 7|round }}",
    "{{ f|string }} {{ f|int }} {{ t|int }} {{ t + t }}", "{{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ words|unique|list }} {{ mix|sort }}", "{{ words|max }} {{ xs|min }}",
    "{{ {'b': 1, 'A': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'A': 2}|dictsort(by='value') }}", "{{ xs|list|length }} {{ s|list|length }} {{ blank|length }} {{ n|length }}",
    "a {%- if t %} b {% endif -%} c", "a\n  {% if t %}\n  b\n  {% endif %}\nc", "a\n  {%+ if t %}\n  b {% endif +%}\nc", "a\n\n{%- if t -%}\n\n b {%- endif %}\n", "a\n  {# c #}\n  b {#- d -#}  e",
    "  {{ 1 }}  \n  {{- 2 -}}  \n 3", "{% raw %}\n {{ x }} {% endraw %}\n y", "a {%- raw -%}  b  {%- endraw -%}  c", "{{ '}}' }} {{ {'a': {'b': 1}} }}", "{{ '{%' }}{# {{ #}", "{{-5}}", "{% if t -%}\n\n  x{% endif %}",
    "{{ 'a\nb' }}\r\n{{ 'c\r\nd' }}", "{{ x", "{% if t %}", "{% endif %}", "{{ 1 + }}", "{{ (1 }}", "{{ 'a }}", "{# open", "{% raw %} open", "{% unknown %}", "{{ a b }}", "{{ 1.5e3 }} {{ 3.x }}", "{{ '' ~ undefined_name }}",
    "{{ strftime_now('%Y-%m-%d %B') }}", "{{ namespace(a=1).a }}", "{% set x.y = 1 %}", "{% set ns = namespace({'a': 1}, b=2) %}{% set ns.a = ns.a + 4 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}",
    "{{ dict(a=1) }} {{ dict({'x': 2}, y=3) }}", "{{ {1: 'one', none: 2, true: 3}[1] }}", "{{ {'a': 1}['a'] }} {{ d[['x']] }}", "{{ {[1]: 2} }}",
    "{% for c in 'aé' %}{{ c }},{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d|items %}{{ k }}{% endfor %}{% for k in missing|items %}{% endfor %}",
    "{% with a = 1, b = n %}{{ a + b }}{% endwith %}{{ a }}", "{% with n = 1 %}{% set n = 2 %}{{ n }}{% endwith %}{{ n }}", "{% generation %}{% set n = 3 %}x{% endgeneration %}{{ n }}", "{{ 'ΑΣ'|upper }} {{ 'ÀÉ'|lower }} {{ 'ñandú'.upper() }}",
    "{{ 'a b'|title }} {{ \"it's (a) test-case\"|title }} {{ \"it's a test-case\".title() }}", "{{ '\\u3000x\\u00a0'|trim }}|{{ 'xxaxx'|trim('x') }}|{{ 'xéax'.strip('éx') }}", "{{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.startswith(1) }}",
    "{{ 'abab'.rfind('b') }} {{ 'é-b'.find('b') }} {{ 'x'.index('y') }}", "{{ '-'.join([1]) }}", "{{ ''|default('x') }} {{ ''|d('x', true) }} {{ missing|d }}", "{{ xs[::-1] }} {{ xs[-2:] }} {{ xs[5:] }} {{ xs[::0] }}",
    "{{ 'hello'[1:-1] }} {{ 'hello'[::-2] }} {{ 'hello'[-100:2] }} {{ xs[:1] + xs[1:] }}", "{{ n[1:] }}x", "{{ d[1:] }}x", "{{ 'a'|replace('', '-') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 5|replace(5, 6) }}",
    "{{ x is defined }} {{ x.y is defined }}", "{{ d.x is defined }} {{ d.x.y is defined }}", "{{ [missing] }}", "{{ missing == missing2 }} {{ missing is none }} {{ missing|length }} {{ missing|list }} {{ missing|join }} {{ missing|upper }}", "{{ missing|int }}", "{{ missing in [1] }} {{ 1 in missing }}",
    "{{ 'a' ~ 1.0 ~ true }}", "{{ 9223372036854775807 }} {{ -9223372036854775807 - 1 }}",
    # Of shared/faults/templates.md, one kind a line.
    "{% macro m(a, b) %}{{ a }}-{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 1, 'b': 2}) }}{{ m(*xs[:1], b=4) }}", "{{ dict(d, **{'q': 1}) | length }}{{ range(*[1, 3]) | list }}",
    "{% if false %}{{ m(*x) }}{% endif %}ok", "{{ m(*[1], 2) }}", "{{ m(**d, a=1) }}", "{{ dict(**5) }}", "{{ dict(*missing, **missing) }}", "{{ dict(a=1, **{'a': 2}) }}",
    "{{ '<' + ('<' | safe) }}{{ ('<' | safe) + '<' }}{{ ('<' | safe) ~ '<' }}{{ '<' + '<' | safe }}", "{{ ('%s' | safe) % '<' }}{{ ('{}' | safe).format('<') }}{{ ('a' | safe).replace('a', '<') }}{{ (', ' | safe).join(['<']) }}",
    "{{ [('<' | safe) | upper, ('<b' | safe)[1:], ' <' | safe | trim, '<' | e, '<' | safe | e, '<' | safe | forceescape] }}", "{{ ('<' | safe) is escaped }}{{ '<' is escaped }}{{ ('a' | safe) == 'a' }}{{ {'a': 1}['a' | safe] }}",
    "{{ 'Use ' | safe + '\"x\"' }}", "{% set in = 'abc' %}{{ in }}", "{{ ('x<' | safe | indent) + '<' }}{{ ('%d' | safe) % '12' }}{{ ('<' | safe) * 2 }}", "{{ ['<', '>' | safe] | join('&') }}{{ ('<' | safe) + 1 }}",
    "{{ '\\x7f' | tojson(ensure_ascii=true) }}{{ '😀é' | tojson(ensure_ascii=true) }}", "{{ {nope: 1} | tojson }}", "{{ {(1, 2): 3} | tojson }}", "{{ {1: 1, 2.5: 2, none: 3, false: 4} | tojson }}", "{{ {1: 1, 'a': 2} | tojson(sort_keys=true) }}",
    "{{ [{'a': 1}, {'a': 2}] | sort(attribute='b') }}{{ [none, none] | sort }}{{ [{'a': none}, {'a': none}] | sort(attribute='a') }}", "{{ [none, 1] | sort }}", "{{ [missing, 1] | sort }}", "{{ [[1, none], [1, none]] | sort }}",
    "{{ 18446744073709551615 }} {{ [12345678901234567890123] | tojson }} {{ -9223372036854775808 }} {{ 9223372036854775807 + 1 }} {{ 2 ** 100 }}", "{{ 9007199254740993 == 9007199254740992.0 }} {{ 18446744073709551615 > 1.8e19 }} {{ 1e300 | int }} {{ '99999999999999999999' | int }}",
    "{{ range(3) }} {{ d.keys() }} {{ range(5, 0, -2) }} {{ range(10)[2:8:2] }}", "{{ d.keys()[0] }}|{{ range(3)[1] }}|{{ (xs | map('string'))[0] }}", "{{ d.keys() + ['z'] }}", "{{ range(2) + [1] }}", "{{ d.keys() is sequence }}{{ d.items() is iterable }}{{ (xs | map('string')) is sequence }}",
    "{% set g = xs | map('string') %}{{ g | list }}{{ g | list }}{% if g %}true{% endif %}", "{% set g = xs | select %}{% for x in g %}{{ x }}{% break %}{% endfor %}{{ g | list }}", "{{ xs | reverse | list }}{{ xs | unique | first }}{% set g = xs | map('nofilter') %}ok",
    "{{ '<&\"' | e }}{{ 'a b c' | wordcount }}{{ 'foo bar baz qux' | truncate(9) }}{{ 'foo bar baz qux' | truncate(9, true) }}{{ 'foo bar baz qux' | truncate(11, false, '...', 0) }}{{ 'x' | center(5) }}|", "{{ people | groupby('age') | map(attribute='grouper') | list }}{% for a, group in people | groupby('role') %}{{ a }}:{{ group | length }};{% endfor %}{{ people | groupby('tags', default=['x']) | length }}",
    "{{ xs | slice(2) | list }}{{ xs | slice(2, 0) | list }}{{ xs | batch(2, 'x') | list }}{{ xs | batch(0) | list }}", "{{ 'a b/c?ü' | urlencode }}{{ {'a b': '/', 'c': 1} | urlencode }}", "{{ {'class': '<', 'id': none, 'n': 1} | xmlattr }}{{ {'a b': 1} | xmlattr }}", "{{ '<b>x &amp; y</b>  <!-- c -->z' | striptags }}{{ '&lt;&#65;&#x42;&eacute;' | safe | striptags }}",
    "{{ 1 | filesizeformat }} {{ 1500 | filesizeformat }} {{ 1048576 | filesizeformat(true) }} {{ 1e30 | filesizeformat }}", "{{ 'the well-known long-winded example-text of a wrap' | wordwrap(12) }}|{{ 'abcdefghij' | wordwrap(4) }}|{{ 'abcdefghij kl' | wordwrap(4, false, '/') }}", "{{ 'abc' | attr('upper') is callable }}{{ d | attr('a') }}|{{ s | attr('nope') is defined }}",
    "{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'abc'.partition('x') }}", "{{ 'ab1'.isalpha() }}{{ 'ab1'.isalnum() }}{{ '½'.isnumeric() }}{{ '²'.isdigit() }}{{ '²'.isdecimal() }}{{ 'Ab'.istitle() }}{{ 'é'.isascii() }}{{ 'a_1'.isidentifier() }}{{ '\n'.isprintable() }}{{ 'aB'.islower() }}",
    "{{ '-5'.zfill(4) }}{{ 'x'.ljust(3, '.') }}{{ 'x'.rjust(3) }}{{ 'x'.center(4) }}|{{ 'aba'.rindex('a') }}{{ 'Straße'.casefold() }}{{ 'aB'.swapcase() }}{{ 'a\tb'.expandtabs(4) }}{{ 'abc'.translate({97: 'x', 98: none}) }}", "{{ 'abc'.find('c', 1) }}{{ 'abcabc'.count('a', 1) }}{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ 'a\nb\n'.splitlines(true) }}",
    "{% set j = joiner('|') %}{{ j() }}{{ j() }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}", "{{ 'upper' is filter }}{{ 'odd' is test }}{{ 'nope' is test }}", "{% block title %}<{{ n }}>{% endblock %}{{ self.title() }}{% print n, s %}", "{% autoescape true %}{{ '<' }}{{ '<' | safe }}{{ n ~ ('>' | safe) ~ '<' }}{% set x %}<{% endset %}{{ x }}{% endautoescape %}{{ '<' }}",
    "{{ '%05d' % 42 }} {{ '%.1f' % 2.25 }} {{ '%-6s|' % 'ab' }} {{ '%+d %x %#X %o' % (5, 255, 255, 8) }} {{ '%e %g' % (12345.678, 0.0001) }} {{ '%c%c' % (65, 'b') }} {{ '%r' % 'x' }} {{ '%*d' % (5, 3) }}", "{{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }}{{ '%(a)s' | format(a=1) }}{{ '' % [] }}", "{{ '%d' % 'x' }}", "{{ '%s' % () }}", "{{ '%s %s' % 'a' }}", "{{ '%y' % 1 }}",
    "{{ '{:.2f} {:>5} {:<5}| {:^5} {:05d} {:,} {:x} {:#b} {:e} {:.1%} {:+}'.format(2, 'a', 'b', 'c', 42, 1234567, 255, 5, 1.5, 0.256, 3) }}", "{{ '{0.name} {0[age]} {a!r} {:*^9}'.format(people[0], a='x') }}", "{{ '{x[name]}{0}'.format(1, x=people[1]) }}{{ '{:{}}|'.format('a', 4) }}{{ '{a}'.format_map({'a': 2}) }}", "{{ '{:d}'.format('x') }}", "{{ '{'.format(1) }}", "{{ '{0}{}'.format(1) }}{{ '{:.3}'.format('abcdef') }}{{ '{:010.2f}|{:,.1f}|{:_}'.format(-3.14159, 12345.67, 10000) }}",
    "{{ dict([('a', 1)]) }}{{ dict(d.items()) | length }}{{ dict.fromkeys(['a'], 1) }}", "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, x=3) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "{% macro f(a, b=1) %}{% endmacro %}{{ f }}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% set a, (b, c) = 1, [2, 3] %}{{ a }}{{ b }}{{ c }}", "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.depth }}{% endfor %}", "{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{{ loop.depth }}{% endfor %}", "{% for x in xs if x > 1 %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{% endfor %}", "{% for x in xs %}{{ loop }}{% endfor %}{{ namespace(a=1, b='x') }}",
    "{% set ns = namespace(_x=1) %}", "{% set ns = namespace(a=1) %}{% set ns._x = 1 %}", "{{ 0x10 }} {{ 0b11 }} {{ 0o17 }} {{ 0x_ff }} {{ '1_0' | int }} {{ '٣' | int }} {{ '0x1f' | int(0, 16) }} {{ '0b1' | int(0, 0) }} {{ 'inf' | float }} {{ '1_0.5' | float }}", "{{ 'ŉ' | upper }} {{ 'ΑΣ' | lower }} {{ 'ǆ' | title }} {{ 'İ' | lower }} {{ 'ﬁ' | upper }} {{ 'ΑΣ ΣΑΣ.' | title }}",
    "{{ 15 | round(-1) }} {{ 25 | round(-1) }} {{ 1e16 // -3 }} {{ -0.0 | round(0, 'floor') }} {{ 2.5 | round(-1) }} {{ 1234.5 | round(-2) }}", "{{ 7 ** 1e16 }}", "{{ (5).real }}{{ 5.0.real }}{{ 1e400 }}", "{{ d[1:] }}", "{{ xs[0, 1] }}|{{ {(0, 1): 2}[0, 1] }}", "{{ m.0.1 }}", "{% call(a) w() %}{% endcall %}", "{% macro w() %}{% endmacro %}{% call w() %}{% endcall %}",
    # The ends of 64 bits, wherever a number is taken.
    "{{ 'x'.center(-9223372036854775808) }}{{ 'x'.zfill(-9223372036854775808) }}{{ 'x'.ljust(-9223372036854775808) }}",
    "{{ 'x' | center(-9223372036854775808) }}", "{{ 'a,b'.rsplit(',', 9223372036854775807) }}{{ 'a b'.rsplit(none, 9223372036854775807) }}",
    "{{ 'a,b'.rsplit(',', -9223372036854775808) }}{{ 'a,b'.split(',', 9223372036854775807) }}", "{{ 'a\tb'.expandtabs(-9223372036854775808) }}",
    "{{ 'abc'.find('c', -9223372036854775808, 9223372036854775807) }}{{ 'abc'.replace('b', 'x', -9223372036854775808) }}",
    "{{ 'a b' | truncate(9223372036854775807, leeway=9223372036854775807) }}", "{{ xs | slice(-9223372036854775808) | list }}",
    "{{ 1.5 | round(9223372036854775807) }}", "{{ 'abc'[-9223372036854775808:9223372036854775807] }}{{ 'abc'[9223372036854775807] }}",
    # Methods whose arguments have no names in Python.
    "{{ 'x'.center(width=3) }}", "{{ 'x'.zfill(width=3) }}", "{{ 'a b'.partition(sep=' ') }}", "{{ 'ab'.removeprefix(prefix='a') }}",
    "{{ ','.join(iterable=xs) }}", "{{ '{a}'.format_map(mapping=d) }}", "{{ 'a'.translate(table={97: 'b'}) }}", "{{ xs.count(value=1) }}",
    "{{ d.keys().isdisjoint(other=xs) }}", "{{ d.fromkeys(iterable=xs) }}", "{{ ('x' | safe).ljust(width=3) }}",
    "{{ 'x' | center(width=3) }}|{{ 'a b'.split(sep=' ') }}{{ 'a\\tb'.expandtabs(tabsize=2) }}",
    # A width of wordwrap that is no integer: words that are no longer are wrapped, longer ones cannot be cut.
    "{{ 'one two three' | wordwrap(5.0) }}", "{{ 'one two three' | wordwrap(7.9) }}", "{{ 'one two three' | wordwrap(4.0) }}",
    "{{ 'one two' | wordwrap(0.5) }}", "{{ 'one two' | wordwrap(1e400) }}", "{{ 'one-two three' | wordwrap(4.5, false) }}",
    "{{ 'one' | wordwrap(0.0) }}", "{{ 'one' | wordwrap(-1.5) }}", "{{ 'one' | wordwrap(true) }}",
]
