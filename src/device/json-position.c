/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where values stand in JSON text.
 *
 * The odd rule: this is no parser. It skips what it is not asked for by counting brackets outside of strings, so that of text that is
 * no JSON it may name some place, but never reads behind the end.
 */
#include "device/json-position.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define END (-1)

static int place_look(const struct seai_json *json, const struct seai_json_place *place)
{
	return place->at < json->n_bytes ? (unsigned char)json->text[place->at] : END;
}

static void place_step(const struct seai_json *json, struct seai_json_place *place)
{
	unsigned char byte = (unsigned char)json->text[place->at++];

	if (byte == '\n') {
		place->line++;
		place->column = 1;
	} else if (place->at >= json->n_bytes || ((unsigned char)json->text[place->at] & 0xc0) != 0x80) {
		/* The next byte starts a character. */
		place->column++;
	}
}

static void place_skip_blanks(const struct seai_json *json, struct seai_json_place *place)
{
	int byte = place_look(json, place);

	while (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
		place_step(json, place);
		byte = place_look(json, place);
	}
}

/* Takes one character that must be there, and the blanks behind it. */
static int place_take(const struct seai_json *json, struct seai_json_place *place, char expected)
{
	if (place_look(json, place) != expected)
		return -EINVAL;
	place_step(json, place);
	place_skip_blanks(json, place);
	return 0;
}

static int place_skip_string(const struct seai_json *json, struct seai_json_place *place)
{
	place_step(json, place);
	for (;;) {
		int byte = place_look(json, place);

		if (byte == END)
			return -EINVAL;
		place_step(json, place);
		if (byte == '"')
			return 0;
		if (byte == '\\') {
			if (place_look(json, place) == END)
				return -EINVAL;
			place_step(json, place);
		}
	}
}

/* Goes behind a value and the blanks that follow. */
static int place_skip_value(const struct seai_json *json, struct seai_json_place *place)
{
	size_t depth = 0, start = place->at;

	for (;;) {
		int byte = place_look(json, place);

		if (byte == END)
			break;
		if (byte == '"') {
			if (place_skip_string(json, place) < 0)
				return -EINVAL;
		} else if (byte == '{' || byte == '[') {
			depth++;
			place_step(json, place);
		} else if (byte == '}' || byte == ']' || byte == ',' || byte == ':') {
			if (depth == 0)
				break;
			depth -= byte == '}' || byte == ']';
			place_step(json, place);
		} else {
			place_step(json, place);
			continue;
		}
		if (depth == 0)
			break;
	}
	place_skip_blanks(json, place);
	return depth || place->at == start ? -EINVAL : 0;
}

/* Keys. ---------------------------------------------------------------------------------- */

/* Four hexadecimal digits of text, or -1. */
static int32_t hex_read(const struct seai_json *json, size_t at)
{
	int32_t number = 0;

	if (json->n_bytes < 4 || at > json->n_bytes - 4)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		int byte = json->text[i] | 0x20;

		if (byte >= '0' && byte <= '9')
			number = number * 16 + byte - '0';
		else if (byte >= 'a' && byte <= 'f')
			number = number * 16 + byte - 'a' + 10;
		else
			return -1;
	}
	return number;
}

