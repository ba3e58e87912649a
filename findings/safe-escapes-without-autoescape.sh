#!/usr/bin/env bash
# Finding: chat templates are rendered with autoescape off, so one would guess that the filter `safe` does nothing there. In
# jinja2 3.1.6 it makes a Markup, and a Markup escapes every plain text that it is joined with by +, % or .join(), on either
# side and whatever autoescape says; ~ does not. A template that adds `tool | tojson | safe` to its own text puts
# &#34; and &lt; into the prompt, and a model trained with such prompts expects them.
# What follows for another implementation: `safe` as the identity renders other prompts than the model's own library.
# Installs the pinned package into a temporary folder; exits non-zero if the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check install -q jinja2==3.1.6
"$work/venv/bin/python" - <<'PY'
import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

print("jinja2", jinja2.__version__)
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
assert not environment.autoescape
expected = {
    """{{ '<a>' }}""": "<a>",
    """{{ '<a>' | safe }}""": "<a>",
    """{{ '<a>' + ('<b>' | safe) }}""": "&lt;a&gt;<b>",
    """{{ ('<b>' | safe) + '"q"' }}""": "<b>&#34;q&#34;",
    """{{ '<a>' ~ ('<b>' | safe) }}""": "<a><b>",
    """{{ ('%s' | safe) % '<a>' }}""": "&lt;a&gt;",
    """{{ ', ' | safe | trim + '<a>' }}""": ",&lt;a&gt;",
}
changed = 0
for template, text in expected.items():
    got = environment.from_string(template).render()
    print(f"{template:40} {got!r}")
    changed += got != text
raise SystemExit(changed > 0)
PY
