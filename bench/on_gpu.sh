#!/usr/bin/env bash
# Checks and times the engine on a machine with a GPU that has Python 3 with NumPy and neither Node nor a network.
#
#   bench/on_gpu.sh pack FOLDER [CUDA_LIBRARY]   where the project is built (`npm run build`): packs programs, libraries,
#                                                prompts and small models into FOLDER/1, FOLDER/2, … of at most 44 MiB each
#   bench/on_gpu.sh put FOLDER/N                 there, once for each: puts it away in $PLACE (/tmp/specdiff-bench)
#   bench/on_gpu.sh run OUTPUT                   there: parity, speed and costs within LIMIT seconds (200), see
#                                                bench/gpu/measure.py; writes OUTPUT/summary.md, summary.json and more
#
# CUDA_LIBRARY: libggml-cuda.so for the GPU there, of the same llama.cpp; without it only a CPU can be measured.
# The drafter is the one in models/, there as here. pack takes the target along unless TARGET_THERE=1; run then needs
# TARGET=FILE. pack: PYTHON, one with training/'s packages, for the comparison with PyTorch (training/.venv/bin/python);
# left out where there is none. run: BACKEND (cuda), TOKENS a text (96), LIMIT, PROMPTS of each set at most.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
place=${PLACE:-/tmp/specdiff-bench}
piece=22M
# Compute libraries that a GPU machine's CPU may want; older ones are left out.
generations='haswell|cascadelake|icelake|zen4|sapphirerapids|alderlake'

# llama.cpp's own build names the library that it is linked with by a version; the bundled one has none.
fit_library() {
  python3 - "$1" <<'PY'
import pathlib, sys
path = pathlib.Path(sys.argv[1])
data = path.read_bytes()
wanted = b"\0libggml-base.so\0"
versioned = b"\0libggml-base.so.0\0"
if data.count(versioned) == 1:
    path.write_bytes(data.replace(versioned, wanted + b"\0\0"))
elif wanted not in data:
    sys.exit(f"{path} is not linked with libggml-base.so: build it with GGML_BACKEND_DL.")
PY
}

# One of the programs that are never shipped, from its only source file.
compile() {
  local source=$here/build/llama.cpp libraries=$1/dist/native/linux-x64
  "${CXX:-g++}" -std=c++17 -O2 -isystem "$source/include" -isystem "$source/ggml/include" "$here/bench/kernels/$2.cpp" \
    -o "$1/tools/$2" "$libraries"/libllama.*.so "$libraries"/libggml.*.so "$libraries/libggml-base.so" -ldl
}

