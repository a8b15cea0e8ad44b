#!/usr/bin/env bash
# The target's answers and the drafter's training on a machine with a GPU, Python 3 and PyTorch with CUDA, and no network, to
# which files travel in pieces. The product's stop rules need Node, so they see the answers here.
#
#   training/on_gpu.sh pack FOLDER TARGET.gguf   here, after `specdiff_train asked`: what the other machine needs, in
#                                                FOLDER/1, FOLDER/2, … of at most PIECE bytes
#   training/on_gpu.sh put FOLDER/N              there, once for each: puts it away in $PLACE (/tmp/specdiff-train)
#   training/on_gpu.sh decode OUTPUT             there: writes OUTPUT/decoded.tar.xz
#   training/on_gpu.sh cut DECODED.tar.xz        here: writes $WORK/cut.npz
#   training/on_gpu.sh fit CUT.npz DECODED.tar.xz OUTPUT
#                                                there: trains, writes OUTPUT/weights-*.pt and log.jsonl; then here
#                                                `specdiff_train take` with them in $WORK/fit. `look_up CUT.npz
#                                                DECODED.tar.xz` alone does its first part, which needs no GPU
#   training/on_gpu.sh rival OUTPUT              there, after fit: goes on from it to an autoregressive drafter of the same
#                                                size, to compare with (`evaluate --rival OUTPUT`)
#
# Environment: WORK (training/work), PIECE (60M), PYTHON (python3), DEVICE (cuda), SECONDS_OF_TRAINING (300), LIMIT of a fit
# in seconds (540), GROUPS_A_STEP (64), ANCHORS (48), RATE (1e-3), START (a drafter's GGUF to go on from), TAPS, SHARD_PROMPTS
# where it isn't the default, TAG of the wheels' Python (3.12).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
place=${PLACE:-/tmp/specdiff-train}
work=${WORK:-$here/work}
python=${PYTHON:-python3}

