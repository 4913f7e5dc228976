"""TCP on loopback: `moonrail bench` beside `transfer_engine_bench` of upstream's TCP wheel, and beside iperf3."""

from programs import Iperf, Load, Moonrail, Upstream
from turns import at_least, at_most, cost, gigabytes, take_turns

BATCH = 32
BLOCKS = (64 << 10, 1 << 20)
THREADS = (1, 4)
BUFFER = max(BLOCKS) * BATCH * max(THREADS)
SMALL = 4 << 10


def peers(options, table):
    found = [Moonrail("moonrail", options.work / "tcp-moonrail.log", options.moonrail, BUFFER)]
    if options.upstream_tcp:
        log = options.work / "tcp-upstream.log"
        found.append(Upstream("upstream", log, options.upstream_tcp, BUFFER, options.fake_efa))
    if options.iperf:
        found.append(Iperf(options.work / "tcp-iperf3.log"))
    else:
        table.remark("iperf3 is not installed: apt-get install iperf3")
    for index, (name, binary, settings) in enumerate(options.others):
        found.append(Moonrail(name, options.work / f"tcp-other-{index}.log", binary, BUFFER, environment=settings))
    return found


def goals(other, load):
    """Of bytes per second, and of processor seconds per byte."""
    if other == "upstream":
        return at_least(5 if load.block < 1 << 20 else 3), at_most(0.5)
    return (at_least(0.9), None) if other == "iperf3" else (None, None)


def throughput(options, table, load, programs):
    programs[0].verify(load)
    ours, *rest = take_turns([lambda program=program: program.measure(load) for program in programs], options.rounds)
    for other, theirs in zip(programs[1:], rest):
        speed, processor = goals(other.name, load)
        table.add(str(load), "bytes per second", other.name, gigabytes(ours), gigabytes(theirs), "GB/s", speed)
        table.add(str(load), "processor s per GB", other.name, cost(ours), cost(theirs), "s", processor)


def mean(load, samples):
    """Microseconds, of each."""
    return [load.block / sample.bytes_per_second * 1e6 for sample in samples]


def median(samples):
    """Microseconds, of each."""
    return [sample.p50 * 1e6 for sample in samples]


def latency(options, table, load, programs):
    """The time of one small write with its acknowledgement: the median, and the mean of how many were done."""
    moonrail, *others = programs
    moonrail.verify(load)
    for other in others:
        if isinstance(other, Iperf):
            continue
        measurements = [lambda: moonrail.measure(load), lambda: other.measure(load)]
        if isinstance(other, Upstream):
            measurements.append(lambda: other.measure_latency(load))
        ours, theirs, *loops = take_turns(measurements, options.rounds)
        table.add(str(load), "mean time", other.name, mean(load, ours), mean(load, theirs), "µs")
        table.add(
            str(load), "median time", f"{other.name} from Python" if loops else other.name, median(ours),
            median(loops[0] if loops else theirs), "µs", at_most(0.6) if loops else None,
        )  # fmt: skip


def run(options, table):
    table.begin("TCP on loopback")
    programs = peers(options, table)
    try:
        if len(programs) == 1:
            table.remark("there is nothing to compare with")
            return
        for operation in ("write",) if options.quick else ("write", "read"):
            for block in BLOCKS[:1] if options.quick else BLOCKS:
                for threads in THREADS:
                    load = Load(operation, block, BATCH, threads, options.seconds)
                    table.attempt(str(load), lambda: throughput(options, table, load, programs))
        load = Load("write", SMALL, 1, 1, options.seconds)
        table.attempt(str(load), lambda: latency(options, table, load, programs))
    finally:
        for program in programs:
            program.close()
