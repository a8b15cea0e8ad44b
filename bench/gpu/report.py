"""What the figures of measure.py come to: a small JSON and tables for docs/benchmarks.md.

`python3 report.py SUMMARY.json` prints the tables of a run that was written before.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# Of the cost check: chance of each slot, and a draft's share of a plain pass.
ACCEPTED, DRAFT = 0.7, 0.1
LEAST_EXPECTED = 5
GAMMAS = (4, 8, 10, 16, 20, 32)
STEPS = (1, 2, 4, 8, 16)
# Of each text that was timed, what bench/results keeps.
KEPT = ("part", "prompt", "round", "drafter", "treeNodes", "tokens", "tokensPerSecond", "tau", "verifications")
KEPT += ("drafts", "nodes", "draftMs", "verifyMs", "prefillMs")


def arm_of(row: dict) -> str:
    """The drafter, with its trees' nodes."""
    return row["drafter"] + (f"/{row['treeNodes']}" if row["treeNodes"] else "")


def machine() -> dict:
    """What it ran on."""
    found: dict = {"cores": len(os.sched_getaffinity(0)), "platform": "linux-x64"}
    found["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["cpu"] = line.split(":", 1)[1].strip()
            break
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
    try:
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        found["gpu"] = None
    return found


def first_difference(ours: list[int], plain: list[int]) -> int | None:
    """Place of the first token that differs; None where the texts are the same."""
    if ours == plain:
        return None
    same = [a == b for a, b in zip(ours, plain, strict=False)]
    return same.index(False) if False in same else len(same)


def compared(pairs: list[tuple[list[int], list[int]]]) -> dict:
    """Texts against plain ones: those that differ, from where, and how many tokens come before and behind."""
    places = [first_difference(ours, plain) for ours, plain in pairs]
    differing = [place for place in places if place is not None]
    before = sum(len(ours) if place is None else place for (ours, _), place in zip(pairs, places, strict=True))
    tokens = sum(len(ours) for ours, _ in pairs)
    return {
        "texts": len(pairs),
        "texts_that_differ": len(differing),
        "first_differences": sorted(differing),
        "tokens": tokens,
        "tokens_up_to_the_first_difference": before,
        "one_divergence_in_tokens": round(before / len(differing)) if differing else None,
    }


def parity(rows: list[dict]) -> dict:
    """Of every arm against the plain text of the same program; of plain text on the CPU against the GPU's."""
    plain = {}
    for row in rows:
        if row["drafter"] == "none" and row["again"] == 0:
            plain[row["program"], row["prompt"]] = row["ids"]
    pairs = defaultdict(list)
    for row in rows:
        reference = plain.get((row["program"], row["prompt"]))
        name = arm_of(row) + (" again" if row["again"] else "")
        if row["program"].startswith("cpu"):
            name += " on the CPU"
        if reference is not None and not name.startswith("none") or row["again"]:
            pairs[name].append((row["ids"], reference))
    on_gpu = {prompt: ids for (program, prompt), ids in plain.items() if program.startswith("product")}
    for (program, prompt), ids in plain.items():
        if prompt in on_gpu and program.startswith("cpu"):
            pairs["plain text of the CPU against the GPU's"].append((ids, on_gpu[prompt]))
        if prompt in on_gpu and program.startswith("trees"):
            pairs["plain text of a target made for trees"].append((ids, on_gpu[prompt]))
    return {name: compared(each) for name, each in pairs.items()}


def speed(rows: list[dict]) -> dict:
    """By part, arm and set of prompts: medians over texts, and to plain decoding of the same prompt and round."""
    groups: dict = defaultdict(lambda: defaultdict(list))
    plain = {}
    for row in rows:
        if row["tokensPerSecond"] is None:
            continue
        groups[row["part"]][arm_of(row), "all"].append(row)
        groups[row["part"]][arm_of(row), row["set"]].append(row)
        if row["drafter"] == "none":
            plain[row["part"], row["prompt"], row["round"]] = row["tokensPerSecond"]
    result: dict = {}
    for part, arms in groups.items():
        for (arm, name), each in arms.items():
            ratios = [
                row["tokensPerSecond"] / plain[part, row["prompt"], row["round"]]
                for row in each
                if (part, row["prompt"], row["round"]) in plain
            ]
            passes = sum(row["verifications"] for row in each)
            later = passes - len(each)
            draft, verify = (sum(row[key] for row in each) for key in ("draftMs", "verifyMs"))
            result.setdefault(part, {}).setdefault(arm, {})[name] = {
                "texts": len(each),
                "backend": each[0]["backend"],
                "tokensPerSecond": round(statistics.median(row["tokensPerSecond"] for row in each), 1),
                "toPlain": round(statistics.median(ratios), 3) if ratios else None,
                "toPlainRange": [round(min(ratios), 2), round(max(ratios), 2)] if ratios else None,
                "tau": round(sum(row["tokens"] for row in each) / passes, 3),
                "draftMsAPass": round(draft / later, 3) if later else None,
                "verifyMsAPass": round(verify / later, 3) if later else None,
                "draftShare": round(draft / (draft + verify), 3) if draft + verify else None,
                "nodesAPass": round(sum(row["nodes"] for row in each) / later, 2) if later else None,
                "prefillMs": round(statistics.median(row["prefillMs"] for row in each), 2),
            }
    return result


def upper_gamma(a: float, x: float) -> float:
    """Regularized upper incomplete gamma function, by its series or its continued fraction."""
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, 10_000):
            term *= x / (a + n)
            total += term
            if abs(term) < abs(total) * 1e-15:
                break
        return 1 - total * front
    b = x + 1 - a
    c, d = 1e300, 1 / b
    h = d
    for n in range(1, 10_000):
        an = -n * (n - a)
        b += 2
        d = 1 / (an * d + b)
        c = b + an / c
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * h


