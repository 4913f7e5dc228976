"""Upstream's bench against ours in both roles, and validators that compare what comes back, in both directions."""

from peers import PeerFailure
from programs import Program
from results import OK, does_not_apply, failed

LISTENING = r"listening on (\S+:\d+)"
COMPLETED = r"Test completed: duration [\d.]+, batch count (\d+), throughput ([\d.]+) GB/s"
BUFFER = 256 << 20
SECONDS = 2


def bench(program, setting, role):
    return [
        *program,
        f"--mode={role}",
        f"--protocol={setting.protocol}",
        "--metadata_server=P2PHANDSHAKE",
        "--local_server_name=127.0.0.1",
        f"--buffer_size={BUFFER}",
    ]


def load(target):
    return [
        f"--segment_id={target}",
        f"--duration={SECONDS}",
        "--threads=4",
        "--batch_size=32",
        "--block_size=65536",
    ]


def completed(program):
    """Ends well, says upstream's result line, and has moved something."""
    code = program.finish()
    if code != 0:
        return failed(f"exit code {code}: {program.last_line()}")
    match = program.expect(COMPLETED)
    return OK if int(match[1]) > 0 else failed("no batch was completed")


class Runs:
    def __init__(self, options, results, setting):
        self.options = options
        self.results = results
        self.setting = setting

    def program(self, who, arguments, role):
        """`who` is "Moonrail" or "upstream"."""
        environment = self.setting.environment if who == "Moonrail" else self.setting.upstream_environment
        log = self.options.work / f"{role}-{who.lower()}-{self.setting.protocol}-{self.setting.version}.log"
        return Program(arguments, environment, log)

    def tool(self, who, command="bench"):
        return [self.options.moonrail, command] if who == "Moonrail" else [self.setting.bench]

    def attempt(self, initiator, column, what, body):
        try:
            outcome = body()
        except PeerFailure as failure:
            outcome = failed(failure)
        self.results.record(self.setting.key(initiator == "Moonrail"), column, what, outcome)

    def bench(self, initiator, operation):
        target = "upstream" if initiator == "Moonrail" else "Moonrail"
        with self.program(target, bench(self.tool(target), self.setting, "target"), "target") as listener:
            name = listener.expect(LISTENING)[1]
            command = bench(self.tool(initiator), self.setting, "initiator")
            command += [*load(name), f"--operation={operation}"]
            # Ours fills, fetches back and compares; upstream's looks at no byte.
            command += ["--verify"] if initiator == "Moonrail" else []
            with self.program(initiator, command, "bench") as running:
                return completed(running)

    def validate_ours(self):
        """Our validator against upstream's bench as the target."""
        with self.program("upstream", bench(self.tool("upstream"), self.setting, "target"), "target") as listener:
            name = listener.expect(LISTENING)[1]
            command = bench(self.tool("Moonrail", "validate"), self.setting, "initiator") + load(name)
            with self.program("Moonrail", command, "validate") as running:
                outcome = completed(running)
                if outcome == OK:
                    running.expect("Data validation passed")
                return outcome

    def validate_upstream(self):
        """The wheels have no validator: their engine, driven to do what one does, against our bench as the target."""
        with self.program("Moonrail", bench(self.tool("Moonrail"), self.setting, "target"), "target") as listener:
            name = listener.expect(LISTENING)[1]
            peer = self.setting.upstream(self.options, BUFFER)
            try:
                reply = peer.ask(f"validate {name} {SECONDS} 65536 128")
                return OK if reply.startswith("ok") else failed(reply)
            finally:
                peer.close()


def run(options, results, setting):
    runs = Runs(options, results, setting)
    if setting.bench is None:
        for initiator in ("Moonrail", "upstream"):
            runs.attempt(initiator, "bench", "", lambda: does_not_apply("this wheel has no bench"))
        return
    for initiator in ("Moonrail", "upstream"):
        for operation in ("write", "read"):
            runs.attempt(initiator, "bench", operation, lambda: runs.bench(initiator, operation))
    runs.attempt("Moonrail", "validate", "", runs.validate_ours)
    runs.attempt("upstream", "validate", "", runs.validate_upstream)
