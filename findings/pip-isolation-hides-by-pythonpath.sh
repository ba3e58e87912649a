#!/usr/bin/env bash
# Finding: "pip install ." builds in isolation, so packages that must be compiled against an installed one (torch) tell their users to
# say --no-build-isolation. One would guess that the build runs in an interpreter that cannot see the environment.
# Seen in pip 25.3: it is the environment's own interpreter; sys.path is emptied by a sitecustomize.py that PYTHONPATH names, and a child
# started as "python -E" sees all that is installed, through .pth files and --system-site-packages, too. A venv's site-packages looked
# for beside sys.prefix misses those two.
# What follows for a build that needs the user's torch: ask sys.executable -E where it is; no isolation need be switched off.
# Works in a temporary folder; exits non-zero if the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check install -q pip==25.3
mkdir -p "$work/elsewhere" "$work/package"
echo "ready = True" > "$work/elsewhere/needed.py"
site=$("$work/venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
echo "$work/elsewhere" > "$site/needed.pth"
cat > "$work/package/pyproject.toml" <<'TOML'
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
TOML
cat > "$work/package/backend.py" <<'PY'
import importlib.util, subprocess, sys


def build_wheel(*_):
    here = importlib.util.find_spec("needed") is not None
    look = "import importlib.util; print(importlib.util.find_spec('needed') is not None)"
    child, through = (subprocess.run([sys.executable, *flags, "-c", look], capture_output=True, text=True, cwd="/").stdout.strip()
                      for flags in ([], ["-E"]))
    print(f"SEEN in the build: {here}, in a child: {child}, in a child with -E: {through}")
    raise SystemExit("that is all")
PY
"$work/venv/bin/python" -c "import needed; print('the environment has the package:', needed.ready)"
said=$("$work/venv/bin/pip" --disable-pip-version-check wheel -v --no-deps -w "$work" "$work/package" 2>&1 | grep -o "SEEN.*" || true)
echo "$said"
test "$said" = "SEEN in the build: False, in a child: False, in a child with -E: True"
