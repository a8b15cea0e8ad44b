"""Greedy parity, speed and costs of the engine on a machine with a GPU; bench/on_gpu.sh runs it there.

    python3 measure.py PLACE TARGET.gguf DRAFTER.gguf OUTPUT

PLACE: what `on_gpu.sh pack` made. Three parts, one after the other, each within its share of LIMIT seconds (200):
parity, with much beside it, since nothing is timed; speed, alone; costs of passes. What a part has not done by then is
left out, and a program that fails is named in the summary. Writes OUTPUT/figures.jsonl (a line for each text),
costs.json, summary.json, summary.md, results.json for bench/results, and log.txt. Environment: BACKEND (cuda), TOKENS
of a text (96), LIMIT, PROMPTS of each set at most, TEXTS of each drafter whose distribution is compared (4000),
ANYWAY=1 to go on without the backend.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from report import write_report

BEGUN = time.monotonic()
LIMIT = float(os.environ.get("LIMIT", "200"))
BACKEND = os.environ.get("BACKEND", "cuda")
TOKENS = os.environ.get("TOKENS", "96")
TEXTS = os.environ.get("TEXTS", "4000")
PROMPTS = int(os.environ.get("PROMPTS", "1000"))
# Shares of LIMIT after which the parts end.
PARITY_ENDS, SPEED_ENDS, COSTS_END = 0.24, 0.8, 0.97
CONTEXT = "2048"
# Every draft as long as it can be, not as long as pays.
WHOLE = ("--draft-length", "64")
# As the product drafts them: trees of seven nodes where the drafter grows such (server/engine/host).
PRODUCT = "none,ngram,diffusion,joint/7,auto/7,none"
TREES = "none,diffusion/22,diffusion/64,diffusion/254"
# Of random weights, the smallest first.
SHAPES = ("sedd-small", "sedd-small-q4_0", "1.5b", "gpt2-xl")
MODEL_BYTES = 8e9
ROWS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64)
# Networks that give raw logits of windows; the others' columns are tokens.
DIFFUSION = ("sedd", "mdlm")
COLUMNS = {"gpt2": 260, "gpt_neo": 260}
SLOTS = (4, 8, 10, 16, 20, 32, 64)
CELLS = 256
# The first passes of a size find no graph yet.
PASSES, UNSETTLED = 7, 3
TINY_TEXT = "5"


def left(share: float) -> float:
    """Seconds until that share of the time is over."""
    return BEGUN + share * LIMIT - time.monotonic()


class Program:
    """A program that runs beside this one; its output goes into files."""

    def __init__(self, bench: "Bench", name: str, command: list[object], text: str, settings: dict[str, str]) -> None:
        self.name = name
        self.output = bench.work / f"{name}.out"
        self.errors = bench.work / f"{name}.err"
        given = bench.work / f"{name}.in"
        given.write_text(text)
        self.begun = time.monotonic()
        self.end: float | None = None
        self.stopped = False
        with given.open() as stdin, self.output.open("w") as stdout, self.errors.open("w") as stderr:
            words = [str(word) for word in command]
            self.process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=bench.environment | settings,
                start_new_session=True,
            )

    def done(self) -> bool:
        """Whether it has ended."""
        if self.process.poll() is None:
            return False
        if self.end is None:
            self.end = time.monotonic()
        return True

    def stop(self) -> None:
        """Ends it, with all that it started."""
        if self.process.poll() is None:
            self.stopped = True
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def problem(self) -> str | None:
        """What went wrong: nothing where it was stopped for want of time."""
        if self.process.returncode == 0 or self.stopped:
            return None
        lines = [line for line in self.errors.read_text(errors="replace").splitlines() if line.strip()]
        return f"{self.name} ended with code {self.process.returncode}: {' | '.join(lines[-4:])[:600]}"

    def rows(self) -> Iterator[dict]:
        """The whole lines of JSON that it has written."""
        for line in self.output.read_text(errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


class Bench:
    """What is measured with, and what came of it."""

    def __init__(self, place: Path, target: Path, drafter: Path, output: Path) -> None:
        self.place, self.target, self.drafter, self.output = place, target, drafter, output
        self.work = place / "work"
        self.libraries = place / "dist/native/linux-x64"
        for folder in (self.work, output):
            folder.mkdir(parents=True, exist_ok=True)
        memory = Path("/dev/shm")
        roomy = memory.is_dir() and shutil.disk_usage(memory).free > MODEL_BYTES
        self.models = memory if roomy else self.work
        self.environment = dict(os.environ)
        path = f"{self.libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
        self.environment["LD_LIBRARY_PATH"] = path
        self.results: dict = {"backend": BACKEND, "problems": [], "seconds": {}}
        self.figures = (output / "figures.jsonl").open("w")
        self.programs: list[Program] = []

    def model(self, shape: str) -> Path:
        """Where the model of random weights of that shape lies: in memory where there is room."""
        return self.models / f"specdiff-{shape}.gguf"

    def start(
        self, name: str, command: list[object], text: str = "", settings: dict[str, str] | None = None
    ) -> Program:
        """Starts a program, with these environment variables besides."""
        program = Program(self, name, command, text, settings or {})
        self.programs.append(program)
        return program

    def finish(self, programs: list[Program], share: float) -> None:
        """Waits for them until the share of the time is over, then stops them, and notes what failed."""
        while left(share) > 0 and not all([program.done() for program in programs]):
            time.sleep(0.02)
        for program in programs:
            if not program.done():
                self.results["problems"].append(f"{program.name} was stopped after its time")
            program.stop()
            program.done()
            self.results["seconds"][program.name] = round((program.end or time.monotonic()) - program.begun, 1)
            if problem := program.problem():
                self.results["problems"].append(problem)

    def engine(self, arms: str, prompts: list[Path], *options: object, backend: str = BACKEND) -> list[object]:
        """A command that writes each prompt's text with each of the arms."""
        command = [self.libraries / "specdiff-engine", "--target", self.target, "--drafter-model", self.drafter]
        command += ["--backend", backend, "--context", CONTEXT, "--max-tokens", TOKENS, "--drafter", arms]
        command += ["--json", "--fresh", *options]
        for prompt in prompts:
            command += ["--prompt-file", prompt]
        return command

    def keep(self, part: str, programs: list[Program]) -> list[dict]:
        """The programs' figures, which are written down; `again` counts earlier lines of the same arm and round."""
        kept = []
        for program in programs:
            seen: dict[tuple, int] = {}
            for row in program.rows():
                key = (row["prompt"], row["round"], row["drafter"], row["treeNodes"])
                seen[key] = seen.get(key, -1) + 1
                passes = row.pop("passes")
                drafts = [each for each in passes if each["drafted"] > 0]
                row |= {"part": part, "program": program.name, "again": seen[key]}
                row |= {"prompt": Path(row["prompt"]).stem, "drafts": len(drafts)}
                row["set"] = row["prompt"].split("-")[0]
                kept.append(row)
                # What the controller did, where times mean something.
                told = row if part == "parity" else row | {"passes": passes}
                self.figures.write(json.dumps(told, separators=(",", ":")) + "\n")
        self.figures.flush()
        return kept

    def spread(self, wanted: dict[str, int]) -> list[Path]:
        """So many prompts of each set, evenly over its languages, the sets in turns."""
        chosen = []
        for name, count in wanted.items():
            all_of_it = sorted((self.place / "prompts").glob(f"{name}-*.txt"))
            count = min(count, PROMPTS, len(all_of_it))
            chosen += [((i + 0.5) / count, all_of_it[i * len(all_of_it) // count]) for i in range(count)]
        return [path for _, path in sorted(chosen)]

    def everything(self) -> None:
        """All parts; one that fails leaves the others alone."""
        if not self.probe():
            return
        for part in (self.parity, self.speed, self.costs):
            print(f"{time.monotonic() - BEGUN:.0f} s: {part.__name__}", flush=True)
            try:
                part()
            except Exception:
                self.results["problems"].append(f"{part.__name__}: {traceback.format_exc()}")
                for program in self.programs:
                    program.stop()

    def probe(self) -> bool:
        """Whether the backend is there at all: a short text, with everything that llama.cpp says."""
        prompt = self.spread({"code": 1})
        arms = "none,diffusion,auto"
        program = self.start("probe", self.engine(arms, prompt, "--max-tokens", "16", "--verbose"))
        self.finish([program], 0.3)
        noise = ("llama_graph_n_input_tensors", "set_n_threads", "llama_model_loader: - ")
        said = program.errors.read_text(errors="replace").splitlines()
        said = [line for line in said if not line.startswith(noise)]
        rows = list(program.rows())
        self.results["engine"] = rows[0]["backend"] if rows else None
        wanted = ("backend", "offloaded", "CUDA", "buffer size", "drafter", "can't")
        self.results["said"] = [line for line in said if any(word in line for word in wanted)][:80]
        works = len(rows) == 3 and (BACKEND != "cuda" or rows[0]["backend"].startswith("CUDA"))
        print("\n".join([*self.results["said"][:40], *([] if works else said[-8:])]), flush=True)
        if not works:
            self.results["problems"].append(f"{BACKEND} can't be used; see log.txt")
        return works or os.environ.get("ANYWAY") == "1"

    def parity(self) -> None:
        """Texts of all prompts; models for the costs are made beside it, and networks compared with PyTorch's rows."""
        tools, tiny = self.place / "tools", self.place / "tiny"
        made = {
            shape: self.start(f"make-{shape}", [tools / "random_model", self.model(shape), shape]) for shape in SHAPES
        }
        prompts = self.spread({"code": 1000, "edit": 1000, "prose": 1000})
        single = ("--threads", "1")
        product = [
            self.start(f"product-{i}", self.engine(PRODUCT, prompts[i::4], *single)) for i in range(4) if prompts[i:]
        ]
        trees = [
            self.start(f"trees-{i}", self.engine(TREES, prompts[i::3], *single, *WHOLE))
            for i in range(3)
            if prompts[i:]
        ]
        few = self.spread({"code": 6, "edit": 3, "prose": 3})
        on_cpu = [
            self.start(f"cpu-texts-{i}", self.engine("none,auto", few[i::2], *single, backend="cpu"))
            for i in range(2)
            if few[i:]
        ]
        networks = self.start_networks("network", {})
        # cuBLAS multiplies fp32 in TF32 (10 bits of mantissa) unless told otherwise.
        exact = self.start_networks("fp32", {"NVIDIA_TF32_OVERRIDE": "0"})
        texts = []
        for arm in ("none", "none-again", "ngram", "diffusion", "diffusion/6", "auto"):
            command = [self.libraries / "specdiff-engine", "--target", tiny / "target-llama-1.gguf", "--drafter-model"]
            command += [tiny / "drafter.gguf", "--backend", BACKEND, "--threads", "1", "--context", "256", "--json"]
            command += ["--max-tokens", TINY_TEXT, "--draft-length", "4", "--temperature", "1", "--top-k", "4"]
            command += [
                "--repeat",
                TEXTS,
                "--prompt-file",
                tiny / "prompt.txt",
                "--drafter",
                arm.removesuffix("-again"),
            ]
            seed = str(1_000_000 * (len(texts) + 1))
            texts.append(self.start(f"tiny-{arm.replace('/', '-')}", [*command, "--seed", seed]))
        self.finish([*product, *on_cpu], PARITY_ENDS - 0.02)
        rows = self.keep("parity", [*product, *on_cpu])
        self.finish([*trees, *texts, *networks.values(), *exact.values(), *made.values()], PARITY_ENDS)
        self.results["networks"] = self.compare_networks(networks)
        self.results["networks_fp32"] = self.compare_networks(exact)
        for shape, program in made.items():
            if program.process.returncode != 0:
                self.model(shape).unlink(missing_ok=True)
        self.results["parity"] = rows + self.keep("parity", trees)
        self.results["tiny"] = {each.name: [row["ids"] for row in each.rows()] for each in texts}

    def speed(self) -> None:
        """One program at a time, arms in turns, after a text that warms everything."""
        few = self.spread({"code": 9, "edit": 5, "prose": 3})
        fewer = self.spread({"code": 4, "edit": 3, "prose": 2})
        rounds = ("--repeat", "2")
        all_threads = (*rounds, "--threads", str(self.cores()))
        hot = ("--temperature", "1")
        # The last: parts of the time. `auto` has plain decoding alone beside it and learns from no other drafter.
        plans = [
            ("auto", "none,auto/7", few, rounds, BACKEND, 3),
            ("auto-sampled", "none,auto/7", few, (*rounds, *hot), BACKEND, 3),
            ("drafters", "none,ngram,diffusion,joint,joint/7", few, rounds, BACKEND, 3),
            ("drafters-sampled", "none,ngram,diffusion,joint", fewer, (*rounds, *hot), BACKEND, 1),
            ("all-threads", "none,auto/7", few[:6], all_threads, BACKEND, 1),
            ("trees", "none,diffusion,diffusion/22,diffusion/64,diffusion/254", fewer, (*rounds, *WHOLE), BACKEND, 1),
            ("chains", "none,auto", fewer, rounds, BACKEND, 1),
            ("cpu", "none,auto/7", fewer, rounds, "cpu", 1),
        ]
        self.results["speed"] = []
        parts, passed = sum(plan[-1] for plan in plans), 0
        for name, arms, prompts, options, backend, part in plans:
            # The first prompt comes twice: its first texts are thrown away.
            command = self.engine(arms, [*prompts[:1], *prompts], *options, backend=backend)
            program = self.start(f"speed-{name}", command)
            passed += part
            self.finish([program], PARITY_ENDS + (SPEED_ENDS - PARITY_ENDS) * passed / parts)
            rows = self.keep(name, [program])
            warm = 2 * len(arms.split(","))
            self.results["speed"] += rows[warm:]

    def costs(self) -> None:
        """Times of target passes and denoising steps, of random weights; the GPU first, as it is what is asked for."""
        tools, cpu = self.place / "tools", self.cpu_library()
        steps = [f"step {rows}" for rows in ROWS for _ in range(PASSES)]
        lines = "\n".join([f"context {CELLS}", *steps, *steps, "quit"]) + "\n"
        gpu = f"{self.libraries / cpu},{self.libraries / 'libggml-cuda.so'}"
        libraries = {"cuda": gpu, "cpu": str(self.libraries / cpu)}
        costs: dict = {"cells": CELLS, "cpu_library": cpu, "targets": {}, "drafters": {}}
        self.results["costs"] = costs
        backends = [BACKEND] if BACKEND == "cpu" else [BACKEND, "cpu"]
        try:
            for backend in backends:
                for shape in SHAPES[:2]:
                    costs["drafters"][f"{shape} {backend}"] = self.denoising(shape, backend)
                for shape in ("default", "1.5b", "gpt2-xl") if backend == BACKEND else ("default", "1.5b"):
                    threads = "1" if backend == "cuda" else str(self.cores())
                    file = self.target if shape == "default" else self.model(shape)
                    command = [tools / "step_times", libraries[backend], file, threads, "1024"]
                    program = self.start(f"steps-{shape}-{backend}", command, lines)
                    self.finish([program], COSTS_END)
                    costs["targets"][f"{shape} {backend}"] = self.step_times(program)
        finally:
            (self.output / "costs.json").write_text(json.dumps(costs, indent=1) + "\n")

    def cores(self) -> int:
        """Those that this process may use, at most 16."""
        return min(len(os.sched_getaffinity(0)), 16)

    def cpu_library(self) -> str:
        """The one that the engine itself chose."""
        label = self.results.get("engine") or ""
        for line in [label, *self.results.get("said", [])]:
            for ours in ("specdiff ", "llama.cpp "):
                if f"({ours}" in line:
                    variant = line.split(f"({ours}")[1].split(",")[0].split(")")[0]
                    return f"libggml-cpu-{'specdiff-' if ours == 'specdiff ' else ''}{variant}.so"
        return sorted(path.name for path in self.libraries.glob("libggml-cpu-*.so"))[0]

    def step_times(self, program: Program) -> dict:
        """{rows: {"first", "second": ms of the first passes of a size, "ms": median of settled ones}}."""
        times = [row["ms"] for row in program.rows() if "ms" in row][1:]
        result: dict = {}
        for begin in range(0, len(times) - PASSES + 1, PASSES):
            rows = ROWS[begin // PASSES % len(ROWS)]
            known = result.setdefault(rows, {"first": [], "second": [], "settled": []})
            known["first"].append(times[begin])
            known["second"].append(times[begin + 1])
            known["settled"] += times[begin + UNSETTLED : begin + PASSES]
        return {
            rows: {
                "first": min(each["first"]),
                "second": min(each["second"]),
                "ms": sorted(each["settled"])[len(each["settled"]) // 2],
            }
            for rows, each in result.items()
        }

    def denoising(self, shape: str, backend: str) -> dict:
        """Time of a step of so many slots behind a frozen text, and of a whole window of 256 + 16."""
        tokens = [100 + 37 * (i % 200) for i in range(CELLS + max(SLOTS))]

        def request(frozen: int, slots: int) -> str:
            return f"0.05 {frozen} {CELLS} {slots} {' '.join(map(str, tokens[: CELLS + slots]))}"

        lines = "\n".join([*(request(CELLS, slots) for slots in SLOTS), request(0, 16)]) + "\n"
        command = [self.place / "build/native/specdiff-logits", "--native", self.libraries, "--backend", backend]
        command += ["--model", self.model(shape), "--time", "40" if backend == "cuda" else "5"]
        command += ["--threads", "1" if backend == "cuda" else self.cores()]
        program = self.start(f"denoising-{shape}-{backend}", command, lines)
        self.finish([program], COSTS_END)
        rows = list(program.rows())
        return dict(zip([*map(str, SLOTS), "window 272"], rows, strict=False))

    def start_networks(self, name: str, settings: dict[str, str]) -> dict[str, Program]:
        """Those whose rows PyTorch has computed."""
        started = {}
        for file in sorted((self.place / "reference").glob("*.txt")):
            kind = file.stem
            command = [self.place / f"build/native/specdiff-{'logits' if kind in DIFFUSION else 'taps'}"]
            command += ["--native", self.libraries, "--backend", BACKEND, "--threads", "1"]
            command += ["--model" if kind in DIFFUSION else "--target", file.with_suffix(".gguf")]
            if kind not in DIFFUSION:
                command += ["--cache", "f32", "--top", COLUMNS[kind], "--context", "1024"]
            started[kind] = self.start(f"{name}-{kind}", command, file.read_text(), settings)
        return started

    def compare_networks(self, programs: dict[str, Program]) -> dict:
        """Largest differences from PyTorch's rows, of every kind of network and length."""
        import numpy as np

        found: dict = {}
        for kind, program in programs.items():
            reference = self.place / "reference" / kind
            data = np.load(reference.with_suffix(".npz"))
            columns = data["rows"].shape[1]
            values = np.frombuffer(program.output.read_bytes(), np.float32)
            place, row, differences = 0, 0, {}
            for line, count in zip(reference.with_suffix(".txt").read_text().splitlines(), data["counts"], strict=True):
                words = line.split()
                length = len(words) - (4 if kind in DIFFUSION else 2)
                expected = data["rows"][row : row + count]
                row += count
                name = f"{length} tokens"
                if kind in DIFFUSION:
                    ours = values[place : place + count * columns]
                    place += count * columns
                    name += f", {words[1]} frozen" if words[1] != "0" else ""
                else:
                    size = length * columns
                    ids = values[place : place + size].view(np.int32).reshape(length, columns)
                    chances = values[place + size : place + 2 * size].reshape(length, columns)
                    whole = np.zeros((length, columns), np.float32)
                    np.put_along_axis(whole, ids, np.log(chances), -1)
                    ours = whole[-count:].reshape(-1)
                    place += 2 * size
                differences[name] = float(np.abs(ours - expected.reshape(-1)).max())
            found[kind] = {"spread": float(data["rows"].std()), "largest": differences}
        return found

    def close(self) -> None:
        """Writes what there is."""
        for program in self.programs:
            program.stop()
        for shape in SHAPES:
            self.model(shape).unlink(missing_ok=True)
        self.figures.close()
        with (self.output / "log.txt").open("w") as log:
            for program in self.programs:
                text = program.errors.read_text(errors="replace")
                log.write(f"== {program.name}, code {program.process.returncode}\n{text[-200_000:]}\n")
        self.results["seconds"]["all"] = round(time.monotonic() - BEGUN, 1)
        write_report(self.results, self.output)


def main() -> None:
    """Everything within the time."""
    bench = Bench(*(Path(word).resolve() for word in sys.argv[1:5]))
    try:
        bench.everything()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
