#!/usr/bin/env bash
# The corpus of `ingrain study --scale tiny`: bytes of novels, manuals and C out of Debian 12's packages, into work/.
#   work/train          prepared, byte by byte (examples/tiny-book/tokenizer.json)
#   work/held-out/*.txt documents that are not trained on
#   work/book.txt       a held-out book, for facts to be hidden in
# Needs apt-get, dpkg-deb, tar with xz; 50 MB are fetched, once.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$here/../..
work=$here/work
least=20000 # bytes of a held-out document: the longest context and some more
mkdir -p "$work"
"$root/bench/retrofit/fetch.sh" "$work/fetched" make-doc gawk-doc bison-doc git-doc vim-runtime perl-doc -- snappy lua5.4 sqlite3 git
cd "$work"
rm -rf unpacked texts held-out train
mkdir -p unpacked texts held-out
for package in fetched/packages/deb/*.deb; do
  name=$(basename "$package" | cut -d_ -f1)
  dpkg-deb -x "$package" "unpacked/$name"
done
for package in fetched/packages/src/*.orig.tar.*; do
  tar -C unpacked -xf "$package"
done

# take FOLDER FILE...: their text, expanded, as FOLDER/PARENT-NAME.txt.
take() {
  local folder=$1 file name
  shift
  for file; do
    name=$(basename "$(dirname "$file")")-$(basename "${file%.gz}")
    if [[ $file == *.gz ]]; then gzip -dc "$file"; else cat "$file"; fi | iconv -c -f utf-8 -t utf-8 > "$folder/${name%.txt}.txt"
  done
}
found() { find "unpacked/$1" -type f -regextype posix-extended -regex ".*/($2)" | sort; }

mapfile -t novels < <(found snappy-1.1.9 'plrabn12\.txt')
mapfile -t manuals < <(
  found gawk-doc 'gawk\.info[-0-9]*(\.gz)?'
  found bison-doc 'bison\.info[-0-9]*(\.gz)?'
  found git-doc '(git-[a-q].*|user-manual|gitattributes)\.txt(\.gz)?'
  found vim-runtime 'doc/[a-p][a-z_]+\.txt(\.gz)?'
  found perl-doc 'perl[a-o][a-z0-9]+\.pod(\.gz)?'
)
mapfile -t code < <(
  found git-2.39.5 'git-2\.39\.5/[a-r][a-z-]+\.c'
  found sqlite3-3.40.1 'src/[a-v][a-z_]+\.c'
)
take texts "${novels[@]}" "${manuals[@]}" "${code[@]}" "$here/../data/emma.txt"

# What is held out is of the same kinds: other books and programs, other manuals and other pages of the same ones.
mapfile -t apart < <(
  found snappy-1.1.9 '(alice29|asyoulik|lcet10)\.txt'
  found make-doc 'make\.info-[0-9]+(\.gz)?'
  found vim-runtime 'doc/(quickref|syntax|term|tips|undo|usr_41|various|vi_diff|windows)\.txt(\.gz)?'
  found perl-doc 'perl(re|sub|syn|tie|uniintro|unicode|var|xs)\.pod(\.gz)?'
  found lua-5.4.4 'src/l[a-z]+\.c'
)
take held-out "${apart[@]}"
find held-out -type f -size "-${least}c" -delete
cp held-out/testdata-alice29.txt book.txt
"$root/ingrain" data prepare texts --tokenizer "$here/../tiny-book/tokenizer.json" --shuffle 1 --out train
echo "$(find held-out -type f | wc -l) documents are held out"
