"""What was measured, as a document with a table and a plot for each part."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

import plot


class Host:
    """Where the numbers come from."""

    def __init__(self, options):
        self.begin = datetime.datetime.now(datetime.timezone.utc)
        self.load = os.getloadavg()[0]
        found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        self.processor = found.group(1) if found else platform.machine()
        self.moonrail = first_line([options.moonrail, "--version"])
        self.source = first_line(["git", "describe", "--always", "--dirty"])

    def lines(self, options):
        end = datetime.datetime.now(datetime.timezone.utc)
        cores = len(os.sched_getaffinity(0))
        lines = [
            f"- {self.begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC, {cores} cores of {self.processor}, "
            f"Linux {platform.release()}",
            f"- Moonrail {self.moonrail}, source {self.source}; {options.rounds} rounds, runs of {options.seconds} s",
            f"- TCP with the congestion control {congestion_control()}",
            f"- load average {self.load:.1f} at the beginning, {os.getloadavg()[0]:.1f} at the end",
        ]
        if self.load > cores:
            lines.append(
                "- **This host was busy with other work when it began: the ratios are rough.**"
                + (" What was measured went before that work (--first)." if options.first else "")
            )
        return lines


def congestion_control():
    """What the kernel gives to new connections, which decides how fast loopback is: some pace, by a timer for each send."""
    try:
        return pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return "unknown"


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


HEAD = """# Moonrail beside others

The programs took turns, each round gave one ratio, and the ratio of a row is the median of the rounds. "Medians" are
Moonrail's and the other's. Where least and most are on both sides of a goal, nothing has been shown.

"""


def tabular(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(options, table, host):
    document = [HEAD, "\n".join(host.lines(options)), "\n"]
    with_goal = [row for row in table.rows if row.goal]
    if with_goal:
        met = sum(row.goal.is_met(row.median) for row in with_goal)
        document.append(f"\n{met} of {len(with_goal)} goals are met.\n")
    for part in table.parts:
        rows = [row for row in table.rows if row.part == part]
        document.append(f"\n## {part}\n\n")
        if rows:
            name = "peers-" + re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") + ".svg"
            (options.work / name).write_text(plot.draw(rows))
            document += [tabular(table.HEAD, [row.cells() for row in rows]), f"\n![{part}]({name})\n"]
        remarks = [text for where, text in table.remarks if where == part]
        if remarks:
            document += ["\n", *(f"- {text}\n" for text in remarks)]
    (options.work / "peers.md").write_text("".join(document))
