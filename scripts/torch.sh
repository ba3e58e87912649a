# The private Python environment .venv: torch, as the source of libtorch, and the test tools.
# Sourced by ./ingrain. No other Python environment of this machine is touched.
# shellcheck shell=bash disable=SC2154 # root, build, built and program are ./ingrain's

venv=$root/.venv
pip_version=25.3 # the first that tells what it would download without downloading it: 23.3

# find_torch DIR: the folder with include/ and lib/ in DIR (the same places as cmake/torch_folder.cmake).
find_torch() {
  local folder
  for folder in "$1" "$1"/{torch,libtorch,site-packages/torch} "$1"/lib/python3*/site-packages/torch; do
    if [[ -f $folder/include/fmt/format.h && -f $folder/lib/libtorch.so ]]; then
      echo "$folder"
      return
    fi
  done
  return 1
}

check_given_torch() {
  find_torch "$INGRAIN_TORCH" >/dev/null || die 1 "INGRAIN_TORCH=$INGRAIN_TORCH holds no torch" \
    "it must name a folder with include/ and lib/libtorch.so: an installed torch package" \
    "(python3 -c 'import torch; print(torch.__path__[0])' prints it) or an unpacked libtorch;" \
    "without INGRAIN_TORCH one is installed into .venv"
}

find_python() {
  local python
  for python in ${INGRAIN_PYTHON:+"$INGRAIN_PYTHON"} python3 /usr/bin/python3; do
    if "$python" -c 'import ensurepip, venv, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  die 1 "no Python 3.11 to 3.14 with venv was found" "install python3-venv, or name one: INGRAIN_PYTHON=/path/python3"
}

# What is installed is not compiled at once (--no-compile): Python compiles what is imported, a small part of it.
in_venv() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# An environment whose making was cut short is made anew; pip's cache keeps what was downloaded.
make_venv() {
  [[ -f $venv/ingrain-ready ]] && return
  local python
  python=$(find_python) || exit 1
  say "making .venv ($("$python" --version))"
  rm -rf "$venv"
  "$python" -m venv "$venv"
  in_venv install -q "pip==$pip_version" || die 1 "pip cannot download" \
    "without network: INGRAIN_TORCH=DIR and INGRAIN_DEPS=DIR (docs/install.md)"
  touch "$venv/ingrain-ready"
}

torch_is_there() {
  [[ -n ${INGRAIN_TORCH-} ]] || { [[ -f $venv/ingrain-ready ]] && cmp -s "$root/python/requirements.txt" "$venv/ingrain-torch"; }
}

# install_torch: INGRAIN_TORCH, if given, must be one; otherwise torch is in .venv afterwards.
install_torch() {
  [[ -z ${INGRAIN_TORCH-} ]] || check_given_torch
  torch_is_there && return
  local list=$root/python/requirements.txt done=$venv/ingrain-torch
  [[ -z ${INGRAIN_DEPS-} ]] || die 1 "INGRAIN_DEPS is given, INGRAIN_TORCH is not" "name a torch: INGRAIN_TORCH=DIR"
  make_venv
  say "torch: asking what there is to download"
  "$venv/bin/python" "$root/scripts/download_size.py" -r "$list" >&2 || true
  say "an installed torch (2.11 or newer) would do as well: Ctrl-C, then INGRAIN_TORCH=DIR ./ingrain ..."
  # A broken-off installation may look whole to pip: it has no mark, so it is replaced.
  rm -f "$done" "$venv/ingrain-ready"
  local quiet=() # on a terminal pip shows its progress
  [[ -t 2 ]] || quiet=(-q)
  in_venv install --no-compile "${quiet[@]}" -r "$list" >&2 || die 1 "pip could not install torch" \
    "look above; './ingrain setup' tries again, INGRAIN_TORCH=DIR uses another torch"
  cp "$list" "$done"
  touch "$venv/ingrain-ready"
}

# Begins to fetch what install_test_tools then finds there; the process is $fetching.
fetch_test_tools() {
  local list=$root/python/requirements-test.txt
  [[ -z ${INGRAIN_DEPS-} && -f $venv/ingrain-ready ]] || return 0
  cmp -s "$list" "$venv/ingrain-test" && return
  (exec "$venv/bin/python" -m pip --disable-pip-version-check install --no-compile -q -r "$list" >"$build/test-tools.log" 2>&1) &
  fetching=$!
}

# install_test_tools: pytest and what the tests compare with. Returns 1 where there is none (a bundle).
install_test_tools() {
  local list=$root/python/requirements-test.txt done=$venv/ingrain-test
  if [[ -n ${INGRAIN_DEPS-} ]]; then
    python3 -c 'import pytest' 2>/dev/null
    return
  fi
  make_venv
  cmp -s "$list" "$done" && return
  say "installing the test tools into .venv"
  in_venv install --no-compile -q -r "$list" >&2 || die 1 "pip could not install $list" "look above; the same command tries again"
  cp "$list" "$done"
}
