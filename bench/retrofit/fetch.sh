#!/usr/bin/env bash
# fetch.sh DIR [NAME... -- SOURCE...]: the packages that the retrofit's corpus is made of, or these, from Debian 12, into
# DIR/packages. What is there already is not fetched again. It asks apt with lists of its own, so nothing of the machine's changes.
set -euo pipefail
dir=$(mkdir -p "$1" && readlink -f "$1")
mkdir -p "$dir"/apt/{lists/partial,cache/archives/partial,parts} "$dir"/packages/{deb,src}
export APT_CONFIG=$dir/apt/apt.conf
cat > "$dir/apt/sources.list" <<'END'
deb http://deb.debian.org/debian bookworm main contrib non-free
deb-src http://deb.debian.org/debian bookworm main
END
cat > "$APT_CONFIG" <<END
Dir::State::Lists "$dir/apt/lists";
Dir::Etc::SourceList "$dir/apt/sources.list";
Dir::Etc::SourceParts "$dir/apt/parts";
Dir::Cache "$dir/apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "en";
END
[[ -e $dir/apt/updated ]] || { apt-get -qq update && touch "$dir/apt/updated"; }

debs=(
  r-cran-janeaustenr bible-kjv bible-kjv-text anarchism                                        # novels and other books
  fortunes fortunes-min open-adventure endless-sky-data                                        # talk
  wesnoth-1.16-{did,dm,dw,ei,httt,l,low,nr,sof,sota,sotbe,thot,trow,tsg,ttb}
  debian-reference-en debian-policy developers-reference jargon-text                           # manuals
  emacs-common-non-dfsg glibc-doc-reference make-doc autoconf-doc gawk-doc bash-doc gdb-doc bison-doc r-doc-info zsh-doc
  perl-doc vim-runtime git-doc python3.11-doc
  linux-source-6.1                                                                             # C
)
sources=(snappy lua5.4 sqlite3 git)
if (($# > 1)); then
  debs=() sources=()
  shift
  while (($#)) && [[ $1 != -- ]]; do debs+=("$1"); shift; done
  sources=("${@:2}")
fi
for name in "${debs[@]}"; do
  compgen -G "$dir/packages/deb/${name}_*.deb" > /dev/null || (cd "$dir/packages/deb" && apt-get -qq download "$name")
done
for name in "${sources[@]}"; do
  compgen -G "$dir/packages/src/${name}_*.orig.tar*" > /dev/null ||
    (cd "$dir/packages/src" && apt-get -qq source --download-only "$name")
done
echo "$(find "$dir/packages" -name '*.deb' -o -name '*.orig.tar.*' | wc -l) packages in $dir/packages"
