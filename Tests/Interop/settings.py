"""Which builds of upstream are met over which protocol, and what is different about each."""

import dataclasses
import pathlib

from peers import fake_efa, ours, upstream

# A busy host may take its time.
PATIENCE = {"MC_TRANSFER_TIMEOUT": "150"}

LATE = (
    "its TCP framing acknowledges no writes and it reports them done before they have arrived; the bytes at the far end"
    " are waited for, 60 s at most, and what is larger than the memory is written in batches that are not"
)
QUEUE = (
    "runs with MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER=4096; by default it fails a batch of more than 2048 requests and one"
    " per connection"
)


@dataclasses.dataclass
class Setting:
    title: str
    protocol: str
    version: str
    python: str
    environment: dict
    upstream_environment: dict
    has_warmup: bool = False
    has_probe: bool = True
    # Whether upstream's writes are at the far end when it says that they are done.
    acknowledges: bool = True
    note: str = ""

    def key(self, moonrail_initiates, suffix=""):
        return (self.title + suffix, self.version, "Moonrail" if moonrail_initiates else "upstream")

    def ours(self, options, buffer, extra=(), environment=None):
        log = options.work / f"ours-{self.protocol}.log"
        return ours(options.peer, self.protocol, buffer, log, {**self.environment, **(environment or {})}, extra)

    def upstream(self, options, buffer, extra=(), environment=None):
        late = [] if self.acknowledges else ["--late"]
        log = options.work / f"upstream-{self.protocol}-{self.version}.log"
        environment = {**self.upstream_environment, **(environment or {})}
        return upstream(self.python, self.protocol, buffer, log, environment, [*late, *extra])

    @property
    def bench(self):
        """The bench that is part of the wheel."""
        root = pathlib.Path(self.python).parent.parent
        found = sorted(root.glob("lib/python3*/site-packages/mooncake/transfer_engine_bench"))
        return str(found[0]) if found else None


def settings(options):
    found = []
    if options.efa:
        environment = {**fake_efa(options.fake_efa, 4), **PATIENCE}
        preload = {"LD_PRELOAD": f"{options.fake_efa}/libfakeibv.so"}
        found.append(
            Setting(
                "efa", "efa", "0.3.13.post1", options.efa, environment, {**environment, **preload}, has_warmup=True
            )
        )
    forced = {**PATIENCE, "MC_FORCE_TCP": "1"}
    if options.tcp:
        wide = {**forced, "MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER": "4096"}
        found.append(Setting("tcp", "tcp", "0.3.13.post1", options.tcp, PATIENCE, wide, note=QUEUE))
    if options.tcp_old:
        found.append(
            Setting(
                "tcp",
                "tcp",
                "0.3.10.post2",
                options.tcp_old,
                PATIENCE,
                forced,
                has_probe=False,
                acknowledges=False,
                note=LATE,
            )
        )
    return found
