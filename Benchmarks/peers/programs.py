"""The programs that are compared: each has a target that stays, and initiators that move bytes to or from it."""

import dataclasses
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

import control

HERE = pathlib.Path(__file__).resolve().parent
# A program that says nothing for so long after its work should be done, in seconds, is broken.
PATIENCE = 60


class ProgramFailed(Exception):
    """A program did not do its work; the text says what it printed last."""


class NothingMoved(Exception):
    """A run was over before it began: the host was busy with something else."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What an initiator does: `threads` threads, each with one batch of `batch` blocks of `block` bytes at a time."""

    operation: str
    block: int
    batch: int
    threads: int
    seconds: int
    # Whether no block lies beside the one before it, so that nothing is merged. Moonrail's bench alone has the choice.
    scattered: bool = False

    @property
    def bytes(self):
        """What the threads together use of a buffer."""
        return self.block * self.batch * self.threads

    def with_threads(self, threads):
        return dataclasses.replace(self, threads=threads)

    @property
    def name(self):
        """Without the threads, for where programs have different ones."""
        return f"{self.operation} {size(self.block)} x {self.batch}"

    def __str__(self):
        return f"{self.name}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def remove_shared_memory(process):
    """What the shm provider of a process that ended without closing leaves: 16 MiB a NIC of this host's memory.

    Only of processes that were started here: which of the others live, a container that shares /dev/shm cannot see.
    """
    for file in pathlib.Path("/dev/shm").glob(f"{process}[:-]*"):
        file.unlink(missing_ok=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def size(count):
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count >> shift} {unit}"
    return f"{count} B"


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a run has shown. Processor seconds are those of both sides, the initiator's start included."""

    bytes_per_second: float
    processor_seconds_per_gb: float
    # Of one batch, in seconds; None where the program does not say.
    p50: float | None = None
    p99: float | None = None
    # Everything that a program has printed as JSON.
    details: dict | None = None


