"""Compile the kernels ahead of time: ``python -m agent.core.kernels.build [FOLDER]``.

The extension is put beside this file (or into FOLDER). Where it cannot be built (no C compiler, no
numba) one line says so and the kernels run as plain Python; the exit code is 0 all the same.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from agent.core.kernels import counting
from agent.core.kernels.table import KERNELS, fingerprint

_HERE = Path(__file__).parent
_MODULE = "agent.core.kernels.build"


COMPILERS = ("cc", "gcc", "clang")


def _compile(folder: Path) -> None:
    from numba.pycc import CC

    extension = CC("_compiled", source_module=counting)
    extension.target_cpu = "generic"
    for kernel in KERNELS.values():
        extension.export(kernel.name, kernel.signature)(kernel.function)
    checksum = fingerprint()

    def source_fingerprint() -> int:
        return checksum

    extension.export("source_fingerprint", "i8()")(source_fingerprint)
    with tempfile.TemporaryDirectory(dir=folder, prefix="_building-") as scratch:
        extension.output_dir = scratch
        extension.compile()
        # Renaming spares processes that have the former extension mapped.
        Path(scratch, extension.output_file).replace(folder / extension.output_file)


def build(folder: Path = _HERE) -> str | None:
    """Compile in a process of its own; None when it worked, else why it did not in one line."""
    command = [sys.executable, "-W", "ignore", "-m", _MODULE, "--compile", str(folder)]
    root = _HERE.parents[2]
    done = subprocess.run(  # noqa: S603
        command, cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    if not any(shutil.which(compiler) for compiler in COMPILERS):
        return "no C compiler is installed"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"the compiler ended with {done.returncode}"


def main(arguments: list[str]) -> int:
    """Entry point; always 0 unless called as the inner compiling process."""
    if arguments[:1] == ["--compile"]:
        warnings.simplefilter("ignore")
        _compile(Path(arguments[1]))
        return 0
    reason = build(Path(arguments[0]).resolve() if arguments else _HERE)
    if reason is None:
        sys.stdout.write("kernels: compiled ahead of time\n")
    else:
        sys.stdout.write(f"kernels: not compiled, plain Python instead ({reason})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
