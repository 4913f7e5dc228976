"""Builds the extension `mooncake.engine` and the command `moonrail` with Swift, and packs both."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
#: The same for all products that carry Swift's runtime, so that they share what is compiled.
SCRATCH = ROOT / ".build" / "static"


def swift():
    """The path of `swift`: on PATH, or where swiftly put it."""
    home = os.environ.get("SWIFTLY_HOME_DIR", str(Path.home() / ".local/share/swiftly"))
    found = shutil.which("swift") or shutil.which("swift", path=os.environ.get("SWIFTLY_BIN_DIR", home + "/bin"))
    if not found:
        raise SystemExit(
            "error: there is no 'swift' on PATH. Moonrail is built with Swift 6.3 or later: get it from "
            "https://www.swift.org/install/linux/, or install a wheel."
        )
    return found


def require_headers(folder):
    """Stops unless the headers of libfabric and of Python are there."""
    source = "#include <rdma/fabric.h>\n"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SystemExit("error: there is no C compiler. On Debian and Ubuntu: apt-get install gcc g++")
    if subprocess.run([compiler, "-E", "-"], input=source, text=True, capture_output=True).returncode != 0:
        raise SystemExit(
            "error: there is no rdma/fabric.h, libfabric's header. On Debian and Ubuntu: apt-get install libfabric-dev;"
            " with the EFA installer: export CPATH=/opt/amazon/efa/include"
        )
    if not (Path(folder) / "Python.h").exists():
        raise SystemExit(f"error: there is no Python.h in {folder}. On Debian and Ubuntu: apt-get install python3-dev")


class SwiftBuild(build_ext):
    """`swift build` in the place of a C compiler."""

    def build_extension(self, extension):
        headers = sysconfig.get_path("include")
        require_headers(headers)
        target = Path(self.get_ext_fullpath(extension.name))
        self.build_product("engine", "libengine.so", target, headers)
        packages = target.parent.parent
        command = (ROOT / "python" if self.inplace else packages) / "moonrail" / "moonrail"
        self.build_product("moonrail", "moonrail", command, headers)

    def build_product(self, product, file, target, headers):
        command = [swift(), "build", "--package-path", str(ROOT), "-c", "release", "--scratch-path", str(SCRATCH)]
        command += ["-Xswiftc", "-static-stdlib"]
        environment = {**os.environ, "MOONRAIL_PYTHON_INCLUDE": headers}
        self.announce(" ".join(command + ["--product", product]), level=2)
        built = subprocess.run(command + ["--product", product], env=environment)
        if built.returncode != 0:
            raise SystemExit(f"error: 'swift build' of {product} failed; its messages are above")
        shown = subprocess.run(
            command + ["--show-bin-path"], env=environment, capture_output=True, text=True, check=True
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        # What only a debugger needs is more than half of it.
        subprocess.run(["strip", "-o", str(target), str(Path(shown.stdout.strip()) / file)], check=True)
        target.chmod(0o755)


setup(
    ext_modules=[Extension("mooncake.engine", sources=[], py_limited_api=True)],
    cmdclass={"build_ext": SwiftBuild},
)
