"""Brings the locked wheels of a target machine into buildroot/wheelhouse, with the product's own.

    .venv/bin/python scripts/fetch_wheels.py aarch64

Only what the running gateway needs: no compiler, no build tools. Every file is checked against
the hash in requirements.txt.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.txt"
WHEELHOUSE = ROOT / "buildroot" / "wheelhouse"

# Kernels are compiled before the image is made, and nothing is installed on a running image.
NOT_IN_THE_IMAGE = frozenset(
    {
        *("numba", "llvmlite"),
        *("hatchling", "editables", "setuptools", "pathspec", "trove-classifiers"),
        "pip",
    }
)


def target_environment(machine: str, python: str) -> dict[str, str]:
    """Marker variables of the machine the image is for."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }


def requirements_for(lock: str, machine: str, python: str) -> list[str]:
    """Locked lines, each with its hashes, that the target machine needs."""
    environment = target_environment(machine, python)
    wanted: list[str] = []
    for line in lock.replace("\\\n", " ").splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==[^\s;]+", line)
        if match is None or match[1].lower() in NOT_IN_THE_IMAGE:
            continue
        pinned, _, hashes = line.partition("--hash=")
        requirement, _, marker = pinned.partition(";")
        if marker.strip() and not Marker(marker.strip()).evaluate(environment):
            continue
        wanted.append(f"{requirement.strip()} --hash={hashes.strip()}")
    return wanted


def fetch(machine: str, python: str) -> None:
    """Downloads the locked wheels of the target and builds the product's own."""
    digits = python.replace(".", "")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    download = [*pip, "download", "--quiet", "--no-deps", "--require-hashes"]
    download += ["--only-binary=:all:", f"--python-version={python}", "--implementation=cp"]
    download += [f"--platform={name}_{machine}" for name in ("manylinux_2_28", "manylinux2014")]
    download += [f"--abi={name}" for name in (f"cp{digits}", "abi3", "none")]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("\n".join(requirements_for(LOCK.read_text("utf-8"), machine, python)))
        subprocess.run([*download, f"--dest={WHEELHOUSE}", f"--requirement={wanted}"], check=True)
    own = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # The build hook would compile kernels for this machine, not for the image's.
    plain = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true"}
    subprocess.run([*own, f"--wheel-dir={WHEELHOUSE}", str(ROOT)], check=True, env=plain)


def main() -> int:
    parser = argparse.ArgumentParser(description="Wheels of the target machine for the image.")
    parser.add_argument("machine", choices=("aarch64", "x86_64"))
    parser.add_argument("--python", default="3.14", help="the image's Python (default 3.14)")
    arguments = parser.parse_args()
    WHEELHOUSE.mkdir(exist_ok=True)
    for old in WHEELHOUSE.glob("*.whl"):
        old.unlink()
    try:
        fetch(arguments.machine, arguments.python)
    except subprocess.CalledProcessError as error:
        print(f"fetch_wheels: pip {error.cmd[4]} failed; its message stands above", file=sys.stderr)
        return 1
    count = len(list(WHEELHOUSE.glob("*.whl")))
    print(f"{count} wheels for {arguments.machine}, Python {arguments.python}, in {WHEELHOUSE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