class Program:
    """Subclasses say which commands are the target and the initiator, and what the initiator's output means."""

    # Runs after which the target is started anew: providers keep what peers that have ended have left behind.
    RUNS_PER_TARGET = 8

    def __init__(self, name, log, environment=None):
        self.name = name
        self.log = open(log, "ab")
        self.variables = environment or {}
        self.target = None
        self.runs = 0

    def launch(self, command):
        return subprocess.Popen(
            [str(word) for word in command], env={**os.environ, **self.variables}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def start(self, command, listening):
        """Starts the target; returns the match of `listening` in what it prints, on either stream."""
        self.stop()
        self.target, self.runs = self.launch(command), 0
        os.set_blocking(self.target.stdout.fileno(), False)
        deadline, text = time.monotonic() + PATIENCE, b""
        while not (match := re.search(listening, text)):
            if time.monotonic() > deadline or self.target.poll() is not None:
                raise ProgramFailed(f"{self.name}: the target did not start: {last_lines(text)}")
            if select.select([self.target.stdout], [], [], 1)[0]:
                text += self.target.stdout.read(65536) or b""
        self.log.write(text)
        return match

    def begin(self):
        """Subclasses start their target here."""

    def run(self, seconds, command):
        """Runs an initiator to its end. Returns its output and the processor seconds of both sides."""
        if self.target is None or self.runs >= self.RUNS_PER_TARGET:
            self.begin()
        # A target that polls takes a core from whoever's turn it is: it stands still unless it is its own.
        self.target.send_signal(signal.SIGCONT)
        try:
            return self.run_beside_target(seconds, command() if callable(command) else command)
        finally:
            self.runs += 1
            if self.target.poll() is None:
                # A target that fills a pipe that nobody reads would stop.
                self.target.stdout.read()
                self.target.send_signal(signal.SIGSTOP)

    def run_beside_target(self, seconds, command):
        before = processor_seconds(self.target.pid)
        text, usage = self.finish(self.launch(command), seconds)
        return text, usage.ru_utime + usage.ru_stime + processor_seconds(self.target.pid) - before

    def finish(self, initiator, seconds):
        """Waits for the end of a process; returns its output and what it has used."""
        deadline, output = time.monotonic() + seconds + PATIENCE, b""
        try:
            while select.select([initiator.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                part = os.read(initiator.stdout.fileno(), 65536)
                if not part:
                    break
                output += part
            else:
                initiator.kill()
        except KeyboardInterrupt:
            initiator.kill()
            raise
        _, status, usage = os.wait4(initiator.pid, 0)
        initiator.returncode = os.waitstatus_to_exitcode(status)
        initiator.stdout.close()
        remove_shared_memory(initiator.pid)
        self.log.write(output)
        self.log.flush()
        if initiator.returncode != 0:
            raise ProgramFailed(
                f"{self.name}: the initiator ended with {initiator.returncode}: {last_lines(output)}"
            )
        return output.decode(errors="replace"), usage

    def stop(self):
        if self.target:
            self.target.send_signal(signal.SIGCONT)
            self.target.terminate()
            try:
                self.target.wait(5)
            except subprocess.TimeoutExpired:
                self.target.kill()
                self.target.wait()
            self.target.stdout.close()
            remove_shared_memory(self.target.pid)
            self.target = None

    def close(self):
        self.stop()
        self.log.close()


def last_lines(output):
    lines = output.decode(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-2:])[-300:] or "it printed nothing"


def processor_seconds(process):
    # The command's name, the second field, may have spaces in it.
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def last_object(text):
    """The JSON object at the end of a program's output."""
    begin = 0 if text.startswith("{") else text.rfind("\n{") + 1
    return json.loads(text[begin:])


def sample(bytes_per_second, seconds, processor, p50=None, p99=None, details=None):
    if bytes_per_second <= 0:
        raise NothingMoved
    return Sample(bytes_per_second, processor / (bytes_per_second * seconds / 1e9), p50, p99, details)


class Engine(Program):
    """What the benches of both engines have in common: their flags."""

    LISTENING = rb"listening on (127\.0\.0\.1:\d+)"

    def __init__(self, name, log, bench, buffer, protocol, environment):
        super().__init__(name, log, environment)
        self.buffer = buffer
        self.protocol = protocol
        self.bench = [
            *bench, f"--protocol={protocol}", "--metadata_server=P2PHANDSHAKE", "--local_server_name=127.0.0.1",
        ]  # fmt: skip

    def begin(self):
        match = self.start([*self.bench, "--mode=target", f"--buffer_size={self.buffer}"], self.LISTENING)
        self.segment = match.group(1).decode()
        # Upstream says that it listens before its memory is registered, and its initiator crashes where there is none.
        if not control.wait_for_memory(self.segment, PATIENCE):
            raise ProgramFailed(f"{self.name}: the target has registered no memory within {PATIENCE} s")

    def initiator(self, load):
        return [
            *self.bench, "--mode=initiator", f"--segment_id={self.segment}", f"--operation={load.operation}",
            f"--block_size={load.block}", f"--batch_size={load.batch}", f"--threads={load.threads}",
            f"--duration={load.seconds}", f"--buffer_size={load.bytes}",
        ]  # fmt: skip


class Moonrail(Engine):
    """`moonrail bench`, of this build or of another one, with these settings."""

    def __init__(self, name, log, binary, buffer, protocol="tcp", environment=None, flags=()):
        super().__init__(name, log, [binary, "bench", *flags], buffer, protocol, environment)
        self.binary = binary

    def initiator(self, load):
        return [*super().initiator(load), "--json", *(["--scatter"] if load.scattered else [])]

    def measure(self, load):
        text, processor = self.run(load.seconds, lambda: self.initiator(load))
        result = last_object(text)
        latency = result["batch_latency_us"]
        return sample(
            result["throughput_bytes_per_s"], result["duration_s"], processor, latency["p50"] / 1e6,
            latency["p99"] / 1e6, result,
        )  # fmt: skip

    def verify(self, load):
        """The same load with every byte checked, which takes no part in what is measured."""
        load = dataclasses.replace(load, seconds=1)
        text, _ = self.run(load.seconds, lambda: [*self.initiator(load), "--verify"])
        if last_object(text).get("verified_bytes", 0) < load.bytes:
            raise ProgramFailed(f"{self.name}: {load}: not every byte was verified")


class Upstream(Engine):
    """`transfer_engine_bench` of a virtual environment with upstream's wheel."""

    # Seconds after which its NICs are connected to all of the target's.
    CONNECTING = 2
    RESULT = re.compile(r"duration ([0-9.]+), batch count (\d+), throughput")

    def __init__(self, name, log, environment, buffer, libraries, protocol="tcp", variables=None):
        # Without libprefault upstream's bench sends memory that was never touched: one page of zeros, which is in the
        # cache.
        preload = [f"{libraries}/libprefault.so"]
        forced = {"MC_FORCE_TCP": "1"} if protocol == "tcp" else {}
        if protocol == "efa":
            preload.append(f"{libraries}/libfakeibv.so")
        variables = {**(variables or {}), **forced, "LD_PRELOAD": " ".join(preload)}
        # The script in bin would start this one as a child, whose processor time nobody here would see.
        found = list(pathlib.Path(environment).glob("lib/python3*/site-packages/mooncake/transfer_engine_bench"))
        if not found:
            raise ProgramFailed(f"upstream: there is no transfer_engine_bench in {environment}")
        super().__init__(name, log, [found[0]], buffer, protocol, variables)
        self.python = f"{environment}/bin/python"
        self.connects = variables.get("FAKE_EFA_NICS", "1") != "1"

    def once(self, load):
        """Seconds, bytes and processor seconds of one run."""
        text, processor = self.run(load.seconds, lambda: self.initiator(load))
        seconds, batches = self.RESULT.search(text).groups()
        return float(seconds), int(batches) * load.batch * load.block, processor

    def measure_whole(self, load):
        """With the connecting that there is in a run: less than it can, and what tells better from worse."""
        extra = self.CONNECTING if self.connects else 0
        seconds, moved, processor = self.once(dataclasses.replace(load, seconds=load.seconds + extra))
        return sample(moved / seconds, seconds, processor)

    def measure(self, load):
        if not self.connects:
            return self.measure_whole(load)
        # Its bench has no warm-up. What connecting takes is in every run, and goes away in the difference of two.
        shorter = self.once(dataclasses.replace(load, seconds=self.CONNECTING))
        longer = self.once(dataclasses.replace(load, seconds=self.CONNECTING + load.seconds))
        seconds, moved, processor = (more - less for more, less in zip(longer, shorter))
        if seconds < load.seconds / 2 or moved <= 0:
            # A batch takes longer than a run: there is no better number than that of the longer one.
            seconds, moved, processor = longer
        return sample(moved / seconds, seconds, processor)

    def measure_latency(self, load):
        """Its bench has no latencies; a loop in Python, the language that it is used from, has."""
        text, _ = self.run(
            load.seconds,
            lambda: [self.python, HERE / "write_latency.py", self.protocol, self.segment, load.block, load.seconds],
        )
        result = last_object(text)
        return sample(load.block / result["p50_us"] * 1e6, load.seconds, 0, result["p50_us"] / 1e6,
                      result["p99_us"] / 1e6, result)  # fmt: skip


class Iperf(Program):
    """iperf3: what TCP gives a program that only sends, or only throws away what it gets."""

    STREAMS = 4
    RUNS_PER_TARGET = 1 << 30

    def __init__(self, log):
        super().__init__("iperf3", log)
        self.port = str(free_port())

    def begin(self):
        self.start(["iperf3", "--server", "--port", self.port, "--forceflush"], rb"Server listening")

    def measure(self, load):
        command = [
            "iperf3", "--client", "127.0.0.1", "--port", self.port, "--parallel", self.STREAMS, "--json",
            "--length", load.block, "--time", load.seconds,
        ]  # fmt: skip
        if load.operation == "read":
            command.append("--reverse")
        # The server refuses a client until it has done with the one before, which may be after that one's end.
        for _ in range(50):
            text, processor = self.run(load.seconds, command)
            result = json.loads(text)
            if "busy" not in result.get("error", ""):
                break
            time.sleep(0.1)
        if "error" in result:
            raise ProgramFailed(f"iperf3: {load}: {result['error']}")
        total = result["end"]["sum_received"]
        return sample(total["bits_per_second"] / 8, total["seconds"], processor)


class FabricLoop(Program):
    """The plain loop over libfabric of `fabric_loop.c`: what the provider itself gives."""

    def __init__(self, name, log, binary, buffer, environment):
        super().__init__(name, log, environment)
        self.binary = binary
        self.buffer = buffer

    def begin(self):
        match = self.start([self.binary, "target", "efa", self.buffer], rb"listening on (\S+) ")
        self.where = match.group(1).decode()

    def measure(self, load, *how):
        """With "batches" it waits for all of them before it goes on, as the engines' benches do."""
        text, processor = self.run(
            load.seconds,
            lambda: [
                self.binary, load.operation, "efa", self.where, load.block, load.batch, load.batch * load.threads,
                load.seconds, *how,
            ],
        )  # fmt: skip
        result = last_object(text)
        return sample(
            result["bytes"] / result["seconds"], result["seconds"], processor, result.get("p50_us", 0) / 1e6,
            result.get("p99_us", 0) / 1e6, result,
        )  # fmt: skip
