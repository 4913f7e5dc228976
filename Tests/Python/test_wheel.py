"""The wheel as it is installed: scripts, imports, and other distributions in the same place."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sysconfig
import urllib.error
import urllib.request

import pytest

import moonrail
import mooncake

from support import engine_module, run


def script(name):
    return os.path.join(sysconfig.get_path("scripts"), name)


def test_the_metadata_server_takes_upstreams_flags():
    command = [script("mooncake_http_metadata_server"), "--port", "0", "--host", "127.0.0.1", "--log-level", "INFO"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline().startswith("listening on ")
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


def test_the_other_scripts():
    dumped = subprocess.run([script("transfer_engine_topology_dump")], capture_output=True, text=True, timeout=60)
    assert all(len(lists) == 2 for lists in json.loads(dumped.stdout).values())
    version = subprocess.run([script("moonrail"), "--version"], capture_output=True, text=True, timeout=60)
    assert version.stdout.startswith("moonrail ")
    helped = subprocess.run([script("transfer_engine_bench"), "--help"], capture_output=True, text=True, timeout=60)
    assert "segment" in helped.stdout


def test_tcp_needs_no_libfabric():
    done = run(
        "from support import started\n"
        "engine = started()\n"
        "print('libfabric' in open('/proc/self/maps').read())"
    )
    assert done.stdout == "False\n", done.stderr


def test_the_efa_flag_is_what_libfabric_says(fake_efa):
    code = "import mooncake.engine as engine; print(engine.SUPPORT_EFA, engine.SUPPORT_EFA)"
    assert run(code).stdout == "False False\n"
    assert run(code, environment=fake_efa).stdout == "True True\n"


def test_a_distribution_beside_is_named(tmp_path):
    shutil.copytree(pathlib.Path(mooncake.__file__).parent, tmp_path / "mooncake")
    (tmp_path / "mooncake_transfer_engine_non_cuda-0.3.13.dist-info").mkdir()
    done = run("import mooncake.engine", environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
    for words in ("RuntimeWarning", "'moonrail'", "pip uninstall mooncake-transfer-engine-non-cuda"):
        assert words in done.stderr
    assert run("import mooncake.engine").stderr == ""


def test_the_package_says_whose_engine_it_found(tmp_path):
    shutil.copytree(pathlib.Path(moonrail.__file__).parent, tmp_path / "moonrail")
    (tmp_path / "mooncake").mkdir()
    (tmp_path / "mooncake" / "__init__.py").touch()
    (tmp_path / "mooncake" / "engine.py").touch()
    done = run("import moonrail", environment={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "is not Moonrail's" in done.stderr


@pytest.mark.parametrize("name", ["RpcInterface", "CoroRPCInterface", "SharedSegment", "create_rpc_client"])
def test_what_is_missing_says_so(name):
    with pytest.raises(NotImplementedError, match="not part of Moonrail"):
        getattr(engine_module, name)()


def test_the_stub_names_what_there_is():
    import ast

    stub = ast.parse((pathlib.Path(mooncake.__file__).parent / "engine.pyi").read_text())
    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
    methods = {node.name for node in classes["TransferEngine"].body if isinstance(node, ast.FunctionDef)}
    there = {name for name in dir(engine_module.TransferEngine) if not name.startswith("_")}
    assert methods - {"__init__"} == there - {"TransferOpcode"}
    for name in there - {"TransferOpcode"}:
        assert getattr(engine_module.TransferEngine, name).__doc__, name


@pytest.fixture
def store():
    """The address of a metadata server."""
    command = [script("mooncake_http_metadata_server"), "--port", "0", "--host", "127.0.0.1", "--log-level", "ERROR"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().split()[-1]
        yield address.removeprefix("http://").split("/")[0]
        server.terminate()


PUBLISHED = """
import ctypes, sys, urllib.request
from mooncake.engine import TransferEngine
from support import Memory

memory, engine = Memory(4096), TransferEngine()
# One that nobody lets go of.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
if sys.argv[2] == "http":
    code = engine.initialize_ext("127.0.0.1:7", sys.argv[1] + "/metadata", "tcp", "", "http")
else:
    code = engine.initialize("127.0.0.1:7", f"http://{sys.argv[1]}/metadata", "tcp", "")
assert code == 0 and engine.register_memory(memory.address, 4096) == 0
# Its own name is not looked up in the store, another engine's is.
other = TransferEngine()
assert other.initialize("127.0.0.1:8", f"http://{sys.argv[1]}/metadata", "tcp", "") == 0
assert other.get_first_buffer_address("127.0.0.1:7") == memory.address
keys = ["mooncake/rpc_meta/127.0.0.1:7", "mooncake/ram/127.0.0.1:7"]
print(*(urllib.request.urlopen(f"http://{sys.argv[1]}/metadata?key={key}").status for key in keys))
"""


@pytest.mark.parametrize("kind", ["http", "url"])
def test_an_exit_withdraws_from_the_store(store, kind):
    """The engines are alive when the interpreter ends, and are stopped by it."""
    done = run(PUBLISHED, store, kind)
    assert done.stdout == "200 200\n", done.stderr
    for key in ("rpc_meta/127.0.0.1:7", "ram/127.0.0.1:7"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{store}/metadata?key=mooncake/{key}")
