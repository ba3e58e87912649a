"""The table of all that a template can reach: values of every kind by every filter, test, function, method and member that jinja2 3.1.6
has in the environment of transformers 5.24, with no arguments and with some that fit. Names come from jinja2 and Python themselves, so
that none is forgotten. The test takes two values of a kind; all of them:

    python tests/python/jinja_table.py build/release/tests/formats_probe [PART...]"""
import functools
import pathlib
import sys

import fuzz_jinja
import jinja2.utils

import jinja_programs
import jinja_reference

# Refused by name (docs/chat_templates.md): what is random, and what gives bytes or a class.
REFUSED_FILTERS = {"random"}
REFUSED_FUNCTIONS = {"lipsum"}
REFUSED_METHODS = {"encode", "to_bytes", "from_bytes"}
REFUSED_OF = {"lazy": {"close", "send", "throw", "gi_running", "gi_suspended", "gi_yieldfrom"}, "view": {"mapping"}}  # a generator's insides

CALLED = {"close", "send", "throw"}  # there, and refused when they are called

KINDS = {kind: values for kind, values in jinja_programs.VALUES.items() if kind not in ("callable",)}
BOUND = {  # what the methods of a kind are called with, apart from jinja_programs.METHOD_ARGUMENTS
    "fromhex": ["'0x1.8p3'", "'x'", "' -0x.8p-1 '", "'inf'", "'0x1p2000'"], "escape": ["'<'", "1"], "mapping": [""], "get": ["'a'", "'zz', 5", "1", "none", "[]"],
    "set": [""], "isdisjoint": ["['a']", "xs", "[]"],
}


