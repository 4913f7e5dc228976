"""The console scripts: the command `moonrail` under its own name and those of Mooncake's tools."""

import os
import sys


def _run(*first: str) -> None:
    command = os.path.join(os.path.dirname(os.path.abspath(__file__)), "moonrail")
    try:
        os.execv(command, [command, *first, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"{command} cannot be run: {error}. Reinstall the package 'moonrail'.")


def moonrail() -> None:
    """`moonrail`"""
    _run()


def transfer_engine_bench() -> None:
    """`transfer_engine_bench`: `moonrail bench`"""
    _run("bench")


def transfer_engine_topology_dump() -> None:
    """`transfer_engine_topology_dump`: `moonrail topology --json`"""
    _run("topology", "--json")


def mooncake_http_metadata_server() -> None:
    """`mooncake_http_metadata_server`: `moonrail metadata-server`"""
    _run("metadata-server")