pack() {
  local folder=$1 cuda=${2:-} native=$here/dist/native/linux-x64 python=${PYTHON:-$here/training/.venv/bin/python}
  staging=$(mktemp -d)
  trap 'rm -rf "$staging"' EXIT
  local libraries=$staging/dist/native/linux-x64
  mkdir -p "$libraries" "$staging/build/native" "$staging/tools"
  cp "$native"/{specdiff-engine,libllama.*.so,libggml.*.so,libggml-base.so} "$libraries/"
  local library
  for library in "$native"/libggml-cpu-*.so "$here"/build/kernels/*/libggml-cpu-specdiff-*.so; do
    [[ $(basename "$library") =~ ^libggml-cpu-(specdiff-)?($generations)\.so$ && $library != *-sanitize/* ]] || continue
    cp "$library" "$libraries/"
  done
  cp "$here"/build/native/specdiff-{logits,taps} "$staging/build/native/"
  compile "$staging" step_times
  compile "$staging" random_model
  if [ -n "$cuda" ]; then
    cp "$cuda" "$libraries/libggml-cuda.so"
    fit_library "$libraries/libggml-cuda.so"
  fi
  strip --strip-unneeded "$libraries"/* "$staging"/{build/native,tools}/*
  [ -n "${TARGET_THERE:-}" ] || cp "$here"/models/cache/*.gguf "$staging/target.gguf"
  "$here/node_modules/.bin/esbuild" "$here/bench/gpu/prepare.ts" --bundle --platform=node --format=cjs --log-level=warning \
    --outfile="$staging/prepare.cjs"
  node "$staging/prepare.cjs" "$here" "$staging"
  rm "$staging/prepare.cjs"
  if [ -x "$python" ]; then
    "$python" "$here/bench/gpu/reference.py" "$staging/reference"
  else
    echo "$python is missing: no comparison with PyTorch is packed"
  fi
  rm -rf "$folder"
  mkdir -p "$folder"
  tar -C "$staging" -cf - . | xz -T1 --lzma2=preset=6,dict=64MiB | split -b "$piece" -d - "$folder/part-"
  # Two parts travel together.
  local n=0 part
  for part in "$folder"/part-*; do
    mkdir -p "$folder/$((n / 2 + 1))"
    mv "$part" "$folder/$((n / 2 + 1))/"
    n=$((n + 1))
  done
  for part in "$folder"/*/; do echo "$n" > "$part/parts"; done
  du -sh "$folder"/*
}

put() {
  mkdir -p "$place/parts"
  cp "$1"/part-* "$1/parts" "$place/parts/"
  local have
  have=$(find "$place/parts" -name 'part-*' | wc -l)
  echo "have $have of $(cat "$place/parts/parts") parts"
  [ "$have" -lt "$(cat "$place/parts/parts")" ] || unpack
}

unpack() {
  [ ! -f "$place/unpacked" ] || return 0
  if [ "$(find "$place/parts" -name 'part-*' | wc -l)" -lt "$(cat "$place/parts/parts")" ]; then
    echo "some parts are missing: put the others first" >&2
    exit 1
  fi
  cat "$place"/parts/part-* | python3 -c '
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|xz") as archive:
    archive.extractall(sys.argv[1])' "$place"
  touch "$place/unpacked"
}

# Folders with one of CUDA's libraries, the likeliest first.
folders_with() {
  local name=$1 packages
  packages=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2> /dev/null || true)
  {
    ls -d /usr/local/cuda*/lib64/"$name"* /usr/local/cuda*/targets/x86_64-linux/lib/"$name"* \
      "$packages"/nvidia/*/lib/"$name"* "$packages"/nvidia/*/lib64/"$name"* 2> /dev/null || true
    python3 -c '
import pathlib, sys
try:
    import nvidia
    for folder in nvidia.__path__:
        for file in pathlib.Path(folder).glob("**/" + sys.argv[1] + "*"):
            print(file)
except ImportError:
    pass' "$name" 2> /dev/null || true
    { ldconfig -p 2> /dev/null || true; } | awk -v name="$name" 'index($1, name) == 1 { print $NF }'
  } | while read -r file; do dirname "$(readlink -f "$file")"; done | awk '!seen[$0]++' |
    while read -r folder; do [ ! -e "$folder/$name" ] || echo "$folder"; done
}

# LD_LIBRARY_PATH with what libggml-cuda.so needs.
find_cuda() {
  local library=$place/dist/native/linux-x64/libggml-cuda.so name folder
  [ -f "$library" ] || return 0
  for name in libcudart.so.13 libcublas.so.13 libcublasLt.so.13; do
    # Reading the whole list: an early end would be taken for a failure.
    folder=$(folders_with "$name" | awk 'NR == 1')
    [ -n "$folder" ] || folder=$(find / -xdev -name "$name" -printf '%h\n' 2> /dev/null | awk 'NR == 1')
    echo "$name: ${folder:-not found}"
    case ":${LD_LIBRARY_PATH:-}:" in
      *":$folder:"*) ;;
      *) [ -z "$folder" ] || export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
    esac
  done
  LD_LIBRARY_PATH=$place/dist/native/linux-x64:${LD_LIBRARY_PATH:-} ldd "$library" | grep -E 'not found|cuda|cublas' || true
}

run() {
  local output=$1 target=${TARGET:-$place/target.gguf}
  mkdir -p "$output"
  unpack
  find_cuda
  [ -f "$target" ] || { echo "$target is missing: pack the target, or set TARGET" >&2; exit 1; }
  # Some ways of copying lose what may be executed.
  chmod +x "$place"/{tools,build/native}/* "$place/dist/native/linux-x64/specdiff-engine"
  python3 "$here/bench/gpu/measure.py" "$place" "$target" "$(ls "$here"/models/*.dflash.gguf)" "$output"
}

case ${1:-} in
  pack) pack "${2:?on_gpu.sh pack FOLDER [CUDA_LIBRARY]}" "${3:-}" ;;
  put) put "${2:?on_gpu.sh put FOLDER/N}" ;;
  run) run "${2:?on_gpu.sh run OUTPUT}" ;;
  *) echo "usage: on_gpu.sh pack FOLDER [CUDA_LIBRARY] | put FOLDER/N | run OUTPUT" >&2; exit 2 ;;
esac
