"""Random programs of the template language, one a seed: every kind of value into every filter, test, method, operator, member
and statement that jinja2 has. Half of the arguments fit what takes them, the rest are of any kind."""
import copy
import random

import jinja_reference

# Of every kind, expressions that give one. Integers are small or beyond 64 bits: what lies between costs jinja2 gigabytes.
VALUES = {
    "undefined": ["nope", "d.nope", "xs[9]", "(1 if false)"],
    "none": ["none", "nil"],
    "boolean": ["true", "false", "t", "no"],
    "integer": ["0", "1", "2", "3", "7", "(-1)", "(-3)", "42", "100", "0x1F", "1_0", "n"],
    "large": ["9223372036854775807", "9223372036854775808", "18446744073709551615", "(-9223372036854775808)",
              "123456789012345678901234567890", "(-18446744073709551616)", "big"],
    "float": ["0.0", "(-0.0)", "1.5", "2.5", "(-2.25)", "0.1", "2.675", "1e16", "1e-7", "1e300", "3.0", "f", "('nan'|float)",
              "('inf'|float)", "1e400"],
    "string": ["''", "'a'", "'abc'", "'Hello, World'", "'a b  c'", "' x '", "'%s'", "'%d|%5.1f'", "'{}'", "'{0}{a}'", "'{:>5}'",
               "'12'", "'-3.5'", "'1e3'", "'0x1f'", "'<b>&\"\\''", "'a\\nb\\r\\nc\\n'", "'\\t.'", "'name'", "'a.b'", "'xs,ys'", "u",
               "'ǆ ŉ ﬁ ß'", "'ΑΣ ΣΑΣ.'", "'İıſ'", "'²٣½Ⅷ一'", "'e\\u0301\\u200b\\ud7ff'", "'\\x7f\\x00\\x1f'", "'😀'", "'lstrip'", "s", "w",
               "'http://a.io/b?c=d e@f.org www.x.com.'", "'(see <https://127.0.0.1:80/a(b)>), x-y.org/#z, mailto:a.b@c-d.de; @a@b.c www.ab http://[::1]/ ſip.com https://xn--ab.c'",
               "('tel:1 sms:x a@b http://' ~ 'l' * 70 ~ '.com/?q=1&r=<2>.')", "('word ' * 30 + '\\n' + 'x' * 90)", "'it\\'s a test-case (of) words'", "'key'", "'upper'", "'string'"],
    "markup": ["('<b>'|safe)", "('%s & {} \"x\"'|safe)", "('a<c'|e)", "(''|safe)", "('{a}|{0}'|safe)", "('x,<y>'|safe)"],
    "list": ["[]", "xs", "[deep.notes, deep.long, (deep.long,)]", "words", "[1, 'two', [3]]", "[none, none]", "[1.5, true, 2]", "people", "['b', 'A', 'a']", "[[2, 1], [1]]",
             "[{'a': 1}, {'a': none}, {}]", "[('k', 1), ('l', 2)]", "['<', '>'|safe]", "mix"],
    "tuple": ["()", "(1,)", "(1, 2)", "('a', 'b')", "(1, (2, 3))", "('x', none)"],
    "mapping": ["{}", "d", "deep", "{'q': [deep, 'x y' * 40]}", "{'a': 1, 'b': [2]}", "{1: 'x', none: 2, 2.5: 3}", "{(1, 2): 3}", "people[0]", "{nope: 1}", "{'b': 1, 'A': 2}",
                "{'items': 1, 'name': '<'}", "{'k': none, 'x y': 1}", "{true: 1, 'z': {'y': [1.0]}}"],
    "range": ["range(3)", "range(5, 0, -2)", "range(0)", "range(1, 4)"],
    "lazy": ["(xs|map('string'))", "(words|select)", "(people|map(attribute='name'))", "(xs|reject('odd'))", "(words|unique)",
             "(d|items)", "(xs|batch(2))", "(xs|reverse)", "(people|selectattr('role', 'eq', 'user'))", "(range(3)|reverse)", "(xs|slice(2))"],
    "view": ["d.keys()", "d.values()", "d.items()", "people[0].items()", "{}.keys()"],
    "namespace": ["ns", "namespace(a=1, b='x')", "namespace()"],
    "callable": ["m", "'a b'.split", "d.get", "range", "dict", "namespace", "joiner('|')", "cycler(1, 'b')", "xs.index", "cycler(1).next"],
}
KINDS = list(VALUES)
EXTREMES = ["9223372036854775807", "(-9223372036854775808)"]
COMMON = ["string", "integer", "list", "mapping", "float", "boolean", "none", "undefined", "markup", "tuple", "lazy"]
ENVIRONMENT = jinja_reference.ENVIRONMENT
FILTERS = sorted(set(ENVIRONMENT.filters) - {"random"})
TESTS = sorted(name for name in ENVIRONMENT.tests if name.isidentifier() and name not in ("in", "true", "false", "none"))
TESTS += ["in", "true", "false", "none"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
FITTING = {  # what a filter takes: the kind of its subject and some lists of arguments
    "abs": ("integer", "", ), "attr": ("string", "'upper'", "'nope'"), "batch": ("list", "2", "2, 'x'", "0", "3, none"),
    "center": ("string", "9", "0"), "default": ("undefined", "", "1", "'x', true"), "d": ("none", "'y', true"),
    "dictsort": ("mapping", "", "true", "by='value'", "reverse=true", "false, 'key', true"), "escape": ("string", ""), "e": ("string", ""),
    "filesizeformat": ("integer", "", "true"), "float": ("string", "", "1.5", "none"), "forceescape": ("markup", ""),
    "format": ("string", "1", "'x'", "a=1", "1, 2", "1.5"), "groupby": ("list", "'role'", "'a'", "'age', default=1", "0", "'name', case_sensitive=true"),
    "indent": ("string", "", "2", "2, true", "'> ', first=true, blank=true", "0"), "int": ("string", "", "5", "0, 16", "base=2", "0, 0"),
    "join": ("list", "", "', '", "'-', attribute='name'", "'<'|safe"), "map": ("list", "'upper'", "attribute='name'", "'string'", "attribute='a', default=3", "'default', 1", "attribute=0"),
    "reject": ("list", "'odd'", "", "'eq', 1", "'string'"), "select": ("list", "'string'", "", "'gt', 1", "'in', xs"),
    "rejectattr": ("list", "'a'", "'name', 'eq', 'Ann'", "'age', 'gt', 26"), "selectattr": ("list", "'role', 'eq', 'user'", "'a'", "'nope', 'defined'"),
    "replace": ("string", "'a', 'b'", "'', '-'", "'l', '<', 1", "'a', '<'|safe", "'b'|safe, 1"), "round": ("float", "", "1", "0, 'ceil'", "1, 'floor'", "-1", "2"),
    "slice": ("list", "2", "3, 'x'", "1"), "sort": ("list", "", "reverse=true", "attribute='name'", "attribute='age,name'", "case_sensitive=true", "attribute='nope'"),
    "sum": ("list", "", "attribute='age'", "start=2", "start=[]"), "min": ("list", "", "attribute='age'", "case_sensitive=true"), "max": ("list", "", "attribute='name'"),
    "tojson": ("mapping", "", "indent=2", "ensure_ascii=true", "sort_keys=true", "separators=(',', ':')", "indent='--'", "indent=0"), "trim": ("string", "", "'ab'", "none"),
    "truncate": ("string", "5", "7, true", "6, false, '~'", "5, true, '.', 0", "255", "4, leeway=1"), "unique": ("list", "", "attribute='role'", "true"),
    "urlencode": ("string", ""), "urlize": ("string", "", "5", "10, true", "target='_b'", "rel='x y'", "3, rel='<', target='&'", "extra_schemes=['tel:', 'sms:']", "extra_schemes=['t:']", "-2"), "pprint": ("any", ""), "wordwrap": ("string", "3", "5, false", "4, true, '|'", "6, break_on_hyphens=false", "1"),
    "xmlattr": ("mapping", "", "false"), "list": ("lazy", ""), "first": ("list", ""), "last": ("list", ""), "items": ("mapping", ""),
    "length": ("list", ""), "reverse": ("list", ""), "string": ("any", ""), "safe": ("string", ""), "count": ("mapping", ""),
}
METHODS = {
    "string": ["capitalize", "casefold", "center", "count", "endswith", "expandtabs", "find", "format", "format_map", "index", "isalnum", "isalpha",
               "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust",
               "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip",
               "split", "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill"],
    "list": ["index", "count", "copy", "append", "sort", "pop"], "tuple": ["index", "count"], "range": ["index", "count"],
    "mapping": ["get", "items", "keys", "values", "copy", "update", "fromkeys", "pop"], "integer": ["bit_length", "conjugate", "bit_count", "as_integer_ratio"],
    "float": ["is_integer", "conjugate", "as_integer_ratio", "hex", "fromhex"], "markup": ["unescape", "striptags", "escape"], "view": ["isdisjoint"],
}
METHOD_ARGUMENTS = {
    "center": ["9", "8, '*'"], "ljust": ["9", "8, '*'", "2"], "rjust": ["9", "8, '<'"], "zfill": ["6", "1"], "count": ["'a'", "'l', 2", "'', 1", "'b', 0, -1", "1"],
    "find": ["'c', 1", "'a'", "'l', 1, 4", "'', 99", "'é'", "'b', none, -1"], "rfind": ["'l'", "'l', 0, 5", "''"], "index": ["'a'", "'b', 1", "1", "2, 1"], "rindex": ["'a'", "'l'"],
    "startswith": ["'a'", "'b', 1", "('x', 'a')", "'H', 0, 1"], "endswith": ["'c'", "('d', 'c')", "'b', 0, 2"], "split": ["", "','", "' ', 1", "none, 1", "sep='a'", "maxsplit=1"],
    "rsplit": ["", "','", "' ', 1", "none, 1"], "splitlines": ["", "true", "keepends=true"], "partition": ["' '", "'l'"], "rpartition": ["' '", "'l'"],
    "replace": ["'a', 'b'", "'l', 'L', 1", "'', '-', 2", "'b', '<'|safe"], "strip": ["", "'ab '", "none"], "lstrip": ["", "'Ha'"], "rstrip": ["", "'\\n'", "'d'"],
    "join": ["words", "['a', 'b']", "(xs|map('string'))", "'abc'", "['<', '>'|safe]"], "format": ["1", "'x'", "a=1", "1, a='<'", "1.5, 2", "people[0]", "none"],
    "format_map": ["{'a': 1}", "d"], "expandtabs": ["", "4", "0"], "removeprefix": ["'a'", "'He'"], "removesuffix": ["'c'", "'ld'"], "translate": ["{97: 'x'}", "{98: none, 97: 99}", "s.maketrans('ab', 'xy', 'c')"],
    "maketrans": ["{'a': 'x', 98: none}", "'ab', 'äy'", "'ab', 'xy', 'cb'", "'ab', 'x'", "{'ab': 1}", "{1.5: 2}", "'a', 1"],
    "fromhex": ["'0x1.8p3'", "' -.8P-1 '", "'inf'", "'0x1p2000'", "'1e'"], "escape": ["'<'", "1"],
    "get": ["'a'", "'zz', 5", "1", "none"], "isdisjoint": ["['a']", "xs"], "items": [""], "keys": [""], "values": [""], "copy": [""], "fromkeys": ["['a'], 1"],
}
FIELDS = ["", "0", "1", "a", "0.name", "a[0]", "a.b", "0[x]"]
CONVERSIONS = ["", "", "", "!r", "!s", "!a", "!x"]


def kind_of_value(rng, depth, kind):
    if depth > 0 and rng.random() < 0.25:
        return expression(rng, depth - 1)
    return rng.choice(VALUES[kind])


def value(rng, depth=0, kind=None):
    if kind == "any" or kind is None:
        kind = rng.choice(COMMON if rng.random() < 0.7 else KINDS)
    return kind_of_value(rng, depth, kind)


def small(rng, depth=0):
    """A value that no filter makes gigabytes with."""
    return value(rng, depth, rng.choice([kind for kind in COMMON if kind != "float"]))


def arguments(rng, fitting, pick=value):
    if rng.random() < 0.04:  # the ends of 64 bits, wherever a number fits
        return ", ".join(rng.choice([pick(rng), *EXTREMES]) for _ in range(rng.choice([1, 1, 2, 3])))
    if fitting and rng.random() < 0.6:
        return rng.choice(fitting)
    out = [pick(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    if rng.random() < 0.15:
        out.append(rng.choice(["a", "attribute", "default", "reverse", "indent", "width", "end", "sep", "x"]) + "=" + pick(rng))
    if rng.random() < 0.05:
        out.append(rng.choice(["*", "**"]) + pick(rng))
    return ", ".join(out)


def filtered(rng, depth):
    name = rng.choice(FILTERS)
    kind, *fitting = FITTING.get(name, ("string", ""))
    subject = value(rng, depth, kind if rng.random() < 0.6 else None)
    given = arguments(rng, fitting, small if name in ("slice", "round", "batch", "center", "indent", "truncate") else value)
    return f"({subject}|{name}({given}))" if given or rng.random() < 0.2 else f"({subject}|{name})"


def tested(rng, depth):
    name = rng.choice(TESTS)
    given = arguments(rng, {"in": ["xs", "d", "'abc'"], "sameas": ["none", "true", "xs"], "divisibleby": ["2", "0"]}.get(name, ["1", "'a'"]))
    given = f"({given})" if rng.random() < (0.9 if name in ("in", "sameas", "divisibleby", "eq", "ne", "lt", "gt", "ge", "le") else 0.1) else ""
    return f"({value(rng, depth)} is {rng.choice(['', '', 'not '])}{name}{given})"


def method(rng, depth):
    kind = rng.choice(["string"] * 5 + list(METHODS))
    names = METHODS["string"] + METHODS["markup"] if kind == "markup" else METHODS[kind]
    name = rng.choice(names)
    pick = small if name in ("center", "ljust", "rjust", "zfill", "expandtabs") else value
    return f"({value(rng, depth, kind)}.{name}({arguments(rng, METHOD_ARGUMENTS.get(name, ['']), pick)}))"


def operated(rng, depth):
    op = rng.choice(OPERATORS)
    fits = rng.random() < 0.5
    kind = rng.choice(["string", "markup", "integer", "float", "list", "large", "tuple", "mapping"]) if fits else None
    left, right = value(rng, depth, kind), value(rng, depth, kind)
    if fits and op == "*":
        right = value(rng, 0, "integer")
    if fits and op == "%" and kind in ("string", "markup"):
        left, right = percent(rng), rng.choice([value(rng, depth), f"({value(rng)}, {value(rng)})", "{'a': 1, 'name': 'x'}"])
    if op == "**":
        left, right = value(rng, 0, rng.choice(["integer", "float", "string"])), value(rng, 0, rng.choice(["integer", "none"]))
    if op in ("*", "%", "//"):  # not a text 9223372036854775807 times
        right = small(rng, 0) if not fits else right
    if rng.random() < 0.05:
        return f"({rng.choice(['-', '+', 'not '])}{left})"
    return f"({left} {op} {right})"


def percent(rng):
    parts = []
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice(["", "", "", "(a)", "(name)"])
        flags = "".join(rng.sample("-+ #0", rng.choice([0, 0, 1, 2])))
        width = rng.choice(["", "", "5", "12", "*"])
        precision = rng.choice(["", "", ".0", ".2", ".10", ".", ".*"])
        parts.append("%%" if rng.random() < 0.05 else "%" + name + flags + width + precision + rng.choice("sdirxXofFeEgGcauq"))
    return rng.choice(["'{}'", "('{}<'|safe)"]).format("|".join(parts))


def braces(rng):
    fill = rng.choice(["", "", "<", ">", "^", "=", "*<", "0^", "{^"])
    spec = (fill + rng.choice(["", "", "+", "-", " "]) + rng.choice(["", "", "z", "#"]) + rng.choice(["", "", "0"]) + rng.choice(["", "5", "12", "{}"]) +
            rng.choice(["", "", ",", "_"]) + rng.choice(["", "", ".2", ".0", ".10"]) + rng.choice(["", "", "d", "f", "s", "x", "X", "o", "b", "e", "E", "g", "G", "%", "c", "n", "F", "q"]))
    field = rng.choice(FIELDS) + rng.choice(CONVERSIONS) + (":" + spec if rng.random() < 0.7 else "")
    text = rng.choice(["'{{{}}}'", "'a{{{}}}b'", "('<{{{}}}'|safe)", "'{{{{{{{}}}}}}}'"]).format(field)
    given = rng.choice([value(rng), f"{value(rng)}, {value(rng)}", f"a={value(rng)}", f"{value(rng)}, a={value(rng)}"])
    return f"{text}.format({given})"


def looked_up(rng, depth):
    subject = value(rng, depth)
    pick = rng.randrange(6)
    if pick == 0:
        return f"{subject}.{rng.choice(['a', 'name', 'items', 'upper', '_x', '__class__', 'real', 'imag', 'start', 'arguments', 'k', 'grouper', 'keys'])}"
    if pick == 1:
        return f"{subject}[{value(rng)}]"
    if pick == 2:
        bounds = [rng.choice(["", "0", "1", "-1", "2", "-3", "99", value(rng)]) for _ in range(3)]
        return f"{subject}[{':'.join(bounds[:rng.choice([2, 3])])}]"
    if pick == 3:
        return f"{rng.choice(['m', 'v', 'range', 'dict', 'namespace', 'joiner()', 'cycler(1, 2).next', 'xs.index', 'd.get'])}({arguments(rng, ['1', '1, 2', 'b=3, a=2', '*xs', '**{chr: 1}', '*[1], **d', '1, 2, 3, x=4'])})"
    if pick == 4:
        return f"({subject} if {value(rng)} else {value(rng)})"
    return rng.choice([f"[{value(rng)}, {value(rng)}]", f"({value(rng)}, {value(rng)})", f"{{{value(rng)}: {value(rng)}, 'q': {value(rng)}}}"])


def expression(rng, depth=2):
    kind = rng.choice([filtered] * 5 + [method] * 4 + [operated] * 3 + [tested] * 2 + [looked_up] * 2)
    if rng.random() < 0.08:
        return rng.choice([braces(rng), f"({percent(rng)} % ({value(rng)},))"])
    return kind(rng, depth)


def shown(rng, text):
    """Prints an expression in one of the ways that tell values apart."""
    return rng.choice(["{{ %s }}", "{{ %s }}", "{{ [%s] }}", "{{ %s | tojson }}", "{{ '<' + %s }}", "{{ %s | list }}", "{{ %s | string }}", "{{ (%s) ~ '&' }}",
                       "{%% if %s %%}y{%% else %%}n{%% endif %%}", "{%% for q in %s %%}{{ q }},{%% endfor %%}", "{{ (%s) == '' }}", "{{ %s | length }}"]) % text


def statement(rng, depth=1):
    """A statement of one kind with random parts."""
    e = lambda: expression(rng, depth)  # noqa: E731
    pick = rng.randrange(16)
    if pick == 0:
        target, items = rng.choice([("x", e()), ("x", value(rng, 1)), ("a, b", "d.items()"), ("a, (b, c)", "[(1, (2, 3))]"), ("(a, b)", "[[1, 2]]"), ("a, b", value(rng)), ("k, v", value(rng))])
        inner = rng.choice(["{{ loop.index }}{{ x }}", "{{ a }}/{{ b }}", "{{ loop.changed(x) }}", "{{ loop.cycle(1, 'b') }}{{ loop.revindex }}", "{{ loop.depth }}{{ loop.depth0 }}",
                            "{{ loop }}", "{{ loop.length }}{{ loop.last }}", "{{ loop.nextitem }}<{{ loop.previtem }}", shown(rng, e()), "{% if loop.index > 2 %}{% break %}{% endif %}{{ x }}"])
        condition = rng.choice(["", "", " if x", " if loop.first", f" if {value(rng)}"])
        return f"{{% for {target} in {items}{condition} %}}{inner}{{% else %}}none{{% endfor %}}"
    if pick == 1:
        return "{% for x in [1, [2, [3]], 'ab'] recursive %}" + rng.choice(["{{ loop(x) if x is iterable and x is not string else x }}{{ loop.depth }}", "{{ x }}{{ loop(%s) if loop.depth < 2 }}" % value(rng)]) + "{% endfor %}"
    if pick == 2:
        return f"{{% set {rng.choice(['y', 'y, z', 'y, (z, q)', 'ns.a', 'ns._b', '(y)', 'ns.a, y', 'y.z'])} = {e()} %}}{{{{ y }}}}{{{{ z }}}}{{{{ ns.a }}}}"
    if pick == 3:
        return f"{{% set y{rng.choice(['', ' | upper', ' | trim | e', ' | safe', ' | indent'])} %}} <{shown(rng, e())}> {{% endset %}}{shown(rng, 'y')}"
    if pick == 4:
        return f"{{% macro w({rng.choice(['', 'a', 'a, b=1', 'a=n, b=a', 'caller=1'])}) %}}{rng.choice(['{{ a }}{{ b }}', '{{ varargs }}{{ kwargs }}', '{{ caller }}', '{{ a }}{{ varargs }}', '{{ kwargs | tojson }}{{ b }}'])}{{% endmacro %}}{{{{ w({arguments(rng, ['1', '1, 2', 'b=3', '*xs', 'x=1, **d', '1, 2, 3, z=3'])}) }}}}"
    if pick == 5:
        return f"{{% call{rng.choice(['', '(q)', '(q, r=2)'])} {rng.choice(['v', 'm', 'w2'])}({arguments(rng, ['1', '1, 2'])}) %}}[{{{{ q }}}}]{{% endcall %}}"
    if pick == 6:
        return f"{{% filter {rng.choice(FILTERS)}{rng.choice(['', '', '(2)', '(' + value(rng) + ')'])} %}}a <{shown(rng, value(rng))}>\n b{{% endfilter %}}"
    if pick == 7:
        return f"{{% with a = {e()}, b = {value(rng)} %}}{{{{ a }}}}{{{{ b }}}}{{% endwith %}}{{{{ a }}}}"
    if pick == 8:
        return f"{{% autoescape {rng.choice(['true', 'true', 'false'])} %}}{shown(rng, e())}<{{{{ n ~ {value(rng)} }}}}{{{{ m(1, '<') }}}}{{% endautoescape %}}{{{{ '<' }}}}"
    if pick == 9:
        return f"{{% block b1{rng.choice(['', '', ' scoped'])} %}}{shown(rng, e())}{{{{ y }}}}{{% endblock %}}{rng.choice(['', '{{ self.b1() }}'])}"
    if pick == 10:
        return "{% set g = " + rng.choice(VALUES["lazy"] + VALUES["view"] + VALUES["range"]) + " %}" + "".join(rng.choice(
            ["{{ g | first }}", "{{ g | list }}", "{{ g is sequence }}", "{{ g is iterable }}", "{% if g %}t{% endif %}", "{{ 1 in g }}", "{% for x in g %}{{ x }}{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}", "{{ g | join }}", "{{ g[0] }}", "{{ g == g }}", "{{ g | last }}"]) for _ in range(3))
    if pick == 11:
        return f"{{% if {e()} %}}a{{% elif {e()} %}}b{{% else %}}c{{% endif %}}"
    if pick == 12:
        return "{% print " + e() + rng.choice(["", ", " + value(rng)]) + " %}"
    if pick == 13:
        return "{% generation %}" + shown(rng, e()) + "{% set n = 9 %}{% endgeneration %}{{ n }}"
    if pick == 14:
        return "{% set c = cycler(" + value(rng) + ", 'z') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}{% set j = joiner(" + value(rng) + ") %}{{ j() }}{{ j() }}"
    return "{{ " + rng.choice([f"m({arguments(rng, ['1', '1, 2'])})", "m", "ns", "v.name", "v.arguments", "ns.a", "v.catch_kwargs", "m.caller"]) + " }}"


HEAD = "{% set ns = namespace(a=1, b='x') %}{% macro m(a, b='d') %}<{{ a }}:{{ b }}>{% endmacro %}{% macro v(a) %}{{ a }}{{ varargs }}{{ kwargs }}{{ caller(1) if caller else '' }}{% endmacro %}"
VARIABLES = {
    "n": 7, "f": 2.5, "t": True, "no": False, "nil": None, "s": "Hello, World", "u": "Grüße 世界 ß", "w": "  two  words\n", "big": 18446744073709551615,
    "xs": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "mix": [1, "a", None, True, 2.5],
    "d": {"b": 1, "a": "x", "items": [1], "k": {"deep": [10, 20]}},
    "deep": {"notes": ["a line of some words, " * 6, "short", {"b": list(range(30)), "a": {"k" * 30: "v" * 60, "l" * 50: None}}], "a key that is long": [[1, 2], [3, [4, "five" * 12]]],
             "long": "Grüße\n  from 'here' to \"there\", " * 5, 'q"': [], "1": {}},
    "people": [{"name": "Ann", "age": 30, "role": "user"}, {"name": "bob", "age": 25, "role": "system"},
               {"name": "Cy", "age": 30, "role": "user", "tags": ["x", "y"]}],
}


def headed(text):
    return (HEAD if "ns" in text else "") + text


def program(seed):
    rng = random.Random(seed)
    body = shown(rng, expression(rng, rng.choice([0, 1, 1, 2]))) if rng.random() < 0.7 else statement(rng)
    needs = any(word in body for word in ("ns", "m(", "m.", "v(", "v.", " m ", " v ", "(m", "[m"))
    return dict(template=(HEAD if needs else "") + body, messages=[], extra=copy.deepcopy(VARIABLES))
