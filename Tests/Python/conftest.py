"""Says what the module under test is, and gives the processes that the tests need."""

import os
import pathlib

import pytest

from support import IS_UPSTREAM, ROOT, engine_module

#: What tests of Moonrail alone are in; upstream's module runs the contract only.
CONTRACT = "test_contract.py"


def pytest_report_header(config):
    return f"mooncake.engine: {'upstream' if IS_UPSTREAM else 'moonrail'} from {engine_module.__file__}"


def pytest_ignore_collect(collection_path, config):
    return True if IS_UPSTREAM and collection_path.suffix == ".py" and collection_path.name != CONTRACT else None


def required(name):
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: run the tests by scripts/test-python.sh")
    return pathlib.Path(value)


@pytest.fixture(scope="session")
def fake_efa():
    """The variables with which a process sees 4 EFA devices."""
    import peers

    return peers.fake_efa(required("MOONRAIL_FAKE_EFA"), 4)


@pytest.fixture(scope="session")
def upstream():
    """Upstream's interpreters by protocol, and what the EFA one needs beside the devices."""
    return {
        "tcp": (required("MOONRAIL_TEST_UPSTREAM_TCP"), {}),
        "efa": (
            required("MOONRAIL_TEST_UPSTREAM_EFA"),
            {"LD_PRELOAD": str(required("MOONRAIL_FAKE_EFA") / "libfakeibv.so")},
        ),
    }