def same_distribution(ours: Counter, plain: Counter) -> dict:
    """Two-sample chi-square; texts expected fewer than five times are pooled."""
    n, m = sum(ours.values()), sum(plain.values())
    if n == 0 or m == 0:
        return {"texts": n, "p": None}
    cells, pooled = [], [0, 0]
    for text in ours.keys() | plain.keys():
        both = ours[text] + plain[text]
        if min(n, m) * both / (n + m) < LEAST_EXPECTED:
            pooled = [pooled[0] + ours[text], pooled[1] + plain[text]]
        else:
            cells.append((ours[text], plain[text]))
    if sum(pooled) > 0:
        cells.append(tuple(pooled))
    statistic = sum((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b) for a, b in cells)
    degrees = len(cells) - 1
    p = upper_gamma(degrees / 2, statistic / 2) if degrees > 0 else None
    return {"texts": n, "plain_texts": m, "degrees": degrees, "p": p}


def distributions(texts: dict[str, list[list[int]]]) -> dict:
    """Sampled texts of each arm against plain ones: the first four tokens, as a draft may reach behind the fourth."""
    counts = {name: Counter(tuple(ids[:4]) for ids in each) for name, each in texts.items()}
    plain = counts.get("tiny-none", Counter())
    return {name: same_distribution(each, plain) for name, each in counts.items() if name != "tiny-none"}


def at(times: dict, rows: float) -> float:
    """Time of so many rows, between those measured along a straight line."""
    known = sorted(int(each) for each in times)
    below = max((each for each in known if each <= rows), default=known[0])
    above = min((each for each in known if each >= rows), default=known[-1])
    if above == below:
        return times[below]["ms"]
    share = (rows - below) / (above - below)
    return times[below]["ms"] * (1 - share) + times[above]["ms"] * share


def cost_check(times: dict) -> dict | None:
    """Best speed-up where each slot is accepted with 0.7 and a draft takes a tenth of a plain pass."""
    if 1 not in times or len(times) < 3:
        return None
    best = {"speedup": 1.0, "gamma": 0}
    for gamma in range(1, max(times)):
        tokens = (1 - ACCEPTED ** (gamma + 1)) / (1 - ACCEPTED)
        speedup = tokens / (at(times, gamma + 1) / at(times, 1) + DRAFT)
        if speedup > best["speedup"]:
            best = {"speedup": round(speedup, 2), "gamma": gamma}
    return best


def paper_grid(costs: dict, backend: str) -> dict:
    """γ × T on GPT-2 XL's shape: time of a pass to a plain one, which is also the τ from which on it pays."""
    target = costs.get("targets", {}).get(f"gpt2-xl {backend}", {})
    steps = costs.get("drafters", {}).get(f"sedd-small {backend}", {})
    if 1 not in target or not steps:
        return {}
    grid: dict = {}
    for gamma in GAMMAS:
        if str(gamma) in steps:
            for count in STEPS:
                time = count * steps[str(gamma)]["median"] + at(target, gamma + 1)
                grid.setdefault(gamma, {})[count] = round(time / at(target, 1), 2)
    return grid


def table(head: list[str], rows: list[list[object]]) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(map(str, head))} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join('–' if cell is None else str(cell) for cell in row)} |" for row in rows), ""]