def values(per_kind):
    """(kind, expression) of every kind, a few each: the first and then evenly spread."""
    for kind, every in KINDS.items():
        all_of_them = [value for value in every if "|float" not in value and value != "1e400"]  # jinja2 folds them to constants that it cannot write
        step = max(1, len(all_of_them) // per_kind)
        for expression in all_of_them[::step]:
            yield kind, expression


def python_types(per_kind):
    """The kinds' Python types, by rendering each value."""
    types = {}
    environment = jinja_reference.environment()
    for kind, expression in values(per_kind):
        seen = []
        environment.globals["see"] = lambda value, seen=seen: seen.append(type(value))
        environment.from_string(jinja_programs.HEAD + "{% set _ = see(" + expression + ") %}").render(jinja_programs.VARIABLES)
        types.setdefault(kind, set()).update(seen)
    return types


def names_of(type_):
    return {name for name in dir(type_) if not name.startswith("_")}


def all_names(per_kind):
    """Every public name of every type that a template's values have."""
    out = set()
    for types in python_types(per_kind).values():
        for type_ in types:
            out |= names_of(type_)
    return sorted(out | {"current", "next", "reset", "items", "pos", "sep", "used"})


def shown(expression):
    """Prints a value so that its kind is seen, and nothing with an address."""
    return "{%% set r = %s %%}{{ r if r is not iterable or r is string or r is mapping else r | list }}|{{ r is string }}{{ r is mapping }}{{ r is sequence }}{{ r is number }}{{ r is escaped }}" % expression


# In what follows a program is a form: A and B stand for values. Ours has their expressions in their places; jinja2 compiles a form once, for
# most of a program's time is its compiler's, and gets the values of the expressions.
A, B = "VALUE_A", "VALUE_B"


def filters(per_kind):
    for name in sorted(set(jinja_reference.ENVIRONMENT.filters) - REFUSED_FILTERS):
        _, *fitting = jinja_programs.FITTING.get(name, ("any", ""))
        for kind, value in values(per_kind):
            for given in dict.fromkeys(["", *fitting]):
                yield shown(f"({A}|{name}({given}))" if given else f"({A}|{name})"), (value,)


def tests(per_kind):
    fitting = {"in": ["xs", "d", "'abc'", "7"], "sameas": ["none", "true", "xs", "7"], "divisibleby": ["2", "0", "0.5"]}
    compared = ["1", "'a'", "2.5", "none", "[1]", "(1, 2)", "d"]
    for name in sorted(jinja_reference.ENVIRONMENT.tests):
        if not name.isidentifier():
            continue
        takes = name in fitting or name in ("eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge")
        for kind, value in values(per_kind):
            for given in fitting.get(name, compared) if takes else [""]:
                test = name + (f"({given})" if given else "")
                yield "{{ %s is %s }}{{ %s is not %s }}" % (A, test, B, test), (value, value)  # twice: what is lazy is used up


def members(per_kind):
    """Whether each value has each name as a member, and what stands there if it is no method."""
    names = all_names(per_kind)
    for kind, value in values(per_kind):
        listed = [name for name in names if name not in REFUSED_OF.get(kind, set()) - CALLED]
        yield ("{%% set v = %s %%}{%% for name in %r %%}{{ name }}:{{ v[name] is defined }}{{ v|attr(name) is defined }}{{ v[name] is callable }}"
               "{{ v|attr(name) if v|attr(name) is not callable }} {%% endfor %%}") % (A, listed), (value,)


def methods(per_kind):
    """Each method of each value called."""
    names = all_names(per_kind)
    types = python_types(per_kind)
    for kind, value in values(per_kind):
        owned = set().union(*(names_of(type_) for type_ in types[kind]))
        for name in sorted(owned & set(names) - REFUSED_METHODS - REFUSED_OF.get(kind, set())):
            for given in dict.fromkeys(["", *jinja_programs.METHOD_ARGUMENTS.get(name, []), *BOUND.get(name, []), "1", "'a'", "none, 1"]):
                yield shown(f"{A}.{name}({given})"), (value,)


def functions(per_kind):
    """The environment's own functions, called and looked at."""
    calls = {"range": ["3", "1, 4", "5, 0, -2", "0", "100001", "1.5", "'a'", "", "1, 2, 0", "true"], "dict": ["", "a=1", "d", "[('a', 1)]", "d, b=2", "1", "'ab'", "[1]", "none"],
             "namespace": ["", "a=1", "d", "_a=1", "[('a', 1)]", "1"], "cycler": ["1, 2", "", "'a'"], "joiner": ["", "'; '", "sep=1", "1, 2"],
             "raise_exception": ["'no'", "", "1"], "strftime_now": ["'%Y-%m-%d'", "", "'%d %b %Y'", "1", "'%H:%M:%S %p %j %A'"]}
    assert set(calls) == set(jinja_reference.ENVIRONMENT.globals) - REFUSED_FUNCTIONS
    for name, given in calls.items():
        yield "{{ %s is defined }}{{ %s is callable }}{{ %s is string }}{{ %s is mapping }}{{ %s is iterable }}{{ %s is sequence }}" % ((name,) * 6), ()
        for each in given:
            if name == "cycler":
                yield "{%% set c = cycler(%s) %%}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.pos }}{{ c.items }}{{ c.reset() }}{{ c.current }}{{ c is iterable }}{{ c is callable }}" % each, ()
            elif name == "joiner":
                yield "{%% set j = joiner(%s) %%}{{ j.used }}{{ j() }}-{{ j() }}-{{ j() }}{{ j.sep }}{{ j.used }}{{ j is callable }}{{ j is iterable }}" % each, ()
            elif name == "namespace":
                yield "{%% set ns = namespace(%s) %%}{%% set ns.z = 1 %%}{{ ns.a }}{{ ns.z }}{{ ns }}{{ ns is mapping }}{{ ns is iterable }}{{ ns['a'] is defined }}{{ [ns] }}{{ ns ~ '' }}{{ ns | string }}" % each, ()
            else:
                yield shown(f"{name}({each})"), ()


def operators(per_kind):
    for left_kind, left in values(per_kind):
        for right_kind, right in values((per_kind + 1) // 2):  # else half of all programs were these
            for op in ["+", "-", "/", "==", "<", "in", "and", "~"]:
                if left == right:  # which may be one and the same
                    yield "{{ %s %s %s }}" % (left, op, right), ()
                else:
                    yield "{{ %s %s %s }}" % (A, op, B), (left, right)


PARTS = {"filters": filters, "tests": tests, "members": members, "methods": methods, "functions": functions, "operators": operators}


def run(probe, part, per_kind, report):
    """Reports every difference; the numbers of programs and of those that jinja2 renders."""
    programs = list(dict.fromkeys(PARTS[part](per_kind)))
    oracle, rendered = fuzz_jinja.Oracle(), 0
    try:
        for begin in range(0, len(programs), 500):
            some = [cases_of(form, expressions) for form, expressions in programs[begin:begin + 500]]
            answers = fuzz_jinja.answers_of(probe, range(begin, begin + len(some)), [ours for ours, _ in some], report)
            for (ours, theirs), answer in zip(some, answers):
                rendered += differs(oracle, ours, theirs, answer, report)
    finally:
        oracle.close()
    return len(programs), rendered


def cases_of(form, expressions):
    """Ours, and jinja2's."""
    values = dict(zip((A, B), expressions))
    text = functools.reduce(lambda text, of: text.replace(*of), values.items(), form)
    ours, theirs = (dict(template=jinja_programs.headed(template), messages=[], extra=jinja_programs.VARIABLES) for template in (text, form))
    return ours, theirs | {"values": {name: jinja_programs.headed("{%% set %s = %s %%}" % (name, expression)) for name, expression in values.items()}}


def differs(oracle, case, theirs, answer, report):
    """Whether jinja2 renders it."""
    try:
        want, error = oracle.expected(theirs)
    except fuzz_jinja.Slow:
        return False
    if "crash" not in answer and answer.get("text") != want and not fuzz_jinja.excused(case, want, error, answer):
        report(f"{case['template'].removeprefix(jinja_programs.HEAD)}\n   jinja2 {want!r} {error!r}\n   ours   {answer}")
    return want is not None


if __name__ == "__main__":
    for name in sys.argv[2:] or PARTS:
        print(name, run(pathlib.Path(sys.argv[1]), name, 8, print), flush=True)
