#!/bin/sh
# Counts what one operation costs, in instructions of all threads and in allocations. What happens once, such as connecting,
# does not count.
#
# usage: Benchmarks/engine-cost.sh [loop...]     OPERATIONS: how many each loop runs for, default 20480
set -eu

operations=${OPERATIONS:-20480}

cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "engine-cost.sh: valgrind is needed" >&2; exit 1; }
swift build -c release --product engine-cost >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Valgrind before 3.20 gives up on the debug information that Swift writes.
program=$scratch/engine-cost
objcopy --strip-debug "$(swift build -c release --show-bin-path)/engine-cost" "$program"
[ $# -gt 0 ] || set -- $("$program" list)

printf '%-30s %26s %26s\n' loop 'instructions per operation' 'allocations per operation'
for loop in "$@"; do
	valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file="$scratch/profile" "$program" "$loop" "$operations" \
		>"$scratch/allocations" 2>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
	instructions=$(sed -n 's/^totals: //p' "$scratch/profile")
	awk -v loop="$loop" -v operations="$operations" -v instructions="$instructions" \
		-v allocations="$(cat "$scratch/allocations")" 'BEGIN {
			printf "%-30s %26.1f %26.3f\n", loop, instructions / operations, allocations / operations }'
done