def markdown(summary: dict) -> str:
    """The tables."""
    lines = [f"Machine: {json.dumps(summary['machine'])}, engine: {summary['engine']}", "", "### Greedy parity"]
    lines += table(
        ["text", "texts", "differ", "tokens", "before the first difference", "one divergence in tokens"],
        [
            [name, each["texts"], each["texts_that_differ"], each["tokens"], each["tokens_up_to_the_first_difference"]]
            + [each["one_divergence_in_tokens"]]
            for name, each in summary["parity"].items()
        ],
    )
    if summary["distributions"]:
        lines.append("### Sampled text against plain, tiny model")
        lines += table(
            ["drafter", "texts", "degrees", "p"],
            [
                [n, e["texts"], e.get("degrees"), e["p"] and f"{e['p']:.4f}"]
                for n, e in summary["distributions"].items()
            ],
        )
    for part, arms in summary["speed"].items():
        lines.append(f"### Speed: {part}, {next(iter(arms.values()))['all']['backend']}")
        sets = [name for name in ("code", "edit", "prose") if any(name in each for each in arms.values())]
        head = ["arm", "tokens/s", "to plain (range)", *sets, "τ", "draft, verify ms a pass", "nodes a pass"]
        lines += table(
            head,
            [
                [arm, each["all"]["tokensPerSecond"], f"{each['all']['toPlain']} {each['all']['toPlainRange']}"]
                + [each.get(name, {}).get("toPlain") for name in sets]
                + [each["all"]["tau"], f"{each['all']['draftMsAPass']}, {each['all']['verifyMsAPass']}"]
                + [each["all"]["nodesAPass"]]
                for arm, each in arms.items()
            ],
        )
    costs = summary["costs"]
    for name, times in costs.get("targets", {}).items():
        if not times:
            continue
        lines.append(f"### Passes: {name} (cost check: {summary['cost_check'].get(name)})")
        # Read back from JSON, the numbers of rows are words.
        one = next((each["ms"] for rows, each in times.items() if int(rows) == 1), None)
        lines += table(
            ["rows", *times],
            [
                ["ms", *(round(each["ms"], 3) for each in times.values())],
                ["to one row", *(one and round(each["ms"] / one, 2) for each in times.values())],
                ["first pass of the size, ms", *(round(each["first"], 3) for each in times.values())],
                ["second", *(round(each["second"], 3) if "second" in each else None for each in times.values())],
            ],
        )
    if costs.get("drafters"):
        lines.append("### One denoising step, ms (median)")
        slots = list(next(iter(costs["drafters"].values())))
        lines += table(
            ["drafter", *slots],
            [[n, *(round(e[s]["median"], 3) if s in e else None for s in slots)] for n, e in costs["drafters"].items()],
        )
    if summary["paper_grid"]:
        lines.append("### γ × T on GPT-2 XL's shape: a pass to a plain one")
        lines += table(["γ", *(f"T {t}" for t in STEPS)], [[g, *e.values()] for g, e in summary["paper_grid"].items()])
    for key, how in (("networks", "as cuBLAS multiplies by itself"), ("networks_fp32", "without TF32")):
        networks = summary.get(key)
        if not networks:
            continue
        lines.append(f"### Networks against PyTorch on a CPU, {how}: largest difference of a logit or ln p")
        windows = list(dict.fromkeys(name for each in networks.values() for name in each["largest"]))
        lines += table(
            ["network", "spread", *windows],
            [
                [kind, f"{each['spread']:.2f}"]
                + [f"{each['largest'][name]:.1e}" if name in each["largest"] else None for name in windows]
                for kind, each in networks.items()
            ],
        )
    return "\n".join([*lines, *summary["problems"]]) + "\n"


def with_lines(head: dict, name: str, rows: list[dict]) -> str:
    """JSON of `head` and, as its last member, a list with a line for each row."""
    lines = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return f'{json.dumps(head, indent=1)[:-2]},\n "{name}": [\n  {lines}\n ]\n}}\n'


def write_report(results: dict, output: Path) -> None:
    """summary.json, summary.md, and results.json for bench/results; prints the second. What can't be computed is named
    and left out."""
    costs = results.get("costs", {})

    def safely(name: str, compute: Callable[[], T], otherwise: T) -> T:
        try:
            return compute()
        except Exception:
            results["problems"].append(f"{name}: {traceback.format_exc()}")
            return otherwise

    checks = lambda: {name: cost_check(times) for name, times in costs.get("targets", {}).items()}  # noqa: E731
    summary = {
        "machine": safely("machine", machine, {}),
        "engine": results.get("engine"),
        "seconds": results["seconds"],
        "problems": results["problems"],
        "parity": safely("parity", lambda: parity(results.get("parity", [])), {}),
        "distributions": safely("distributions", lambda: distributions(results.get("tiny", {})), {}),
        "speed": safely("speed", lambda: speed(results.get("speed", [])), {}),
        "networks": results.get("networks", {}),
        "networks_fp32": results.get("networks_fp32", {}),
        "cost_check": safely("cost check", checks, {}),
        "paper_grid": safely("paper grid", lambda: paper_grid(costs, results["backend"]), {}),
        "costs": costs,
    }
    text = safely("tables", lambda: markdown(summary), "\n".join(results["problems"]))
    (output / "summary.json").write_text(json.dumps(summary | {"said": results.get("said", [])}, indent=1) + "\n")
    (output / "summary.md").write_text(text)
    print(text)
    texts = [{key: row[key] for key in KEPT} for row in results.get("speed", [])]
    (output / "results.json").write_text(with_lines(summary, "texts", texts))


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
