"""Corpus: pinned, permissively licensed packages, fetched with pip, npm and apt, split by package.

Output: WORK/corpus/{train,validation,test}.jsonl, one file a line:
{"language", "package", "licence", "path", "text", "prose"}.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .config import Config
from .storage import write_jsonl, write_text

LANGUAGES = {
    ".py": "python",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".go": "go",
    ".rs": "rust",
    ".c": "c",
    ".h": "cpp",
    ".hpp": "cpp",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".md": "markdown",
    ".rst": "markdown",
    ".txt": "prose",
    ".gz": "prose",
}
MIN_BYTES = 800
MAX_BYTES = 200_000
MAX_LINE = 300
MAX_FILES_PER_PACKAGE = 400
# What compilers leave in JavaScript that they have made of something else.
COMPILED = ("__esModule", "sourceMappingURL")
DOWNLOADS = 6


def package_list() -> list[dict[str, Any]]:
    """The pinned packages: client (pip, npm, apt), name, version, licence, split."""
    return json.loads(Path(__file__).with_name("packages.json").read_text(encoding="utf-8"))


def training_licences() -> list[str]:
    """Of the packages that are trained on."""
    return sorted({package["licence"] for package in package_list() if package["split"] == "train"})


def build(config: Config) -> None:
    """Fetch and unpack every package that is missing, then write the three splits."""
    corpus = config.work / "corpus"
    if all((corpus / f"{split}.jsonl").exists() for split in ("train", "validation", "test")):
        print(f"corpus: complete in {corpus}")
        return
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    seen: set[bytes] = set()
    packages = package_list()
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        folders = dict(zip([p["name"] for p in packages], pool.map(lambda p: fetch(p, config), packages), strict=True))
    # Test and validation first: a file that stands in several packages must not be trained on.
    order = {"test": 0, "validation": 1, "train": 2}
    for package in sorted(packages, key=lambda p: order[p["split"]]):
        files = list(source_files(folders[package["name"]], package, seen))
        rows[package["split"]] += files[:MAX_FILES_PER_PACKAGE]
    for split, files in rows.items():
        write_jsonl(corpus / f"{split}.jsonl", files)
        counts: dict[str, int] = {}
        for row in files:
            counts[row["language"]] = counts.get(row["language"], 0) + 1
        print(f"corpus: {split}: {len(files)} files {counts}")


def fetch(package: dict[str, Any], config: Config) -> Path:
    """Download one package with its ordinary client and unpack it; returns its folder."""
    folder = config.work / "packages" / f"{package['client']}-{package['name'].replace('/', '-').replace('@', '')}"
    if (folder / ".complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    archives = folder / ".archive"
    archives.mkdir(parents=True)
    name, version = package["name"], package["version"]
    commands = {
        "pip": [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                "--dest", str(archives), f"{name}=={version}"],
        "npm": ["npm", "pack", "--silent", "--pack-destination", str(archives), f"{name}@{version}"],
        "apt": ["apt-get", "download", "-qq", f"{name}={version}"],
    }  # fmt: skip
    result = subprocess.run(commands[package["client"]], cwd=archives, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(
            f"corpus: {package['client']} could not fetch {name} {version}: {result.stderr.strip()[-400:]}\n"
            "Change or remove its line in specdiff_train/packages.json and run the stage again."
        )
    for archive in archives.iterdir():
        unpack(archive, folder)
    shutil.rmtree(archives)
    write_text(folder / ".complete", version)
    print(f"corpus: {name} {version}", flush=True)
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a wheel, an npm tarball or a Debian package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    elif archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")


def source_files(folder: Path, package: dict[str, Any], seen: set[bytes]) -> Iterator[dict[str, Any]]:
    """Readable sources of a package, in a fixed shuffled order; skips minified, generated and repeated files."""
    paths = [Path(root) / name for root, _, names in os.walk(folder) for name in names]
    paths.sort(key=lambda p: hashlib.sha256(str(p.relative_to(folder)).encode()).digest())
    prose = bool(package.get("prose"))
    for path in paths:
        language = LANGUAGES.get(path.suffix)
        relative = str(path.relative_to(folder))
        if language is None or path.is_symlink() or not usable_path(relative, language, prose):
            continue
        text = read_text(path)
        if text is None or not usable_text(text, prose):
            continue
        # Test and validation packages stay as they are, since figures are compared over the years.
        if language == "javascript" and package["split"] == "train" and any(mark in text for mark in COMPILED):
            continue
        digest = hashlib.sha256(text[:3000].encode()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        yield {
            "language": "prose" if prose else language,
            "package": package["name"],
            "licence": package["licence"],
            "path": relative,
            "text": text,
        }


def usable_path(path: str, language: str, prose: bool) -> bool:
    """Leave out build products, licences and, outside prose packages, plain text."""
    low = path.lower()
    if any(
        part in low
        for part in (".min.", "/dist/", "/build/", "node_modules", "license", "copyright", ".d.ts", "authors")
    ):
        return False
    if prose:
        return language == "prose" and "readme" not in low
    return language != "prose" and not (language == "python" and "/migrations/" in low)


def read_text(path: Path) -> str | None:
    """The file's text, or None where it isn't UTF-8 text of a sensible size."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            import gzip

            data = gzip.decompress(data)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError, EOFError):
        return None
    return text.replace("\r\n", "\n")


def usable_text(text: str, prose: bool) -> bool:
    """Size and line length within bounds, no NUL; prose may be a whole book."""
    if len(text) < MIN_BYTES or "\0" in text or (not prose and len(text) > MAX_BYTES):
        return False
    return prose or max(map(len, text[:20_000].split("\n"))) <= MAX_LINE
