# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Read by the scripts beside it: goes to the root of the sources; files PATTERN... names the tracked files, or all where there is no git.
cd "$(dirname "$0")/.." || exit 2

files() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1 && [ -n "$(git ls-files | head -n 1)" ]; then
		# Also those that are not added yet, but none that are ignored or deleted.
		git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r file; do
			[ ! -f "$file" ] || echo "$file"
		done
	else
		for pattern; do
			find . -name .git -prune -o -path ./build -prune -o -type f -name "$(basename "$pattern")" -print
		done | sed 's|^\./||' | sort -u
	fi
}

# need TOOL [PACKAGE]: ends the script where the tool is missing.
need() {
	command -v "$1" >/dev/null || {
		echo "$(basename "$0"): $1 is missing; run: apt-get install ${2:-$1}" >&2
		exit 2
	}
}

# result NAME CODE: the closing line.
result() {
	if [ "$2" = 0 ]; then
		echo "lint/$1: good"
	else
		echo "lint/$1: FAILED" >&2
	fi
	exit "$2"
}

# The compile commands of a build: $1 if given, else build/, configured where it is not there yet.
compile_commands() {
	build=${1:-build}
	[ -e "$build/compile_commands.json" ] || cmake -S . -B "$build" >/dev/null || exit 2
}
