# ./ingrain test: every kind of test there is. Sourced by ./ingrain.
# shellcheck shell=bash disable=SC2154 # root, build, built and program are ./ingrain's

skipped_status=77
fuzz_seconds=${INGRAIN_FUZZ_SECONDS:-3} # for each target

# run_tests PRESET [ARGUMENT...]: GoogleTest's. ctest finds the tests that the arguments ask for and gives each a process of
# its own; without arguments all but $left_out run in a few processes (tests/CMakeLists.txt), and their number is told.
left_out=''
run_tests() {
  local folder=$build/$1 run
  run=(ctest --test-dir "$folder" -j "$(nproc)" --output-on-failure)
  shift
  if (($#)); then
    "${run[@]}" "$@"
    return
  fi
  "${run[@]}" -C Whole -L whole ${left_out:+-E "$left_out"} --test-output-size-passed 1000000 || return
  awk '/^\[==========\] [0-9]+ tests? .* ran/ {tests += $2; ++programs} /^\[  SKIPPED \] [0-9]+ test/ {skipped += $4}
    END {printf "%d tests passed in %d processes, %d skipped\n", tests - skipped, programs, skipped; exit !tests}' \
    "$folder/Testing/Temporary/LastTest.log"
}

# The engine's and the parsers' tests, as the program is built; without the parsers' where the sanitizers' build, which has
# the same tests, comes later in this run.
part_unit() {
  configure release
  list_loose_sources
  if (($# == 0)) && [[ " ${parts[*]} " == *' sanitize '* ]]; then
    compile release
    left_out='^(base|serve|nccl_on_cpu)\.'
  else
    compile release all base_tests serve_tests nccl_on_cpu_tests
  fi
  # Where nvcc is, but torch has no CUDA, the kernels are at least compiled.
  if ninja -C "$build/release" -t query cuda_compile_check >/dev/null 2>&1; then
    compile release cuda_compile_check
  fi
  run_tests release "$@"
}

# What needs no libtorch, under sanitizers: one build for the tests, the fuzz targets and the linter. g++ makes it where
# there is no clang++, without fuzz targets.
configure_sanitize() {
  if command -v clang++ >/dev/null; then
    configure sanitize
  else
    configure sanitize -DCMAKE_CXX_COMPILER=g++ -DINGRAIN_FUZZ=OFF
  fi
}

# Begins that build while torch, which it does not need, is fetched and unpacked; what is not ready when the program's build
# begins goes on in the time that it leaves. The part that wants it finishes it, and tells what failed. The process is
# $building.
begin_building_sanitized() {
  (
    configure_sanitize
    exec nice -n 10 ninja -C "$build/sanitize" -j "$(jobs_that_fit)" base_tests serve_tests nccl_on_cpu_tests
  ) >"$build/sanitize.log" 2>&1 &
  building=$!
}

# What needs no libtorch, under AddressSanitizer and UndefinedBehaviorSanitizer.
part_sanitize() {
  configure_sanitize
  compile sanitize base_tests serve_tests nccl_on_cpu_tests
  run_tests sanitize "$@"
}

# The formatter and the linter, in the versions that python/requirements-test.txt pins. The linter reads what is built
# without libtorch, the server's part too, as the sanitizers' build puts its files together.
part_lint() {
  if ! install_test_tools || [[ ! -x $venv/bin/clang-format ]]; then
    say "lint: no clang-format here; skipped"
    return $skipped_status
  fi
  local sources
  mapfile -t sources < <(find "$root"/{src,include,tests,examples,python} -not -path '*/node_modules/*' -not -path "$root/examples/*/work/*" \( -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \))
  if ! printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -n 40 "$venv/bin/clang-format" --dry-run --Werror; then
    say "lint: the files above are not as the formatter writes them: .venv/bin/clang-format -i FILE"
    return 1
  fi
  configure_sanitize
  find "$build"/sanitize/CMakeFiles/ingrain_{base,notes,serve}.dir/Unity -name '*.cxx' -print0 |
    xargs -0 -P "$(nproc)" -I{} "$venv/bin/clang-tidy" --quiet {} --config-file="$root/.clang-tidy" \
      --extra-arg=-Wno-everything -- -std=c++20 -I"$root/src" -I"$root/include" -DFMT_HEADER_ONLY=1 -DPCRE2_CODE_UNIT_WIDTH=8 \
      2> >(grep -v 'warnings generated' >&2)
}

# The program from outside. Without arguments in one process more than there are cores, as tests also wait; all of a file's
# tests in the same, files in the order of conftest.py.
part_python() {
  configure release
  compile release
  if ! install_test_tools; then
    say "python: no pytest here; skipped"
    return $skipped_status
  fi
  local python=$venv/bin/python at_once=()
  [[ -x $python ]] || python=python3
  if (($# == 0)) && "$python" -c 'import xdist' 2>/dev/null; then
    at_once=(-n "$(($(nproc) + 1))" --dist loadfile --no-loadscope-reorder)
  fi
  INGRAIN_TEST_BUILD=$build/release "$python" -m pytest -q "${at_once[@]}" "$root/tests/python" "$@"
}

# fuzz TARGET: for some seconds. The grown corpus stays in the build.
fuzz() {
  local name=${1##*/} inputs
  inputs=("$build/fuzz/corpus/$name")
  mkdir -p "${inputs[0]}"
  [[ ! -d $root/tests/fuzz/corpus/${name#fuzz_} ]] || inputs+=("$root/tests/fuzz/corpus/${name#fuzz_}")
  say "$name for $fuzz_seconds s"
  "$1" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$build/fuzz/$name-" "${inputs[@]}" >"$build/fuzz/$name.log" 2>&1 ||
    { tail -n 40 "$build/fuzz/$name.log" && return 1; }
}

# Every libFuzzer target, one on each core.
part_fuzz() {
  if ! command -v clang++ >/dev/null; then
    say "fuzz: no clang++ here; skipped"
    return $skipped_status
  fi
  configure_sanitize
  compile sanitize fuzz_targets
  export -f fuzz say
  export root build fuzz_seconds
  find "$build/sanitize/tests/fuzz" -name 'fuzz_*' -type f -executable -print0 |
    xargs -0 -P "$(nproc)" -n 1 bash -c 'fuzz "$1"' fuzz
}

# Against numbers of the reference implementation, where its cases lie beside the project.
part_verify() {
  local cases=${INGRAIN_CASES:-$root/../shared} folders=() folder
  for folder in "$cases"/golden/*/ "$cases"/reference-17m/; do
    [[ -d $folder ]] && folders+=("$folder")
  done
  if ((${#folders[@]} == 0)); then
    say "verify: no cases in $cases (INGRAIN_CASES=DIR names another folder); skipped"
    return $skipped_status
  fi
  build_program
  "$program" verify "${folders[@]}"
}

command_test() {
  local part status parts=() failed=() skipped=()
  while [[ ${1-} =~ ^--(unit|sanitize|lint|python|fuzz|verify)$ ]]; do
    parts+=("${1#--}")
    shift
  done
  if ((${#parts[@]} == 0)); then
    parts=(unit lint sanitize fuzz python verify)
    forget_loose_sources
  fi
  install_packages tools libraries test-tools
  # What runs in the background does not hear Ctrl-C.
  fetching='' building=''
  trap 'kill $fetching $building 2>/dev/null || true' EXIT
  [[ ! " ${parts[*]} " =~ ' '(sanitize|lint|fuzz)' ' ]] || torch_is_there || begin_building_sanitized
  install_torch
  [[ ! " ${parts[*]} " =~ ' '(lint|python)' ' ]] || fetch_test_tools
  for part in "${parts[@]}"; do
    say "test: $part"
    # The part tries again what failed, and says why.
    if [[ -n $fetching && $part =~ ^(lint|python)$ ]]; then
      wait "$fetching" || true
      fetching=''
    fi
    if [[ -n $building && $part =~ ^(sanitize|lint|fuzz)$ ]]; then
      wait "$building" || true
      building=''
    fi
    # In a shell of its own: 'die' ends this part only.
    status=0
    ("part_$part" "$@") || status=$?
    if ((status == skipped_status)); then
      skipped+=("$part")
    elif ((status != 0)); then
      failed+=("$part")
    fi
  done
  ((${#failed[@]} == 0)) || say "failed: ${failed[*]}"
  echo "parts: $((${#parts[@]} - ${#failed[@]} - ${#skipped[@]})) passed, ${#failed[@]} failed, ${#skipped[@]} skipped"
  ((${#failed[@]} == 0))
}
