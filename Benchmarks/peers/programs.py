"""The programs that are compared: each has a target that stays, and initiators that move bytes to or from it."""

import dataclasses
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
# A program that says nothing for so long after its work should be done, in seconds, is broken.
PATIENCE = 30


@dataclasses.dataclass(frozen=True)
class Load:
    """What an initiator does: `threads` threads, each with one batch of `batch` blocks of `block` bytes at a time."""

    operation: str
    block: int
    batch: int
    threads: int
    seconds: int

    def __str__(self):
        size = f"{self.block >> 20} MiB" if self.block >= 1 << 20 else f"{self.block >> 10} KiB"
        return f"{self.operation} {size} x {self.batch}, {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a run has shown. Processor seconds are those of both sides, the initiator's start included."""

    bytes_per_second: float
    processor_seconds_per_gb: float
    # Of one batch, in seconds; None where the program does not say.
    median_latency: float | None = None


class Program:
    """Subclasses say which commands are the target and the initiator, and what the initiator's output means."""

    def __init__(self, name, log):
        self.name = name
        self.log = open(log, "wb")
        self.target = None

    def environment(self):
        return {}

    def launch(self, command, **streams):
        return subprocess.Popen(command, env={**os.environ, **self.environment()}, **streams)

    def start(self, command, listening):
        """Starts the target; returns the match of `listening` in what it prints, on either stream."""
        self.target = self.launch(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.target.stdout.fileno(), False)
        deadline, text = time.monotonic() + PATIENCE, b""
        while not (match := re.search(listening, text)):
            if time.monotonic() > deadline or self.target.poll() is not None:
                raise SystemExit(f"{self.name}: the target did not start: {text.decode(errors='replace')[-2000:]}")
            if select.select([self.target.stdout], [], [], 1)[0]:
                text += self.target.stdout.read(65536) or b""
        return match

    def run(self, load, command):
        """Runs an initiator to its end. Returns its output and the processor seconds of both sides."""
        before = processor_seconds(self.target.pid)
        initiator = self.launch(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline, output = time.monotonic() + load.seconds + PATIENCE, b""
        while select.select([initiator.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            part = os.read(initiator.stdout.fileno(), 65536)
            if not part:
                break
            output += part
        else:
            initiator.kill()
        _, status, usage = os.wait4(initiator.pid, 0)
        initiator.returncode = os.waitstatus_to_exitcode(status)
        initiator.stdout.close()
        self.log.write(output)
        text = output.decode(errors="replace")
        if initiator.returncode != 0:
            raise SystemExit(f"{self.name}: {load}: the initiator ended with {initiator.returncode}: {text[-2000:]}")
        # A target that fills a pipe that nobody reads would stop.
        self.target.stdout.read()
        return text, usage.ru_utime + usage.ru_stime + processor_seconds(self.target.pid) - before

    def close(self):
        if self.target:
            self.target.terminate()
            try:
                self.target.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.target.kill()
                self.target.wait()
        self.log.close()


def processor_seconds(process):
    # The command's name, the second field, may have spaces in it.
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class NothingMoved(Exception):
    """A run was over before it began: the host was busy with something else."""


def sample(bytes_per_second, seconds, processor, latency=None):
    if bytes_per_second <= 0:
        raise NothingMoved
    return Sample(bytes_per_second, processor / (bytes_per_second * seconds / 1e9), latency)


class Engine(Program):
    """What the benches of both engines have in common: their flags."""

    LISTENING = rb"listening on (127\.0\.0\.1:\d+)"

    def __init__(self, name, log, bench, buffer):
        super().__init__(name, log)
        self.bench = [
            *bench, "--protocol=tcp", "--metadata_server=P2PHANDSHAKE", "--local_server_name=127.0.0.1",
            f"--buffer_size={buffer}",
        ]  # fmt: skip
        self.segment = self.start([*self.bench, "--mode=target"], self.LISTENING).group(1).decode()

    def initiator(self, load):
        return [
            *self.bench, "--mode=initiator", f"--segment_id={self.segment}", f"--operation={load.operation}",
            f"--block_size={load.block}", f"--batch_size={load.batch}", f"--threads={load.threads}",
            f"--duration={load.seconds}",
        ]  # fmt: skip


class Moonrail(Engine):
    """`moonrail bench`, of this build or of another one, with these settings."""

    def __init__(self, name, log, binary, buffer, settings=None):
        self.settings = settings or {}
        super().__init__(name, log, [binary, "bench"], buffer)

    def environment(self):
        return self.settings

    def measure(self, load):
        text, processor = self.run(load, [*self.initiator(load), "--json"])
        result = json.loads(text[text.index("\n{") :] if "\n{" in text else text)
        return sample(
            result["throughput_bytes_per_s"], result["duration_s"], processor, result["batch_latency_us"]["p50"] / 1e6
        )


class Upstream(Engine):
    """`transfer_engine_bench` of a virtual environment with upstream's wheel."""

    RESULT = re.compile(r"duration ([0-9.]+), batch count (\d+), throughput")

    def __init__(self, name, log, environment, buffer, prefault):
        self.python = f"{environment}/bin/python"
        # Without it upstream's bench sends memory that was never touched: one page of zeros, which is in the cache.
        self.prefault = prefault
        super().__init__(name, log, [f"{environment}/bin/transfer_engine_bench"], buffer)

    def environment(self):
        return {"MC_FORCE_TCP": "1", "LD_PRELOAD": str(self.prefault)}

    def measure(self, load):
        text, processor = self.run(load, self.initiator(load))
        seconds, batches = self.RESULT.search(text).groups()
        return sample(int(batches) * load.batch * load.block / float(seconds), float(seconds), processor)

    def measure_latency(self, load):
        """Its bench has no latencies; a loop in Python, the language that it is used from, has."""
        command = [self.python, str(HERE / "upstream_latency.py"), self.segment, str(load.block), str(load.seconds)]
        text, _ = self.run(load, command)
        return float(re.search(r"median ([0-9.e-]+) s", text).group(1))


class Iperf(Program):
    """iperf3: what TCP gives a program that only sends, or only throws away what it gets."""

    STREAMS = 4

    def __init__(self, log):
        super().__init__("iperf3", log)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = str(probe.getsockname()[1])
        self.start(["iperf3", "--server", "--port", self.port, "--forceflush"], rb"Server listening")

    def measure(self, load):
        command = [
            "iperf3", "--client", "127.0.0.1", "--port", self.port, "--parallel", str(self.STREAMS), "--json",
            "--length", str(load.block), "--time", str(load.seconds),
        ]  # fmt: skip
        if load.operation == "read":
            command.append("--reverse")
        # The server refuses a client until it has done with the one before, which may be after that one's end.
        for _ in range(50):
            text, processor = self.run(load, command)
            result = json.loads(text)
            if "busy" not in result.get("error", ""):
                break
            time.sleep(0.1)
        if "error" in result:
            raise SystemExit(f"iperf3: {load}: {result['error']}")
        total = result["end"]["sum_received"]
        return sample(total["bits_per_second"] / 8, total["seconds"], processor)
