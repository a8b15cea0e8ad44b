#!/usr/bin/env bash
# Trains the drafter on a machine with a GPU, Python 3 and PyTorch with CUDA, and no network. The answers are written before,
# by the engine and the product's rules; there PyTorch computes the target's hidden states, from its dequantized weights.
#
#   training/on_gpu.sh pack FOLDER TARGET.gguf   where the answers stage has run: packs what the other machine needs into
#                                                FOLDER: wheels, answers, the target in parts of at most 30 MiB
#   training/on_gpu.sh run FOLDER                there, again and again until it prints "finished": each call goes on where
#                                                the last one stopped and ends within LIMIT seconds
#
# FOLDER may arrive in several pieces, one part of the target a call. Results: FOLDER/drafter.gguf and FOLDER/evaluation.md.
# Environment: LIMIT (540), DEVICE (cuda), SECONDS_OF_TRAINING (600), NAME of the drafter, TAPS (spread over the target's
# layers), START (a drafter's GGUF to go on from), TAG of the wheels' Python (3.12).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
verb=${1:-} folder=$(realpath -m "${2:?usage: on_gpu.sh pack FOLDER TARGET.gguf, or on_gpu.sh run FOLDER}")

pack() {
  local target=${1:?on_gpu.sh pack needs the target GGUF}
  mkdir -p "$folder/wheels"
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version "${TAG:-3.12}" --implementation cp \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --dest "$folder/wheels" \
    gguf==0.19.0 PyYAML==6.0.3 tqdm==4.70.1
  tar -C "$here/work" -cJf "$folder/answers.tar.xz" answers
  sha256sum "$target" | cut -d' ' -f1 > "$folder/target.sha256"
  split -b 30M "$target" "$folder/target.part-"
  ls "$folder"/target.part-* | wc -l > "$folder/target.parts"
  du -ah "$folder"
}

run() {
  local begun=$SECONDS limit=${LIMIT:-540} work=$folder/work
  mkdir -p "$work"
  if [ ! -f "$folder/target.gguf" ]; then
    if [ "$(ls "$folder"/target.part-* | wc -l)" -lt "$(cat "$folder/target.parts")" ]; then
      echo "some parts of the target are still missing: bring the others into $folder and run again"
      return 0
    fi
    cat "$folder"/target.part-* > "$folder/target.gguf.part"
    echo "$(cat "$folder/target.sha256")  $folder/target.gguf.part" | sha256sum --check --quiet
    mv "$folder/target.gguf.part" "$folder/target.gguf"
    rm "$folder"/target.part-*
  fi
  [ -d "$work/answers" ] || tar -C "$work" -xJf "$folder/answers.tar.xz"
  if [ ! -d "$folder/site" ]; then
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$folder/site.part" "$folder"/wheels/*.whl
    mv "$folder/site.part" "$folder/site"
  fi
  export PYTHONPATH=$folder/site:$here PYTHONUNBUFFERED=1
  local options=(--target "$folder/target.gguf" --work "$work" --device "${DEVICE:-cuda}" --output "$folder/drafter.gguf"
    --seconds "${SECONDS_OF_TRAINING:-600}" --groups 16 --anchors 64 --threads 4)
  options+=(--name "${NAME:-SmolLM2-135M-Instruct block-diffusion drafter}")
  [ -z "${TAPS:-}" ] || options+=(--taps "$TAPS")
  [ -z "${START:-}" ] || options+=(--start "$START")
  local stage left status
  for stage in train evaluate export; do
    [ -f "$work/$stage.done" ] && continue
    left=$((limit - (SECONDS - begun)))
    status=0
    [ "$left" -gt 5 ] && { timeout "$left" python3 -m specdiff_train "$stage" "${options[@]}" || status=$?; }
    if [ "$left" -le 5 ] || [ "$status" -eq 124 ]; then
      echo "out of time in stage $stage: run the same command again"
      return 0
    fi
    [ "$status" -eq 0 ] || return "$status"
    touch "$work/$stage.done"
  done
  cp "$work/train/evaluation.md" "$folder/"
  echo "finished: $folder/drafter.gguf"
}

case $verb in
  pack) pack "${3:-}" ;;
  run) run ;;
  *) echo "usage: on_gpu.sh pack FOLDER TARGET.gguf, or on_gpu.sh run FOLDER" >&2; exit 2 ;;
esac
