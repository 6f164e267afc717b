# SPDX-License-Identifier: Apache-2.0
# For tests/arrow/run-interop-*: where the other programs are, or a skip that says what is missing.
skip() {
	echo "skipped: $1"
	exit 77
}

SEALANE_INTEROP_DIR=${SEALANE_INTEROP_DIR:-$SEALANE_BUILD_DIR/interop}
export SEALANE_INTEROP_DIR
tmp=$(mktemp -d "${TMPDIR:-/tmp}/sealane-interop-XXXXXX")
trap 'rm -rf "$tmp"' EXIT

need_node() {
	command -v node >/dev/null || skip "node is missing"
	for module in apache-arrow nodejs-polars parquet-wasm; do
		[ -d "$SEALANE_INTEROP_DIR/node_modules/$module" ] ||
			skip "$module is missing in $SEALANE_INTEROP_DIR: tests/arrow/interop/install puts it there"
	done
	[ -x "$SEALANE_COMMAND" ] || skip "the sealane command was not built"
}

# table.arrow and plain.arrow in $tmp, by our writer.
write_ours() {
	[ -x "$SEALANE_BUILD_DIR/tests/arrow/test-stream-file" ] || skip "test-stream-file was not built"
	SEALANE_ARROW_OUT=$tmp "$SEALANE_BUILD_DIR/tests/arrow/test-stream-file" >"$tmp/log" || {
		cat "$tmp/log"
		exit 1
	}
}
