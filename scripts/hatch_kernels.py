"""Build hook: compile the kernels into the wheel, which then belongs to one platform.

Where that fails (no C compiler, no numba) one line says so and the wheel is a plain one. An
editable install is left alone: `python -m agent.core.kernels.build` compiles in a checkout.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("agent", "core", "kernels")


class KernelBuildHook(BuildHookInterface):
    """Adds the compiled extension to a wheel."""

    @property
    def _folder(self) -> Path:
        return Path(self.directory, ".kernels")

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version != "standard":
            return
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "agent.core.kernels.build", str(folder)]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        message = (done.stdout or done.stderr).strip().splitlines()
        self.app.display_info(message[-1] if message else "kernels: not compiled")
        built = [path for path in folder.glob("_compiled*") if path.suffix in {".so", ".pyd"}]
        if built:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            for path in built:
                build_data["force_include"][str(path)] = (KERNELS / path.name).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
