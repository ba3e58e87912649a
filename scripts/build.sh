# CMake and Ninja. Sourced by ./ingrain.
# shellcheck shell=bash disable=SC2154 # root, build, built and program are ./ingrain's

# One job per core, and no more than memory allows: a file with torch's headers takes up to 2 GB.
jobs_that_fit() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  ((memory < cores)) && cores=$memory
  echo $((cores > 0 ? cores : 1))
}

prepare_tools() {
  [[ -z ${INGRAIN_TORCH-} ]] || check_given_torch
  install_packages tools libraries
  install_torch
}

# configure PRESET [OPTION...]: only when the settings changed or it never succeeded; Ninja notices changed CMake files.
configure() {
  local folder=$build/$1 torch=${INGRAIN_TORCH:-$venv} asked
  local mark=$folder/ingrain-configured
  asked="$(settings)${2+ }${*:2}"
  [[ -f $folder/build.ninja && -f $mark && $(<"$mark") == "$asked" ]] && return
  say "configuring $1"
  rm -f "$mark"
  mkdir -p "$folder"
  (cd "$root" && cmake --preset "$1" -B "$folder" --log-level=WARNING --fresh \
    -DINGRAIN_TORCH="$torch" -DINGRAIN_DEPS="${INGRAIN_DEPS-}" "${@:2}") >"$folder/configure.log" 2>&1 ||
    die 1 "CMake could not configure $1:" "$(tail -n 20 "$folder/configure.log")"
  printf '%s' "$asked" >"$mark"
}

# compile PRESET [TARGET...]: on a terminal Ninja shows its one line of progress, elsewhere only what fails.
compile() {
  local preset=$1
  shift
  local ninja=(ninja -C "$build/$preset" -j "$(jobs_that_fit)")
  say "building $preset${*:+: $*}"
  if [[ -t 2 ]]; then
    "${ninja[@]}" "$@" >&2
  else
    "${ninja[@]}" --quiet "$@" | awk '!/^ninja: no work to do/' >&2
  fi || die 1 "the build failed" "look above"
}

# The first build compiles many files as one (a unity build). A file that has changed since is compiled alone from then
# on, as cmake/sources.cmake reads in this list.
list_loose_sources() {
  local whole=$build/release/ingrain-whole list=$build/release/loose-sources.txt changed
  [[ -f $whole ]] || return 0
  changed=$(cd "$root" && { cat "$list" 2>/dev/null || true
    find src tests -name '*.cpp' -newer "$whole"; } | sort -u)
  [[ -z $changed || $changed == "$(cat "$list" 2>/dev/null)" ]] || echo "$changed" >"$list"
}

# Where nothing is changed, the whole test compiles what a fresh clone does: two files of one unity file may each have a name
# that the other has, too.
forget_loose_sources() {
  local whole=$build/release/ingrain-whole list=$build/release/loose-sources.txt
  [[ -s $list && -z $(git -C "$root" status --porcelain 2>&1) ]] || return 0
  : >"$list"
  touch "$whole"
}

build_program() {
  configure release
  list_loose_sources
  local begun=$build/begun # its age is the program's: a file saved while the compiler runs counts as changed
  touch "$begun"
  compile release ingrain_cli
  [[ -f $build/release/ingrain-whole ]] || touch -r "$begun" "$build/release/ingrain-whole"
  settings >"$built"
  touch -r "$begun" "$built"
}

command_setup() {
  prepare_tools
  say "set up; './ingrain build' builds"
}

command_build() {
  prepare_tools
  build_program
  say "built $program"
}

command_clean() {
  say "removing $build"
  rm -rf "$build"
  [[ ${1-} != --all ]] || rm -rf "$venv"
}
