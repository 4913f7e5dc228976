# The commands of this project. What they do is in scripts/.

.PHONY: help setup build c-library install-c wheel demo test test-efa test-hosts test-python test-clients lint format \
  test-sanitized bench bench-model bench-peers bench-python clean

help:
	@echo 'make demo      set up, build, and watch a verified transfer between two processes'
	@echo 'make test      set up, check the format, and run all tests'
	@echo 'make test-efa  the ten transfers that users know, on every provider and on the fake EFA'
	@echo 'make test-hosts  as root: transfers between two hosts (network namespaces) whose cable is pulled'
	@echo 'make test-sanitized  under the sanitizers for threads and for addresses; takes half an hour'
	@echo 'make wheel     the Python wheel, into .build/python/wheels; make test-python tests it'
	@echo 'make build     the command, into .build/release/moonrail'
	@echo 'make c-library  libmoonrail.so and its header, into .build/c; make install-c PREFIX=/usr/local'
	@echo 'make setup     install the packages that are missing (Debian 12, Ubuntu 24.04)'
	@echo 'make lint      check the format of the Swift files; make format rewrites them'
	@echo 'make bench     what an operation costs in the engine; make bench-python a call from Python'
	@echo 'make bench-peers  beside upstream'"'"'s own builds, iperf3 and loops in C, in turns; takes two hours'
	@echo 'make bench-peers ARGS=--quick  the same in minutes; ARGS=--help lists what else there is'
	@echo 'make bench-model  what hosts with EFA would move, by a model; see scripts/bench-model.sh --help'
	@echo 'make clean     remove everything that was built'

setup:
	@scripts/setup.sh

build:
	@scripts/build.sh

c-library:
	@scripts/c-library.sh

install-c:
	@scripts/c-library.sh --install "$(PREFIX)"

demo:
	@scripts/demo.sh

test:
	@scripts/test.sh

test-efa:
	@scripts/test.sh --filter EFATransportTests

test-hosts:
	@scripts/setup.sh
	@scripts/hosts.sh

test-sanitized:
	@scripts/test-sanitized.sh thread
	@scripts/test-sanitized.sh address

wheel:
	@scripts/setup.sh
	@scripts/wheel.sh

test-python:
	@scripts/test-python.sh

test-clients:
	@scripts/test-clients.sh

lint:
	@scripts/lint.sh

format:
	@scripts/lint.sh --fix

bench:
	@scripts/bench.sh

bench-model:
	@scripts/bench-model.sh

bench-peers:
	@scripts/bench-peers.sh $(ARGS)

bench-python:
	@scripts/bench-python.sh

clean:
	rm -rf .build Benchmarks/.build