pack() {
  local folder=$1 target=$2 staging n=0
  staging=$(mktemp -d)
  mkdir -p "$staging/wheels"
  "$python" -m pip download -q --no-deps --only-binary=:all: --python-version "${TAG:-3.12}" --implementation cp \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$staging/wheels" \
    gguf==0.19.0 PyYAML==6.0.3 tqdm==4.70.1
  # The asked shards are arrays, which xz packs well.
  mkdir -p "$staging/inputs"
  cp -r "$work/asked" "$staging/inputs/"
  tar -C "$staging/inputs" -cf - . | xz -T0 -9 > "$staging/inputs.tar.xz"
  rm -rf "$staging/inputs"
  if [ -e "$folder" ] && [ ! -f "$folder/1/parts" ]; then
    echo "$folder exists and was not packed by this: choose another folder" >&2
    exit 1
  fi
  rm -rf "$folder"
  mkdir -p "$folder"
  tar -C "$staging" -cf - . -C "$(dirname "$(realpath "$target")")" "$(basename "$(realpath "$target")")" |
    split -b "${PIECE:-60M}" -d - "$folder/part-"
  for part in "$folder"/part-*; do
    n=$((n + 1))
    mkdir -p "$folder/$n"
    mv "$part" "$folder/$n/"
  done
  for part in "$folder"/*/; do
    echo "$n" > "$part/parts"
  done
  rm -rf "$staging"
  du -sh "$folder"/*
}

put() {
  mkdir -p "$place/parts"
  cp "$1"/part-* "$1/parts" "$place/parts/"
  echo "have $(find "$place/parts" -name 'part-*' | wc -l) of $(cat "$place/parts/parts") parts"
}

unpack() {
  # Parts that were put later are of another pack, to which nothing of before belongs.
  if [ -d "$place/parts" ]; then
    rm -rf "$place/ready" "$place/work" "$place/site" "$place"/*.gguf "$place/decoded"
  fi
  [ -f "$place/ready" ] && return
  if [ "$(find "$place/parts" -name 'part-*' | wc -l)" -lt "$(cat "$place/parts/parts")" ]; then
    echo "some parts are missing: put the others first" >&2
    exit 1
  fi
  mkdir -p "$place/work"
  cat "$place"/parts/part-* | tar -C "$place" -xf -
  tar -C "$place/work" -xJf "$place/inputs.tar.xz"
  "$python" -m pip install -q --no-index --no-deps --no-compile --target "$place/site" "$place"/wheels/*.whl
  rm -rf "$place/parts"
  touch "$place/ready"
}

train() {
  local stage=$1
  shift
  PYTHONPATH=$place/site:$here PYTHONUNBUFFERED=1 "$python" -m specdiff_train "$stage" --target "$(ls "$place"/*.gguf)" \
    --work "$place/work" --device "${DEVICE:-cuda}" ${TAPS:+--taps "$TAPS"} \
    ${SHARD_PROMPTS:+--shard-prompts "$SHARD_PROMPTS"} "$@"
}

decode() {
  local output=$1
  unpack
  train decode
  touch "$place/decoded"
  tar -C "$place/work" -cf - decoded | xz -T0 -3 > "$output/decoded.tar.xz"
  ls -l "$output"
}

cut() {
  tar -C "$work" -xJf "$1"
  PYTHONPATH=$here "$python" -m specdiff_train cut --work "$work" ${TARGET:+--target "$TARGET"} \
    ${SHARD_PROMPTS:+--shard-prompts "$SHARD_PROMPTS"}
}

look_up() {
  unpack
  # What was looked up is of one cut.
  cmp -s "$1" "$place/work/cut.npz" || rm -rf "$place/work/looked_up"
  cp "$1" "$place/work/cut.npz"
  # On another machine than the one that decoded them, or where it was stopped.
  [ -f "$place/decoded" ] || tar -C "$place/work" -xJf "$2"
  train look_up --threads "$(($(nproc) - 2))"
}

fit() {
  look_up "$1" "$2"
  shift
  learn "$2" fit ${START:+--start "$START"}
}

rival() {
  learn "$1" fit_autoregressive --autoregressive --start "$place/work/fit"
}

learn() {
  local output=$1 folder=$place/work/$2 status=0
  shift 2
  timeout "${LIMIT:-540}" bash -c "$(declare -f train); place='$place' here='$here' python='$python'; train fit \"\$@\"" fit \
    --seconds "${SECONDS_OF_TRAINING:-300}" --validation-seconds 50 --groups "${GROUPS_A_STEP:-64}" \
    --anchors "${ANCHORS:-48}" --learning-rate "${RATE:-1e-3}" "$@" || status=$?
  # What was saved last is there even where the time was up.
  cp "$folder"/weights-*.pt "$folder/log.jsonl" "$output/"
  ls -l "$output"
  return "$status"
}

case ${1:-} in
  pack) pack "${2:?on_gpu.sh pack FOLDER TARGET.gguf}" "${3:?on_gpu.sh pack FOLDER TARGET.gguf}" ;;
  put) put "${2:?on_gpu.sh put FOLDER/N}" ;;
  decode) decode "${2:?on_gpu.sh decode OUTPUT}" ;;
  cut) cut "${2:?on_gpu.sh cut DECODED.tar.xz}" ;;
  look_up) look_up "${2:?on_gpu.sh look_up CUT.npz DECODED.tar.xz}" "${3:?on_gpu.sh look_up CUT.npz DECODED.tar.xz}" ;;
  fit) fit "${2:?on_gpu.sh fit CUT.npz DECODED.tar.xz OUTPUT}" "${3:?fit CUT.npz DECODED.tar.xz OUTPUT}" \
    "${4:?fit CUT.npz DECODED.tar.xz OUTPUT}" ;;
  rival) rival "${2:?on_gpu.sh rival OUTPUT}" ;;
  *) sed -n '2,23p' "$0" >&2; exit 2 ;;
esac
