"""Chat templates rendered by PyPI's jinja2 in the environment that `transformers` 5.24 makes for them."""
import datetime
import functools
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

NOW = datetime.datetime(2024, 7, 26)  # formats_probe renders at this date, too


class Generation(jinja2.ext.Extension):
    """{% generation %}...{% endgeneration %}: prints its content."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_print"), [], [], body).set_lineno(line)

    def _print(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class TemplateDict:
    """dict() without its class."""

    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


class TemplateNamespace(jinja2.utils.Namespace):
    """namespace() without names that begin with an underscore."""

    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            TemplateNamespace.check(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name, value):
        TemplateNamespace.check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(name)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals |= {"raise_exception": raise_exception, "strftime_now": NOW.strftime, "dict": TemplateDict(),
                    "namespace": TemplateNamespace}
    return env


ENVIRONMENT = environment()


@functools.lru_cache(maxsize=2048)
def compiled(template):
    return ENVIRONMENT.from_string(template)


def render_or_raise(case):
    """The text of a case as formats_probe takes it; its `values` are those that templates set, by their names."""
    variables = dict(case.get("extra") or {})
    variables |= {name: getattr(compiled(setting).make_module(variables), name) for name, setting in case.get("values", {}).items()}
    for name in ("bos_token", "eos_token"):
        if name in case:
            variables[name] = case[name]
    return compiled(case["template"]).render(
        messages=case["messages"], tools=case.get("tools"), documents=None,
        add_generation_prompt=case.get("add_generation_prompt", False), **variables)


def render(case):
    """render_or_raise(), or None where jinja2 refuses."""
    try:
        return render_or_raise(case)
    except Exception:  # jinja2 lets Python's own errors through
        return None


def compare(probe, cases):
    """Asserts that the probe renders every case as jinja2 does, and refuses where it refuses; returns both counts."""
    answers = json.loads(probe("render", stdin=json.dumps(cases).encode()))
    assert len(answers) == len(cases)
    refused, differences = 0, []
    for case, answer in zip(cases, answers):
        want = render(case)
        refused += want is None
        if answer.get("text") != want:
            differences.append((case["template"], case["messages"], want, answer))
    shown = "\n".join(map(repr, differences[:20]))
    assert not differences, f"{len(differences)} of {len(cases)} differ (template, messages, jinja2, ours):\n{shown}"
    return len(cases) - refused, refused
