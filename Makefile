# SPDX-License-Identifier: Apache-2.0
# A thin front of CMake: what to type, nothing more. `make help` lists it.

PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
# Tests at a time. More words for ctest: TESTS='-L wire', TESTS='-R ledger'.
TEST_JOBS ?= $(JOBS)
TESTS ?=

BUILD = build
CTEST = ctest --output-on-failure --no-tests=error
# CMake's own make is no part of this one.
CMAKE_BUILD = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake --build

.DEFAULT_GOAL := all
.NOTPARALLEL:
.PHONY: all demo test soak bench asan tsan fuzz coverage lint install clean help
.PHONY: check-build need-build need-test need-bench need-fuzz need-lint build-release build-asan build-tsan build-fuzz build-coverage

all: check-build build-release ## an optimised build; the command is build/sealane

demo: need-build build-release ## installs what is missing, builds, and runs the main job; DEMO='--input PATH' for other files
	$(BUILD)/sealane demo $(DEMO)

test: need-test build-release ## installs what is missing, builds, and runs every test
	cd $(BUILD) && $(CTEST) --parallel $(TEST_JOBS) --timeout 600 $(TESTS)

soak: need-test build-release ## the long form of the tests: 10 000 kills, larger models; hours
	cd $(BUILD) && SEALANE_SOAK=1 $(CTEST) --timeout 86400 -L 'system|model|soak' $(TESTS)

bench: need-bench build-release ## measures everything, with plots, into bench/results/
	bench/run $(BUILD)/sealane $(BENCH)

asan: need-test build-asan ## the tests under AddressSanitizer and UBSan
	cd $(BUILD)/asan && $(CTEST) --timeout 1200 $(TESTS)

tsan: need-test build-tsan ## the tests under ThreadSanitizer
	cd $(BUILD)/tsan && $(CTEST) --timeout 1200 $(TESTS)

fuzz: need-fuzz build-fuzz ## fuzzes each target for FUZZ_SECONDS=60
	cd $(BUILD)/fuzz && SEALANE_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CTEST) --parallel $(JOBS) --timeout 86400 $(TESTS)

coverage: need-test build-coverage ## which lines the tests execute: a table
	cd $(BUILD)/coverage && $(CTEST) --timeout 1200 $(TESTS)
	@lint/coverage $(BUILD)/coverage

lint: need-lint build-release ## layers, format, clang-tidy, cppcheck, analyzer, docs, shell, exported symbols
	@$(CMAKE_BUILD) $(BUILD) --target all_verify_interface_header_sets > /dev/null
	@lint/all $(BUILD)

install: all ## into PREFIX=/usr/local, below DESTDIR
	DESTDIR='$(DESTDIR)' cmake --install $(BUILD)

clean: ## removes build/
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/\1	\2/p' Makefile | \
		while IFS='	' read -r goal what; do printf 'make %-10s %s\n' "$$goal" "$$what"; done

check-build:
	@scripts/dependencies --check build

need-build:
	@scripts/dependencies build

need-test:
	@scripts/dependencies build test

need-bench:
	@scripts/dependencies build bench

need-fuzz:
	@scripts/dependencies build fuzz

need-lint:
	@scripts/dependencies build lint

build-release:
	@cmake --preset release --log-level=WARNING -DCMAKE_INSTALL_PREFIX='$(PREFIX)' $(CMAKE_FLAGS) > /dev/null
	@$(CMAKE_BUILD) --preset release --parallel $(JOBS)

build-asan build-tsan build-fuzz build-coverage: build-%:
	@cmake --preset $* --log-level=WARNING $(CMAKE_FLAGS) > /dev/null
	@$(CMAKE_BUILD) --preset $* --parallel $(JOBS)
