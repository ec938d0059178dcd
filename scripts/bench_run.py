"""Runs the benchmarks of scripts/benchmarks, each in a process and an environment of its own.

A benchmark is a module with `run(short: bool) -> list[row]`; a row holds `what, value, unit, rival,
bar, ok`. Its constant ENVIRONMENT names where it runs: "demo" (the default: .venv), "runtime" (the
product's own dependencies and nothing else, .venv-runtime) or "bench" (with rivals, .venv-bench).
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "scripts" / "benchmarks"
FOLDERS = {"demo": ".venv", "runtime": ".venv-runtime", "bench": ".venv-bench"}
COLUMNS = ("what", "value", "unit", "rival", "bar", "ok")

Row = dict[str, Any]


def benchmark_names() -> list[str]:
    return sorted(path.stem for path in BENCHMARKS.glob("*.py") if not path.stem.startswith("_"))


def environment_of(name: str) -> str:
    """The environment a benchmark asks for, read without importing it."""
    tree = ast.parse((BENCHMARKS / f"{name}.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == [
            "ENVIRONMENT"
        ]:
            return str(ast.literal_eval(node.value))
    return "demo"


def interpreter_of(environment: str) -> str:
    """Path of the environment's interpreter, prepared where it is missing."""
    if environment not in FOLDERS:
        raise SystemExit(f"bench: unknown ENVIRONMENT {environment!r}; one of {', '.join(FOLDERS)}")
    folder = FOLDERS[environment]
    if environment != "demo":
        settings = {**os.environ, "TANSHU_VENV": folder}
        subprocess.run([str(ROOT / "scripts/setup"), environment], check=True, env=settings)
    return str(ROOT / folder / "bin" / "python")


def machine() -> str:
    """Processor, cores and interpreter, for whoever compares figures."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def run_here(path: Path, short: bool, output: Path) -> None:
    """Imports and runs one benchmark in this process; its rows go to `output` as JSON."""
    sys.path.insert(0, str(ROOT))
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"bench: {path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    takes_short = "short" in inspect.signature(module.run).parameters
    rows = module.run(short=short) if takes_short else module.run()
    output.write_text(json.dumps([{column: row.get(column) for column in COLUMNS} for row in rows]))


def run_apart(name: str, short: bool) -> list[Row] | None:
    """Rows of one benchmark run in its own process; None if it broke."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rows.json"
        command = [interpreter_of(environment_of(name)), __file__, "--here", str(output)]
        command += ["--short"] if short else []
        command += [str(BENCHMARKS / f"{name}.py")]
        # What a benchmark prints goes beside the table, never into the JSON.
        finished = subprocess.run(command, cwd=ROOT, stdout=sys.stderr)
        if finished.returncode != 0 or not output.exists():
            return None
        rows: list[Row] = json.loads(output.read_text())
        return rows


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "held" if value else "MISSED"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_table(name: str, rows: list[Row]) -> None:
    cells = [list(COLUMNS), *([_cell(row[column]) for column in COLUMNS] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(COLUMNS))]
    print(f"{name} ({machine()})")
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Benchmarks and their bars.")
    parser.add_argument("name", nargs="?", help="a benchmark, or 'all'; without it they are listed")
    parser.add_argument("--json", action="store_true", help="one JSON object per benchmark")
    parser.add_argument("--short", action="store_true", help="a quick look with small sizes")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here is not None:
        run_here(Path(arguments.name), arguments.short, arguments.here)
        return 0
    known = benchmark_names()
    if arguments.name is None:
        print("\n".join(known) if known else "there is no benchmark yet")
        return 0
    names = known if arguments.name == "all" else [arguments.name]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(known) or 'none'}")
    broken = missed = False
    for name in names:
        rows = run_apart(name, arguments.short)
        if rows is None:
            print(f"bench: {name} broke; its message stands above", file=sys.stderr)
            broken = True
            continue
        missed = missed or any(row["ok"] is False for row in rows)
        if arguments.json:
            print(json.dumps({"name": name, "machine": machine(), "rows": rows}), flush=True)
        else:
            print_table(name, rows)
    if broken:
        return 1
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
