// SPDX-License-Identifier: Apache-2.0
// writers.js write FOLDER: streams that others write, NAME.arrow, and NAME.json with what is in them, one object per row.
// writers.js compare A B: whether two files of one object per row are the same.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const other = createRequire(path.join(process.env.SEALANE_INTEROP_DIR, 'package.json'));

function rowsRead(file) {
	return fs.readFileSync(file, 'utf8').split('\n').filter((line) => line).map((line) => JSON.parse(line));
}

function save(folder, name, bytes, rows) {
	fs.writeFileSync(path.join(folder, `${name}.arrow`), bytes);
	fs.writeFileSync(path.join(folder, `${name}.json`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

// Rows of a table of JavaScript's library, as `sealane cat --json` says them.
const rows = Array.from({ length: 1000 }, (_, i) => ({
	i: i % 7 === 3 ? null : i * 1000003 - 500000000,
	f: i % 11 === 5 ? null : i / 8,
	b: i % 5 === 4 ? null : i % 3 === 0,
	s: i % 6 === 2 ? null : `wörd ${i}`,
	d: i % 9 === 8 ? null : ['one', 'two', 'three', 'four'][i % 4],
	t: i % 13 === 7 ? null : 1700000000000 + i * 1001,
	l: i % 8 === 1 ? null : Array.from({ length: i % 4 }, (_unused, j) => (j === 2 ? null : i + j)),
	r: i % 10 === 9 ? null : { x: i / 4, y: `y${i}` },
}));

function arrowTable() {
	const a = other('apache-arrow');
	const types = {
		i: new a.Int32(), f: new a.Float64(), b: new a.Bool(), s: new a.Utf8(), d: new a.Dictionary(new a.Utf8(), new a.Int8()),
		t: new a.TimestampMillisecond('UTC'), l: new a.List(new a.Field('item', new a.Int32(), true)),
		r: new a.Struct([new a.Field('x', new a.Float64(), true), new a.Field('y', new a.Utf8(), true)]),
	};
	// Three batches, of which the second is small.
	const borders = [0, 600, 603, 1000];
	const tables = [0, 1, 2].map((n) => {
		const part = rows.slice(borders[n], borders[n + 1]);
		const columns = {};
		for (const [name, type] of Object.entries(types))
			columns[name] = a.vectorFromArray(part.map((row) => row[name]), type);
		return new a.Table(columns);
	});
	return { a, tables };
}

function write(folder) {
	const { a, tables } = arrowTable();
	const batches = tables.flatMap((table) => table.batches);
	const writer = a.RecordBatchStreamWriter.writeAll(batches);
	const stream = writer.toUint8Array(true);
	const wasm = other('parquet-wasm');
	const polars = other('nodejs-polars');

	save(folder, 'js', stream, rows);
	save(folder, 'js-file', a.tableToIPC(tables[0], 'file'), rows.slice(0, 600));
	save(folder, 'arrow-rs', wasm.Table.fromIPCStream(stream).intoIPCStream(), rows);
	// Text as views, which is how polars keeps it.
	const frame = polars.DataFrame({
		i: rows.map((row) => row.i), f: rows.map((row) => row.f), b: rows.map((row) => row.b), s: rows.map((row) => row.s),
	});
	const polarsRows = rows.map(({ i, f, b, s }) => ({ i, f, b, s }));
	save(folder, 'polars', frame.writeIPCStream({ compression: 'uncompressed' }), polarsRows);
}

if (process.argv[2] === 'write')
	write(process.argv[3]);
else
	assert.deepEqual(rowsRead(process.argv[3]), rowsRead(process.argv[4]));
