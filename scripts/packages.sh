# System packages: what cmake/packages.txt lists and this machine lacks. Sourced by ./ingrain.
# shellcheck shell=bash disable=SC2154 # root, build, built and program are ./ingrain's

# list_packages SECTION...: the lines of these sections, each 'name' or 'name alternative ...'.
list_packages() {
  local wanted=" $* " section='' line
  while IFS= read -r line; do
    line=${line%%#*}
    line=${line//|/ }
    read -ra words <<<"$line"
    ((${#words[@]})) || continue
    if [[ ${words[0]} == \[*\] ]]; then
      section=${words[0]:1:-1}
    elif [[ $wanted == *" $section "* ]]; then
      echo "${words[*]}"
    fi
  done <"$root/cmake/packages.txt"
}

is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# The packages of a system that is not Debian's kind are its owner's business: only the tools are checked.
require_tools() {
  local tool missing=()
  for tool in g++ cmake ninja; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || die 1 "missing: ${missing[*]}" "install g++ 12, CMake 3.25 and Ninja, or newer ones"
}

# install_packages SECTION...: installs what is missing, or says which one command would.
install_packages() {
  if [[ -n ${INGRAIN_DEPS-} ]] || ! command -v dpkg-query apt-get >/dev/null; then
    require_tools
    return
  fi
  local missing=() line name
  while IFS= read -r line; do
    for name in $line; do
      is_installed "$name" && continue 2
    done
    [[ $line == *' none' && -z $(known_names "$line") ]] && continue
    missing+=("$line")
  done < <(list_packages "$@")
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    as_root=(sudo -n)
    if ! sudo -n true 2>/dev/null; then
      die 1 "these system packages are missing, and only root may install them; type:" \
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends $(known_names "${missing[@]}")"
    fi
  fi
  apt_install
}

# The first name of each line that apt knows; nothing for a line that ends in 'none' if it knows no name of it.
known_names() {
  local line name names=()
  for line in "$@"; do
    for name in $line; do
      [[ $name == none ]] && continue 2
      [[ $(apt-cache policy "$name" 2>/dev/null) == *Candidate:\ [0-9]* ]] && break
      name=${line%% *}
    done
    names+=("$name")
  done
  echo "${names[*]}"
}

apt_install() {
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600) log=$build/apt.log
  say "system packages: reading the list"
  "${apt[@]}" update >"$log" 2>&1 || say "apt-get update failed (see $log); going on with the list at hand"
  local names
  read -ra names <<<"$(known_names "${missing[@]}")"
  say "system packages: installing ${names[*]}"
  local install=("${apt[@]}" install -y --no-install-recommends)
  # Ctrl-C may end the download. Unpacking is left to finish: half-installed packages block apt.
  if ! { "${install[@]}" --download-only "${names[@]}" &&
    (trap '' INT TERM && "${install[@]}" "${names[@]}"); } >>"$log" 2>&1; then
    die 1 "apt-get could not install ${names[*]}" "$(tail -n 3 "$log")" "the whole log: $log"
  fi
}
