# SPDX-License-Identifier: Apache-2.0
# For tests/arrow/run-interop-*: where the other programs are, or a skip that says what is missing. $tmp is a folder of the script's.
skip() {
	echo "skipped: $1"
	exit 77
}

SEALANE_INTEROP_DIR=${SEALANE_INTEROP_DIR:-$SEALANE_BUILD_DIR/interop}
export SEALANE_INTEROP_DIR

need_node() {
	command -v node >/dev/null || skip "node is missing"
	for module in apache-arrow nodejs-polars parquet-wasm; do
		[ -d "$SEALANE_INTEROP_DIR/node_modules/$module" ] ||
			skip "$module is missing in $SEALANE_INTEROP_DIR: tests/arrow/interop/install puts it there"
	done
	[ -x "$SEALANE_COMMAND" ] || skip "the sealane command was not built"
}

# table.arrow, plain.arrow and more.arrow in $tmp, by our writer.
write_ours() {
	for test in test-stream-file test-more-types; do
		[ -x "$SEALANE_BUILD_DIR/tests/arrow/$test" ] || skip "$test was not built"
		SEALANE_ARROW_OUT=$tmp "$SEALANE_BUILD_DIR/tests/arrow/$test" >"$tmp/log" || {
			cat "$tmp/log"
			exit 1
		}
	done
}
