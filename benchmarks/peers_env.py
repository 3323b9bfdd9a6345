"""Makes an environment of its own for the peers, so that the package never depends on them, and runs programs in it.

    python benchmarks/peers_env.py                            # make it, or bring it up to date: .venv-peers
    python benchmarks/peers_env.py benchmarks/growth.py       # and run a program there, with its arguments
    python benchmarks/peers_env.py benchmarks/peers_models.py --write

The environment is made anew when the list of packages below changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("PEERS_VENV", ROOT / ".venv-peers"))
PACKAGES = (
    "langmem>=0.0.30",
    "langchain>=1.4.7,<2",
    "deepagents>=0.7",
    "langchain-classic>=1.0",
    "langchain-community>=0.4",
    "langchain-deepseek>=1.1",
    "langchain-qwq>=0.3.5",
    "langchain-tests>=1.1.9,<2",
    "pytest-asyncio>=1.3",
    "pytest-timeout>=2.3",
    "matplotlib>=3.10",
)


def python() -> Path:
    return HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure() -> Path:
    """The environment's Python; it is made, or brought up to date, where it is not."""
    mark, wanted = HOME / "packages.txt", "\n".join(PACKAGES)
    if python().exists() and mark.exists() and mark.read_text() == wanted:
        return python()
    print(f"Installing the peers into {HOME} (once; some minutes) ...", flush=True)
    if not python().exists():
        venv.create(HOME, with_pip=True)
    install = [str(python()), "-m", "pip", "install", "--quiet", "--editable", str(ROOT), *PACKAGES]
    subprocess.run(install, check=True)
    mark.write_text(wanted)
    return python()


def main() -> None:
    if sys.argv[1:] in (["--help"], ["-h"]):
        print(__doc__)
        return
    made = ensure()
    if sys.argv[1:]:
        sys.exit(subprocess.run([str(made), *sys.argv[1:]], check=False).returncode)
    print(f"The peers are in {HOME}")


if __name__ == "__main__":
    main()