static size_t utf8_write(uint32_t character, char bytes[4])
{
	if (character < 0x80) {
		bytes[0] = (char)character;
		return 1;
	}
	if (character < 0x800) {
		bytes[0] = (char)(0xc0 | character >> 6);
		bytes[1] = (char)(0x80 | (character & 0x3f));
		return 2;
	}
	if (character < 0x10000) {
		bytes[0] = (char)(0xe0 | character >> 12);
		bytes[1] = (char)(0x80 | (character >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (character & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | character >> 18);
	bytes[1] = (char)(0x80 | (character >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (character >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (character & 0x3f));
	return 4;
}

/* The character behind a backslash at *at, which goes behind it. @return how many bytes it has; 0: it is malformed */
static size_t escape_read(const struct seai_json *json, size_t *at, char bytes[4])
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	int letter = *at < json->n_bytes ? json->text[*at] : 0;
	const char *known = letter ? strchr(letters, letter) : NULL;
	int32_t high, low;

	(*at)++;
	if (known) {
		bytes[0] = meanings[known - letters];
		return 1;
	}
	high = letter == 'u' ? hex_read(json, *at) : -1;
	if (high < 0)
		return 0;
	*at += 4;
	if (high >= 0xd800 && high < 0xdc00) {
		low = *at + 6 <= json->n_bytes && memcmp(json->text + *at, "\\u", 2) == 0 ? hex_read(json, *at + 2)
		                                                                          : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		*at += 6;
		return utf8_write(0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00), bytes);
	}
	return utf8_write((uint32_t)high, bytes);
}

/* Whether the string at a place, its quotes included, is a key. */
static bool string_is(const struct seai_json *json, size_t at, const char *key, size_t n_key)
{
	size_t n_same = 0;

	at++;
	for (;;) {
		size_t n = 1;
		char bytes[4];

		if (at >= json->n_bytes)
			return false;
		bytes[0] = json->text[at++];
		if (bytes[0] == '"')
			return n_same == n_key;
		if (bytes[0] == '\\')
			n = escape_read(json, &at, bytes);
		if (!n || n > n_key - n_same || memcmp(bytes, key + n_same, n) != 0)
			return false;
		n_same += n;
	}
}

/* Walking. ------------------------------------------------------------------------------- */

int seai_json_root(const struct seai_json *json, struct seai_json_place *ret_place)
{
	struct seai_json_place place = { 0, 1, 1 };

	place_skip_blanks(json, &place);
	if (place_look(json, &place) == END)
		return -EINVAL;
	*ret_place = place;
	return 0;
}

int seai_json_member(const struct seai_json *json, const struct seai_json_place *object, const char *key, size_t n_key,
                     struct seai_json_place *ret_key, struct seai_json_place *ret_value)
{
	struct seai_json_place place = *object, key_place;
	bool is_it;

	if (place_take(json, &place, '{') < 0)
		return -EINVAL;
	if (place_look(json, &place) == '}')
		return -ENOENT;
	for (;;) {
		if (place_look(json, &place) != '"')
			return -EINVAL;
		key_place = place;
		is_it = string_is(json, place.at, key, n_key);
		if (place_skip_string(json, &place) < 0)
			return -EINVAL;
		place_skip_blanks(json, &place);
		if (place_take(json, &place, ':') < 0)
			return -EINVAL;
		if (is_it)
			break;
		if (place_skip_value(json, &place) < 0)
			return -EINVAL;
		if (place_look(json, &place) == '}')
			return -ENOENT;
		if (place_take(json, &place, ',') < 0)
			return -EINVAL;
	}
	if (ret_key)
		*ret_key = key_place;
	if (ret_value)
		*ret_value = place;
	return 0;
}

int seai_json_first(const struct seai_json *json, const struct seai_json_place *array,
                    struct seai_json_place *ret_place)
{
	struct seai_json_place place = *array;

	if (place_take(json, &place, '[') < 0)
		return -EINVAL;
	if (place_look(json, &place) == ']')
		return -ENOENT;
	*ret_place = place;
	return 0;
}

int seai_json_next(const struct seai_json *json, struct seai_json_place *place)
{
	if (place_skip_value(json, place) < 0)
		return -EINVAL;
	if (place_look(json, place) == ']')
		return -ENOENT;
	return place_take(json, place, ',');
}

/* Paths. --------------------------------------------------------------------------------- */

/* ["..."] of a path: the key without its backslashes goes to key. *path goes behind the bracket. */
static int path_take_quoted(const char **path, char *key, size_t n_bytes, size_t *ret_n_key)
{
	const char *from = *path + 2;
	size_t n_key = 0;

	for (; *from && *from != '"'; from++) {
		if (*from == '\\' && !*++from)
			return -EINVAL;
		if (n_key == n_bytes)
			return -EINVAL;
		key[n_key++] = *from;
	}
	if (from[0] != '"' || from[1] != ']')
		return -EINVAL;
	*path = from + 2;
	*ret_n_key = n_key;
	return 0;
}

/* One step of a path, from place to place. */
static int path_step(const struct seai_json *json, const char **path, struct seai_json_place *place,
                     struct seai_json_place *key_place)
{
	char quoted[256];
	size_t n_key;
	int r;

	if ((*path)[0] == '[' && (*path)[1] == '"') {
		r = path_take_quoted(path, quoted, sizeof(quoted), &n_key);
		return r < 0 ? r : seai_json_member(json, place, quoted, n_key, key_place, place);
	}
	if (**path == '[') {
		size_t n_digits = strspn(*path + 1, "0123456789"), i = 0;

		if (!n_digits || n_digits > 9 || (*path)[1 + n_digits] != ']')
			return -EINVAL;
		for (size_t digit = 1; digit <= n_digits; digit++)
			i = i * 10 + (size_t)((*path)[digit] - '0');
		*path += n_digits + 2;
		for (r = seai_json_first(json, place, place); r == 0 && i; i--)
			r = seai_json_next(json, place);
		*key_place = *place;
		return r;
	}
	if (**path == '.')
		(*path)++;
	n_key = strcspn(*path, ".[");
	if (!n_key)
		return -EINVAL;
	r = seai_json_member(json, place, *path, n_key, key_place, place);
	*path += n_key;
	return r;
}

int sea_json_position(const char *text, size_t n_bytes, const char *path, bool is_key, unsigned *ret_line,
                      unsigned *ret_column)
{
	struct seai_json json = { text, n_bytes };
	struct seai_json_place place, key_place;
	int r = seai_json_root(&json, &place);

	if (r < 0)
		return r;
	key_place = place;
	while (*path && r == 0)
		r = path_step(&json, &path, &place, &key_place);
	if (r < 0)
		return r;
	if (is_key)
		place = key_place;
	*ret_line = place.line;
	*ret_column = place.column;
	return 0;
}
