# ./ingrain bundle DIR: every library but torch, for machines without network. Sourced by ./ingrain.
# shellcheck shell=bash disable=SC2154 # root, build, built and program are ./ingrain's

# Packages with more headers than this give only those that the build reads (Boost: 14,000 files).
bundle_whole_kb=10000

# The path below include/ of a header: /usr/include/x86_64-linux-gnu/zconf.h is zconf.h.
header_name() {
  local name=${1#/usr/include/}
  echo "${name#*-linux-gnu/}"
}

bundle_headers() { # bundle_headers DIR PACKAGE
  local files header target
  mapfile -t files < <(dpkg -L "$2" | grep '^/usr/include/' | while IFS= read -r f; do [[ -f $f ]] && echo "$f"; done)
  ((${#files[@]})) || return 0
  if (($(du -ck "${files[@]}" | tail -n 1 | cut -f 1) > bundle_whole_kb)); then
    mapfile -t files < <(grep -Fxf <(printf '%s\n' "${files[@]}") "$1/headers-read")
  fi
  for header in "${files[@]}"; do
    target=$1/include/$(header_name "$header")
    mkdir -p "${target%/*}"
    cp -L "$header" "$target"
  done
}

# The static library; where Debian has none, the shared one under its run-time name.
bundle_libraries() { # bundle_libraries DIR PACKAGE
  local library name
  while IFS= read -r library; do
    name=${library##*/}
    if [[ $name == *.a ]]; then
      cp -L "$library" "$1/lib/$name"
    elif [[ ! -e ${library%.so}.a ]]; then
      local real
      real=$(objdump -p "$library" | awk '$1 == "SONAME" {print $2}')
      cp -L "$library" "$1/lib/$real"
      ln -sf "$real" "$1/lib/$name"
    fi
  done < <(dpkg -L "$2" | grep -E '^/usr/lib/.*/lib[^/]*\.(a|so)$')
}

command_bundle() {
  [[ -n ${1-} ]] || die 2 "bundle needs a folder" "./ingrain bundle DIR"
  local folder=$1 package
  [[ ! -e $folder || -f $folder/MANIFEST || -z $(ls -A "$folder") ]] ||
    die 2 "$folder is neither empty nor a bundle" "name another folder"
  command -v dpkg-query >/dev/null || die 1 "a bundle is made on Debian or Ubuntu" "from their packages"
  prepare_tools
  configure release
  compile release # all of it: which headers are read is known afterwards

  local partial=$folder.partial
  rm -rf "$partial"
  mkdir -p "$partial"/{include,lib,licences} || die 1 "cannot write to $partial" "name another folder"
  ninja -C "$build/release" -t deps | sed -n 's/^    //p' | sort -u >"$partial/headers-read"
  {
    echo "Libraries for ingrain, gathered by './ingrain bundle'; used with INGRAIN_DEPS=DIR (docs/install.md)."
    echo "System: $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), $(uname -m), $(g++ --version | head -n 1)"
    while IFS= read -r line; do
      for package in $line; do
        is_installed "$package" && break
      done
      dpkg-query -W -f='${Package} ${Version}\n' "$package"
      bundle_headers "$partial" "$package"
      bundle_libraries "$partial" "$package"
      cp "/usr/share/doc/$package/copyright" "$partial/licences/$package"
    done < <(list_packages libraries)
  } >"$partial/MANIFEST"
  rm -f "$partial/headers-read"
  rm -rf "$folder"
  mv "$partial" "$folder"
  say "$folder: $(grep -c . "$folder/MANIFEST") lines in MANIFEST, $(du -sh "$folder" | cut -f 1)"
}
