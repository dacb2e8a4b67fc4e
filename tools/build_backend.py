"""meson-python, with editable installs that outlive the environment that built them.

An editable install runs ninja at each import, to rebuild the kernel if its sources have
changed. pip builds in an environment of its own and deletes it, with its ninja, so that
the first import would fail where the system has none. Here ninja is a script that looks
for it whenever it runs. Without ninja it does nothing: the kernel stays as it is.
"""

import os
import shutil
from pathlib import Path

import mesonpy
from mesonpy import (
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

_SCRIPT = """#!/bin/sh
for ninja in "$(command -v ninja)" "$(command -v ninja-build)" "{ninja}"; do
  [ -x "$ninja" ] && exec "$ninja" "$@"
done
exit 0
"""


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, object] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build an editable wheel, as PEP 660 says."""
    ninja = shutil.which("ninja") or shutil.which("ninja-build")
    if os.name == "posix" and ninja and "NINJA" not in os.environ:
        script = Path("build", "ninja-if-there").resolve()
        script.parent.mkdir(exist_ok=True)
        script.write_text(_SCRIPT.format(ninja=ninja))
        script.chmod(0o755)
        os.environ["NINJA"] = str(script)
    return mesonpy.build_editable(wheel_directory, config_settings, metadata_directory)
