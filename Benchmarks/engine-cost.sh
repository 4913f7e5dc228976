#!/bin/sh
# Counts what one operation costs, in instructions and in allocations. Each loop runs twice, with two numbers of
# operations, and the difference is divided, so that what happens once does not count.
#
# usage: Benchmarks/engine-cost.sh [loop...]
set -eu

few=${FEW:-2000}
many=${MANY:-12000}

cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "engine-cost.sh: valgrind is needed" >&2; exit 1; }
swift build -c release --product engine-cost >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Valgrind before 3.20 gives up on the debug information that Swift writes.
program=$scratch/engine-cost
objcopy --strip-debug "$(swift build -c release --show-bin-path)/engine-cost" "$program"
[ $# -gt 0 ] || set -- $("$program" list)

# instructions LOOP OPERATIONS: of the whole process
instructions() {
	valgrind --tool=callgrind --callgrind-out-file="$scratch/profile" "$program" "$1" "$2" \
		>"$scratch/output" 2>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
	sed -n 's/^totals: //p' "$scratch/profile"
}

printf '%-24s %26s %26s\n' loop 'instructions per operation' 'allocations per operation'
for loop in "$@"; do
	instructions_few=$(instructions "$loop" "$few")
	instructions_many=$(instructions "$loop" "$many")
	allocations_few=$("$program" "$loop" "$few")
	allocations_many=$("$program" "$loop" "$many")
	awk -v loop="$loop" -v operations=$((many - few)) -v instructions=$((instructions_many - instructions_few)) \
		-v allocations=$((allocations_many - allocations_few)) 'BEGIN {
			printf "%-24s %26.1f %26.3f\n", loop, instructions / operations, allocations / operations }'
done
