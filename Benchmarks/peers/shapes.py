"""What the shape of a load costs the engine: neighbours, one large request, many threads."""

import dataclasses

from efa import cases, close, fabric_loop, fake, moonrail, place
from programs import Load
from turns import at_least, at_most, gigabytes, take_turns

WINDOW = 8 << 20
LARGE = 1 << 30
# Blocks of 64 KiB that all threads together have under way, whatever their number: as much memory for each of them,
# more than caches hold. They are scattered, since those of several threads take turns and cannot be merged either.
BLOCKS = 2048


def neighbours(options, table, where, program, loop):
    """One thread's blocks lie side by side here and there, so that the engine may make one operation of several."""
    small = Load("write", 64 << 10, WINDOW >> 16, 1, options.seconds)
    large = Load("write", 1 << 20, WINDOW >> 20, 1, options.seconds)
    loads = [small, large, dataclasses.replace(small, scattered=True)]
    for load in loads:
        program.verify(load)
    runs = [lambda load=load: program.measure(load) for load in loads]
    ours, large, scattered, raw = take_turns([*runs, lambda: loop.measure(small, "batches")], options.rounds)
    title = f"64 KiB x 128, {where}"
    table.add(title, "bytes per second", "blocks of 1 MiB", gigabytes(ours), gigabytes(large), "GB/s", at_least(0.95))
    title = f"64 KiB x 128 apart, {where}"
    table.add(title, "bytes per second", "C loop in batches", gigabytes(scattered), gigabytes(raw), "GB/s")


def run_neighbours(options, table):
    table.begin("Neighbours: 64 KiB blocks side by side")
    for backend, nics in cases(options):
        where = place(backend, nics)
        variables = fake(options, backend, nics)
        program, loop = moonrail(options, variables, WINDOW), fabric_loop(options, variables, WINDOW)
        try:
            table.attempt(where, lambda: neighbours(options, table, where, program, loop))
        finally:
            close([program, loop])


def striping(options, table, title, program):
    one = Load("write", LARGE, 1, 1, options.seconds)
    many = Load("write", 1 << 20, 128, 1, options.seconds)
    for load in (one, many):
        program.verify(load)
    ours, theirs = take_turns([lambda: program.measure(one), lambda: program.measure(many)], options.rounds)
    even = [100 / len(sample.details["nics"]) for sample in ours]
    for what, choose, goal in (("busiest", max, at_most(1.05)), ("least busy", min, at_least(0.95))):
        shares = [choose(nic["percent"] for nic in sample.details["nics"]) for sample in ours]
        table.add(title, f"share of the {what} NIC", "an even one", shares, even, "%", goal)
    table.add(title, "bytes per second", "1 MiB x 128", gigabytes(ours), gigabytes(theirs), "GB/s")


def run_striping(options, table):
    table.begin("One request of 1 GiB")
    for backend, nics in [case for case in cases(options) if case[1] > 1]:
        title = f"1 GiB, {place(backend, nics)}"
        program = moonrail(options, fake(options, backend, nics), LARGE)
        try:
            table.attempt(title, lambda: striping(options, table, title, program))
        finally:
            close([program])


def threads(options, table, title, program, counts):
    loads = [Load("write", 64 << 10, BLOCKS // count, count, options.seconds, scattered=True) for count in counts]
    for load in loads:
        program.verify(load)
    results = take_turns([lambda load=load: program.measure(load) for load in loads], options.rounds)
    best = [max(gigabytes(samples)) for samples in zip(*results)]
    for count, samples in zip(counts, results):
        name = f"{count} thread{'s' if count > 1 else ''}, {title}"
        goal = at_least(0.9) if count == counts[-1] else None
        table.add(name, "bytes per second", "the round's best", gigabytes(samples), best, "GB/s", goal)


def run_threads(options, table):
    table.begin("Many submitting threads, 64 KiB")
    counts = (1, 8, 128) if options.quick else (1, 2, 4, 16, 128)
    for backend, nics in cases(options)[:1] if options.quick else cases(options):
        program = moonrail(options, fake(options, backend, nics), BLOCKS << 16)
        title = place(backend, nics)
        try:
            table.attempt(title, lambda: threads(options, table, title, program, counts))
        finally:
            close([program])
