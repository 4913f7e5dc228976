#!/bin/sh
# Counts what one operation costs, in instructions of all threads and in allocations. What happens once, such as connecting,
# does not count.
#
# usage: Benchmarks/engine-cost.sh [--parts] [loop...]     OPERATIONS: how many each loop runs for, default 20480
#
# --parts: in the place of the allocations, which part of the engine the instructions are of
set -eu

operations=${OPERATIONS:-20480}
parts=
if [ "${1:-}" = --parts ]; then
	parts=1
	shift
fi

cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "engine-cost.sh: valgrind is needed" >&2; exit 1; }
swift build -c release --product engine-cost >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Valgrind before 3.20 gives up on the debug information that Swift writes.
program=$scratch/engine-cost
objcopy --strip-debug "$(swift build -c release --show-bin-path)/engine-cost" "$program"
[ $# -gt 0 ] || set -- $("$program" list)

# The functions that the compiler has left are few enough to be sorted by the type they belong to.
print_parts() {
	callgrind_annotate --threshold=100 "$scratch/profile" | awk -v loop="$1" -v operations="$operations" '
		function part(name) {
			if (name ~ /SimulatedFabric/) return "null fabric"
			if (name ~ /TransferEngine4PlanV/) return "plan"
			if (name ~ /10SubmissionV|TransferEngineAAC(7attempt|6submit)/) return "submit"
			if (name ~ /9RailStateV(4post|7enqueue|16removeFirstReady|11appendReady)/) return "post"
			if (name ~ /9RailStateV4poll|10SettlementV|12TransferTask|5BatchV6settle/) return "complete"
			if (name ~ /4RailC|8ProgressC|9RailStateV|10EventQueueV|14ProgressThread|3NapC/) return "drive"
			if (name ~ /10BatchTableC|5BatchV|4wait3for|8Duration|7_Int128/) return "batch"
			return "other"
		}
		/PROGRAM TOTALS/ { counts = 1; next }
		counts && /^ *[0-9,]+ \(/ {
			count = $1
			gsub(",", "", count)
			sum[part($0)] += count
		}
		END {
			printf "%-30s", loop
			count = split("plan submit post complete drive batch other", names, " ")
			for (i = 1; i <= count; i++) printf " %9.1f", sum[names[i]] / operations
			printf " %12.1f\n", sum["null fabric"] / operations
		}'
}

if [ "$parts" ]; then
	printf '%-30s %9s %9s %9s %9s %9s %9s %9s %12s\n' 'instructions per operation' plan submit post complete drive batch \
		other 'null fabric'
else
	printf '%-30s %26s %26s\n' loop 'instructions per operation' 'allocations per operation'
fi
for loop in "$@"; do
	valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$scratch/profile" "$program" "$loop" "$operations" \
		>"$scratch/allocations" 2>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
	if [ "$parts" ]; then
		print_parts "$loop"
		continue
	fi
	instructions=$(sed -n 's/^totals: //p' "$scratch/profile")
	awk -v loop="$loop" -v operations="$operations" -v instructions="$instructions" \
		-v allocations="$(cat "$scratch/allocations")" 'BEGIN {
			printf "%-30s %26.1f %26.3f\n", loop, instructions / operations, allocations / operations }'
done
