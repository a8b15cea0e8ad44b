#!/usr/bin/env bash
# Checks and times the engine on a machine with a GPU that has neither Node nor a network.
#
#   bench/on_gpu.sh pack FOLDER [CUDA_LIBRARY]   where the project is built: packs executable, libraries, models and prompts
#                                                into FOLDER/1, FOLDER/2, … of at most 60 MiB each
#   bench/on_gpu.sh put FOLDER/N                 there, once for each: puts it away in $PLACE (/tmp/specdiff-bench)
#   bench/on_gpu.sh run OUTPUT                   there: parity, then speed; writes OUTPUT/*.json and prints a summary
#
# CUDA_LIBRARY: libggml-cuda.so for the GPU there, built ahead or from the npm package; without it only the CPU is measured.
# Environment: BACKEND (cuda), TOKENS a prompt (128), REPEAT (3), PLACE.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
place=${PLACE:-/tmp/specdiff-bench}
piece=30M

pack() {
  local folder=$1 cuda=${2:-} staging
  staging=$(mktemp -d)
  trap 'rm -rf "$staging"' RETURN
  mkdir -p "$staging/native" "$staging/prompts"
  cp "$here"/dist/native/linux-x64/{specdiff-engine,*.so*} "$staging/native/"
  [ -z "$cuda" ] || cp "$cuda" "$staging/native/libggml-cuda.so"
  cp "$here"/models/cache/*.gguf "$staging/target.gguf"
  cp "$here"/models/*.dflash.gguf "$staging/drafter.gguf"
  python3 - "$here/bench/prompts/heldout.jsonl" "$staging/prompts" <<'PY'
import json, pathlib, sys
for line in open(sys.argv[1], encoding="utf-8"):
    prompt = json.loads(line)
    if prompt["kind"] != "summary":
        pathlib.Path(sys.argv[2], prompt["id"] + ".txt").write_text(prompt["text"], encoding="utf-8")
PY
  rm -rf "$folder"
  mkdir -p "$folder"
  tar -C "$staging" -cf - . | xz -T0 -3 | split -b "$piece" -d - "$folder/part-"
  # Two pieces travel together.
  local n=0
  for part in "$folder"/part-*; do
    local number=$((n / 2 + 1))
    mkdir -p "$folder/$number"
    mv "$part" "$folder/$number/"
    n=$((n + 1))
  done
  echo "$n" | tee "$folder"/*/parts > /dev/null
  du -sh "$folder"/*
}

put() {
  mkdir -p "$place/parts"
  cp "$1"/part-* "$1/parts" "$place/parts/"
  echo "have $(find "$place/parts" -name 'part-*' | wc -l) of $(cat "$place/parts/parts") parts"
}

unpack() {
  [ -x "$place/native/specdiff-engine" ] && return
  if [ "$(find "$place/parts" -name 'part-*' | wc -l)" -lt "$(cat "$place/parts/parts")" ]; then
    echo "some parts are missing: put the others first" >&2
    exit 1
  fi
  cat "$place"/parts/part-* | tar -C "$place" -xJf -
}

# One JSON line of figures for a prompt and a drafter; the text goes into a file beside.
measure() {
  local drafter=$1 prompt=$2 output=$3
  "$place/native/specdiff-engine" --target "$place/target.gguf" --drafter-model "$place/drafter.gguf" --drafter "$drafter" \
    --backend "${BACKEND:-cuda}" --prompt-file "$prompt" --max-tokens "${TOKENS:-128}" --repeat "${REPEAT:-3}" > "$output"
}

run() {
  local output=$1 differing=0 count=0 name
  unpack
  mkdir -p "$output" "$place/texts"
  : > "$output/figures.jsonl"
  for prompt in "$place"/prompts/*.txt; do
    name=$(basename "$prompt" .txt)
    count=$((count + 1))
    for drafter in none ngram diffusion auto; do
      measure "$drafter" "$prompt" "$place/texts/$name.$drafter"
      grep '^{"tokens"' "$place/texts/$name.$drafter" | tail -n 1 | sed "s/^{/{\"prompt\":\"$name\",/" >> "$output/figures.jsonl"
      grep -v '^{"tokens"' "$place/texts/$name.$drafter" > "$place/texts/$name.$drafter.txt" || true
      [ "$drafter" = none ] || cmp -s "$place/texts/$name.none.txt" "$place/texts/$name.$drafter.txt" || {
        differing=$((differing + 1))
        echo "$name: greedy text of $drafter differs from plain decoding"
      }
    done
  done
  python3 - "$output" "$count" "$differing" <<'PY'
import collections, json, pathlib, platform, statistics, subprocess, sys
output, count, differing = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rows = collections.defaultdict(list)
for line in open(output / "figures.jsonl"):
    row = json.loads(line)
    rows[row["drafter"]].append(row)
gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True) \
    if subprocess.run(["which", "nvidia-smi"], capture_output=True).returncode == 0 else None
summary = {"machine": platform.processor() or platform.machine(), "gpu": gpu.stdout.strip() if gpu else None, "prompts": count,
           "differing": differing, "drafters": {}}
for name, each in rows.items():
    tokens, passes = sum(r["tokens"] for r in each), sum(r["verifications"] for r in each)
    speed = [r["tokensPerSecond"] for r in each if r["tokensPerSecond"]]
    summary["drafters"][name] = {"backend": each[0]["backend"], "tau": round(tokens / passes, 3),
                                 "tokensPerSecondMedian": round(statistics.median(speed), 1) if speed else None}
(output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
print(json.dumps(summary, indent=2))
PY
}

case ${1:-} in
  pack) pack "${2:?on_gpu.sh pack FOLDER [CUDA_LIBRARY]}" "${3:-}" ;;
  put) put "${2:?on_gpu.sh put FOLDER/N}" ;;
  run) run "${2:?on_gpu.sh run OUTPUT}" ;;
  *) echo "usage: on_gpu.sh pack FOLDER [CUDA_LIBRARY] | put FOLDER/N | run OUTPUT" >&2; exit 2 ;;
esac
