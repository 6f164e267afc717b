// SPDX-License-Identifier: Apache-2.0
// readers.js FOLDER: what others read of plain.arrow and more.arrow, value by value. Writes FOLDER/NAME-again.arrow: table.arrow and more.arrow, read and
// written by arrow-rs.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const folder = process.argv[2];
const other = createRequire(path.join(process.env.SEALANE_INTEROP_DIR, 'package.json'));
const plain = fs.readFileSync(path.join(folder, 'plain.arrow'));

// The table of tests/arrow/tables.c, once more.
const numbers = [-128n, 1n, 0n, 77n, 127n];
const words = ['sealed', null, '', null, 'größer'];
const dictionary = ['blue', null, 'red', null, 'green'];
const halves = [1, null, 1 / 16777216, null, -65504];
const lists = [[10n, 20n], null, [], null, [30n, 40n, 50n]];

function expectedRow(row) {
	const hidden = row === 1 || row === 3;
	const number = numbers[row];
	const or = (value) => (hidden ? null : value);
	return {
		i8: or(Number(number)), i16: or(Number(number) * 256), i32: or(Number(number) * 16777216),
		i64: or(number * 72057594037927936n), u8: or(Number(BigInt.asUintN(8, number))),
		u16: or(Number(BigInt.asUintN(16, number))), u32: or(Number(BigInt.asUintN(32, number))),
		u64: or(BigInt.asUintN(64, number)), half: halves[row], float: or(Number(number) / 4), double: or(Number(number) / 3),
		bool: or(row === 0 || row === 4), utf8: words[row], binary: words[row] === null ? null : [...Buffer.from(words[row])],
		fsb: or(Array(64).fill(97 + row)), time: or(1700000000123 + row), null: null, dict: dictionary[row],
		struct: or({ x: row + 0.5, name: words[row] }), list: lists[row], fsl: or([row * 200, row * 200 + 100]), large: words[row],
	};
}

// One form for what libraries give in their own: vectors and typed arrays as arrays, dates as milliseconds, zero as one zero.
function normal(value) {
	if (value === null || value === undefined)
		return null;
	if (value instanceof Date)
		return value.getTime();
	if (typeof value === 'number')
		return value === 0 ? 0 : value;
	if (typeof value !== 'object')
		return value;
	if (Array.isArray(value) || ArrayBuffer.isView(value) || (typeof value.toArray === 'function' && typeof value.get === 'function'))
		return Array.from(value, normal);
	const fields = typeof value.toJSON === 'function' ? value.toJSON() : value;
	return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, normal(field)]));
}

function readByArrow() {
	const { tableFromIPC } = other('apache-arrow');
	const table = tableFromIPC(plain);

	assert.equal(table.numRows, 10);
	assert.equal(table.batches.length, 2);
	assert.equal(table.schema.fields[0].metadata.get('unit'), 'counts');
	for (let row = 0; row < 10; row++)
		for (const [name, value] of Object.entries(expectedRow(row % 5)))
			assert.deepEqual(normal(table.getChild(name).get(row)), normal(value), `apache-arrow: ${name}, row ${row}`);
}

// Values of tests/arrow/test-more-types.c.
function readMoreByArrow() {
	const table = other('apache-arrow').tableFromIPC(fs.readFileSync(path.join(folder, 'more.arrow')));
	const expected = {
		dense: [2.5, -3], sparse: [11, 0.125], map: [{ a: 1 }, { bb: 2, ccc: 3 }], date: [19675 * 86400000, -86400000],
		date64: [1699920000000, -86400000], time: [3723000004n, 0n], duration: [15n, -7n], months: [[1, 2], [0, -1]], large_list: [[], [1, 2, 3]],
	};

	assert.equal(table.numRows, 2);
	for (const [name, values] of Object.entries(expected))
		for (let row = 0; row < 2; row++)
			assert.deepEqual(normal(table.getChild(name).get(row)), values[row], `apache-arrow: ${name}, row ${row}`);
	assert.equal(String(table.getChild('decimal').get(0)), '1234567');
}

function readByPolars() {
	const polars = other('nodejs-polars');
	const frame = polars.readIPCStream(plain);
	// What it gives as other things: binaries as text, nested values and 64-bit integers as numbers.
	const names = ['i8', 'i16', 'i32', 'u8', 'u16', 'u32', 'float', 'double', 'bool', 'utf8', 'dict', 'large'];

	assert.deepEqual({ ...frame.shape }, { height: 10, width: 22 });
	for (const name of names) {
		const values = frame.getColumn(name).toArray();
		for (let row = 0; row < 10; row++)
			assert.deepEqual(normal(values[row]), normal(expectedRow(row % 5)[name]), `polars: ${name}, row ${row}`);
	}
	for (const name of ['i64', 'u64', 'half', 'fsb', 'time', 'struct', 'list', 'fsl', 'binary'])
		assert.equal(frame.getColumn(name).nullCount(), 4, `polars: nulls of ${name}`);
	assert.equal(frame.getColumn('null').nullCount(), 10);
}

function readByArrowRs() {
	const wasm = other('parquet-wasm');

	for (const name of ['table', 'more']) {
		const again = wasm.Table.fromIPCStream(fs.readFileSync(path.join(folder, `${name}.arrow`))).intoIPCStream();

		fs.writeFileSync(path.join(folder, `${name}-again.arrow`), again);
	}
}

readByArrow();
readMoreByArrow();
readByPolars();
readByArrowRs();
