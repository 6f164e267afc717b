/* SPDX-License-Identifier: Apache-2.0 */
/* Properties: FairMQ's Properties suite, and what threads and callbacks may do. */
#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/device.h>

#include "test.h"

static struct sea_properties *new_properties(void)
{
	struct sea_properties *properties;

	CHECK_OK(sea_properties_new(&properties));
	return properties;
}

/* Sets a value, and takes it back as text, from text, and as it was. */
static void check_round_trip(const struct sea_value *value, const char *text)
{
	struct sea_properties *properties = new_properties();
	struct sea_value *got;
	char other[200];

	CHECK_OK(sea_properties_set(properties, "key", value, "default"));
	CHECK_EQ(sea_properties_type(properties, "key"), value->type);
	CHECK_EQ(sea_properties_get_text(properties, "key", other, sizeof(other)), strlen(text));
	CHECK_STR_EQ(other, text);
	CHECK_OK(sea_properties_get(properties, "key", &got));
	CHECK_EQ(got->type, value->type);
	CHECK_EQ(got->n_items, value->n_items);
	CHECK_OK(sea_properties_parse(properties, "key", text, NULL));
	CHECK_OK(sea_properties_get_text(properties, "key", other, sizeof(other)));
	CHECK_STR_EQ(other, text);
	CHECK_OK(sea_properties_update(properties, "key", got, NULL));
	CHECK_OK(sea_properties_get_text(properties, "key", other, sizeof(other)));
	CHECK_STR_EQ(other, text);
	free(got);
	sea_properties_free(properties);
}

TEST(types, "a value of each type comes back as it was, as text, and from that text")
{
	static const bool booleans[] = { true, false };
	static const int64_t integers[] = { 1, -2, INT64_MIN };
	static const uint64_t uintegers[] = { 1, UINT64_MAX };
	static const double reals[] = { 0.1, -2.5e300 };
	static const char *const strings[] = { "one", "and two" };

	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_BOOL, .as.boolean = true }, "true");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_BOOL }, "false");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_INT, .as.integer = -5 }, "-5");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_INT, .as.integer = INT64_MIN }, "-9223372036854775808");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_UINT, .as.uinteger = UINT64_MAX },
	                 "18446744073709551615");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_DOUBLE, .as.real = 0.1 }, "0.1");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_DOUBLE, .as.real = 1.0 / 3 }, "0.3333333333333333");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_STRING, .as.string = "a text" }, "a text");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_STRING, .as.string = "" }, "");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_BOOL_ARRAY, .n_items = 2, .as.booleans = booleans },
	                 "true, false");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_INT_ARRAY, .n_items = 3, .as.integers = integers },
	                 "1, -2, -9223372036854775808");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_UINT_ARRAY, .n_items = 2, .as.uintegers = uintegers },
	                 "1, 18446744073709551615");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_DOUBLE_ARRAY, .n_items = 2, .as.reals = reals },
	                 "0.1, -2.5e+300");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_STRING_ARRAY, .n_items = 2, .as.strings = strings },
	                 "one, and two");
	check_round_trip(&(struct sea_value){ .type = SEA_VALUE_STRING_ARRAY }, "");
}

TEST(malformed, "text that is not of a property's type is refused, and the property stays")
{
	static const struct {
		enum sea_value_type type;
		const char *text;
		int r;
	} cases[] = {
		{ SEA_VALUE_BOOL, "maybe", -EINVAL },
		{ SEA_VALUE_BOOL, "", -EINVAL },
		{ SEA_VALUE_INT, "", -EINVAL },
		{ SEA_VALUE_INT, "1x", -EINVAL },
		{ SEA_VALUE_INT, " 1", -EINVAL },
		{ SEA_VALUE_INT, "1.5", -EINVAL },
		{ SEA_VALUE_INT, "0x10", -EINVAL },
		{ SEA_VALUE_INT, "9223372036854775808", -ERANGE },
		{ SEA_VALUE_UINT, "-1", -ERANGE },
		{ SEA_VALUE_UINT, "18446744073709551616", -ERANGE },
		{ SEA_VALUE_UINT, "-", -EINVAL },
		{ SEA_VALUE_DOUBLE, "", -EINVAL },
		{ SEA_VALUE_DOUBLE, "1,5", -EINVAL },
		{ SEA_VALUE_DOUBLE, "1e999", -ERANGE },
		{ SEA_VALUE_INT_ARRAY, "1,,2", -EINVAL },
		{ SEA_VALUE_INT_ARRAY, "1, 9223372036854775808", -ERANGE },
		{ SEA_VALUE_BOOL_ARRAY, "true, no way", -EINVAL },
	};
	struct sea_properties *properties = new_properties();
	char text[40];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* An array without items is all zero, and so is a single value. */
		CHECK_OK(sea_properties_set(properties, "key", &(struct sea_value){ .type = cases[i].type }, NULL));
		if (sea_properties_parse(properties, "key", cases[i].text, NULL) != cases[i].r)
			FAIL("'%s' as %s", cases[i].text, sea_value_type_name(cases[i].type));
		CHECK(sea_properties_get_text(properties, "key", text, sizeof(text)) <= 5);
	}
	CHECK_ERR(sea_properties_set(properties, "key", &(struct sea_value){ .type = SEA_VALUE_STRING }, NULL),
	          -EINVAL);
	CHECK_ERR(sea_properties_set(properties, "key", &(struct sea_value){ .type = SEA_VALUE_AS_STRING }, NULL),
	          -EINVAL);
	CHECK_ERR(sea_properties_set_int(properties, "", 1), -EINVAL);
	sea_properties_free(properties);
}

TEST(locale, "numbers are read and written with a point, whatever the program's locale is")
{
	struct sea_properties *properties = new_properties();
	char text[40];

	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
		SKIP("there is no locale with a decimal comma here");
	CHECK_OK(sea_properties_set_double(properties, "rate", 0.5));
	CHECK_OK(sea_properties_get_text(properties, "rate", text, sizeof(text)));
	CHECK_STR_EQ(text, "0.5");
	CHECK_OK(sea_properties_parse(properties, "rate", "2.5", NULL));
	CHECK(sea_properties_double_or(properties, "rate", 0) == 2.5);
	sea_properties_free(properties);
}

TEST(typed, "integers are read as either kind where they fit, other types are told apart, and defaults stand in")
{
	struct sea_properties *properties = new_properties();
	uint64_t uinteger;
	int64_t integer;
	double real;
	char *string;
	bool flag;

	CHECK_ERR(sea_properties_get_int(properties, "i", &integer), -ENOENT);
	CHECK_EQ(sea_properties_int_or(properties, "i", 7), 7);
	CHECK_OK(sea_properties_set_int(properties, "i", -1));
	CHECK_ERR(sea_properties_get_uint(properties, "i", &uinteger), -ERANGE);
	CHECK_EQ(sea_properties_uint_or(properties, "i", 7), 7);
	CHECK_OK(sea_properties_get_double(properties, "i", &real));
	CHECK(real == -1);
	CHECK_OK(sea_properties_set_uint(properties, "u", UINT64_MAX));
	CHECK_ERR(sea_properties_get_int(properties, "u", &integer), -ERANGE);
	CHECK_OK(sea_properties_set_uint(properties, "u", 5));
	CHECK_OK(sea_properties_get_int(properties, "u", &integer));
	CHECK_EQ(integer, 5);
	CHECK_ERR(sea_properties_get_bool(properties, "u", &flag), -EPROTOTYPE);
	CHECK_ERR(sea_properties_get_string(properties, "u", &string), -EPROTOTYPE);
	CHECK_OK(sea_properties_set_string(properties, "s", "text"));
	CHECK_ERR(sea_properties_get_int(properties, "s", &integer), -EPROTOTYPE);
	CHECK_ERR(sea_properties_get_double(properties, "s", &real), -EPROTOTYPE);
	CHECK(sea_properties_bool_or(properties, "s", true));
	CHECK_OK(sea_properties_get_string(properties, "s", &string));
	CHECK_STR_EQ(string, "text");
	free(string);
	string = sea_properties_string_or(properties, "none", "otherwise");
	CHECK_STR_EQ(string, "otherwise");
	free(string);
	CHECK(!sea_properties_string_or(properties, "none", NULL));
	sea_properties_free(properties);
}

TEST(update, "an update changes what is there and of its type, and nothing else")
{
	struct sea_properties *properties = new_properties();
	const struct sea_value text = { .type = SEA_VALUE_STRING, .as.string = "a" };
	const struct sea_value number = { .type = SEA_VALUE_INT, .as.integer = 2 };

	CHECK_ERR(sea_properties_update(properties, "key", &number, NULL), -ENOENT);
	CHECK_ERR(sea_properties_parse(properties, "key", "2", NULL), -ENOENT);
	CHECK_EQ(sea_properties_type(properties, "key"), SEA_VALUE_NONE);
	CHECK_OK(sea_properties_set_int(properties, "key", 1));
	CHECK_ERR(sea_properties_update(properties, "key", &text, NULL), -EPROTOTYPE);
	CHECK_OK(sea_properties_update(properties, "key", &number, NULL));
	CHECK_EQ(sea_properties_int_or(properties, "key", 0), 2);
	/* A set may change the type. */
	CHECK_OK(sea_properties_set(properties, "key", &text, NULL));
	CHECK_EQ(sea_properties_type(properties, "key"), SEA_VALUE_STRING);
	CHECK_OK(sea_properties_delete(properties, "key"));
	CHECK_ERR(sea_properties_delete(properties, "key"), -ENOENT);
	CHECK_ERR(sea_properties_update(properties, "key", &text, NULL), -ENOENT);
	sea_properties_free(properties);
}

static void count_call(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	(void)key, (void)value, (void)origin;
	(*(int *)userdata)++;
}

TEST(update_many, "a bulk update with one key missing or of another type changes nothing and tells nobody")
{
	struct sea_properties *properties = new_properties();
	struct sea_property changes[] = {
		{ "a", { .type = SEA_VALUE_INT, .as.integer = 10 } },
		{ "b", { .type = SEA_VALUE_INT, .as.integer = 20 } },
		{ "c", { .type = SEA_VALUE_INT, .as.integer = 30 } },
	};
	int n_calls = 0;
	size_t wrong = 9;

	CHECK_OK(sea_properties_set_int(properties, "a", 1));
	CHECK_OK(sea_properties_set_int(properties, "b", 2));
	CHECK_OK(sea_properties_subscribe(properties, "me", SEA_VALUE_NONE, count_call, &n_calls));
	CHECK_ERR(sea_properties_update_many(properties, changes, 3, NULL, &wrong), -ENOENT);
	CHECK_EQ(wrong, 2);
	CHECK_EQ(sea_properties_int_or(properties, "a", 0), 1);
	changes[1].value.type = SEA_VALUE_UINT;
	CHECK_ERR(sea_properties_update_many(properties, changes, 2, NULL, &wrong), -EPROTOTYPE);
	CHECK_EQ(wrong, 1);
	CHECK_EQ(sea_properties_int_or(properties, "a", 0), 1);
	changes[1].value = (struct sea_value){ .type = SEA_VALUE_STRING };
	CHECK_ERR(sea_properties_update_many(properties, changes, 2, NULL, &wrong), -EINVAL);
	CHECK_EQ(n_calls, 0);
	changes[1].value = (struct sea_value){ .type = SEA_VALUE_INT, .as.integer = 20 };
	CHECK_OK(sea_properties_update_many(properties, changes, 2, "a file", NULL));
	CHECK_EQ(n_calls, 2);
	CHECK_EQ(sea_properties_int_or(properties, "a", 0) + sea_properties_int_or(properties, "b", 0), 30);
	CHECK_OK(sea_properties_update_many(properties, changes, 0, NULL, NULL));
	sea_properties_free(properties);
}

static void note_key(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	char *notes = userdata;

	(void)value, (void)origin;
	strcat(strcat(notes, key), " ");
}

TEST(queries, "queries by prefix and by expression name keys in order; an expression must match all of a key")
{
	struct sea_properties *properties = new_properties();
	char notes[200] = "";

	CHECK_OK(sea_properties_set_int(properties, "chans.data.1.x", 1));
	CHECK_OK(sea_properties_set_int(properties, "chans.data.0.x", 1));
	CHECK_OK(sea_properties_set_int(properties, "id", 1));
	CHECK_OK(sea_properties_set_int(properties, "chans.data.0.type", 1));
	CHECK_EQ(sea_properties_list(properties, "chans.", note_key, notes), 3);
	CHECK_STR_EQ(notes, "chans.data.0.type chans.data.0.x chans.data.1.x ");
	CHECK_EQ(sea_properties_list(properties, NULL, note_key, notes), 4);
	CHECK_EQ(sea_properties_list(properties, "nothing", note_key, notes), 0);
	notes[0] = 0;
	CHECK_EQ(sea_properties_match(properties, "chans\\..*\\.x", note_key, notes), 2);
	CHECK_STR_EQ(notes, "chans.data.0.x chans.data.1.x ");
	CHECK_EQ(sea_properties_match(properties, "chans", note_key, notes), 0);
	CHECK_EQ(sea_properties_match(properties, "i|id", note_key, notes), 1);
	CHECK_ERR(sea_properties_match(properties, "(", note_key, notes), -EINVAL);
	sea_properties_free(properties);
}

TEST(many, "ten thousand properties are found again, in order")
{
	struct sea_properties *properties = new_properties();
	char key[40];
	int n = 0;

	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "chans.data.%d.address", i);
		CHECK_OK(sea_properties_set_int(properties, key, i));
	}
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "chans.data.%d.address", i);
		CHECK_EQ(sea_properties_int_or(properties, key, -1), i);
	}
	CHECK_EQ(sea_properties_list(properties, "chans.", count_call, &n), 10000);
	sea_properties_free(properties);
}

TEST(origins, "a property knows where it comes from")
{
	struct sea_properties *properties = new_properties();
	char text[40];

	CHECK_ERR(sea_properties_origin(properties, "key", text, sizeof(text)), -ENOENT);
	CHECK_OK(sea_properties_set(properties, "key", &(struct sea_value){ .type = SEA_VALUE_INT },
	                            "topology.json:12"));
	CHECK_OK(sea_properties_origin(properties, "key", text, sizeof(text)));
	CHECK_STR_EQ(text, "topology.json:12");
	CHECK_OK(sea_properties_parse(properties, "key", "1", NULL));
	CHECK_EQ(sea_properties_origin(properties, "key", text, 4), strlen("set at run time"));
	CHECK_STR_EQ(text, "set");
	sea_properties_free(properties);
}

struct heard {
	int n;
	char text[64];
};

static void hear(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	struct heard *heard = userdata;
	char text[40];

	sea_value_text(value, text, sizeof(text));
	snprintf(heard->text, sizeof(heard->text), "%s=%s (%s, %s)", key, text, sea_value_type_name(value->type),
	         origin);
	heard->n++;
}

TEST(subscriptions, "subscribers hear of their type or of all, as it is or as a string, once per (who, type)")
{
	struct sea_properties *properties = new_properties();
	struct heard integers = { 0 }, strings = { 0 }, all = { 0 }, replaced = { 0 };

	CHECK_OK(sea_properties_subscribe(properties, "me", SEA_VALUE_INT, hear, &replaced));
	CHECK_OK(sea_properties_subscribe(properties, "me", SEA_VALUE_INT, hear, &integers));
	CHECK_OK(sea_properties_subscribe(properties, "me", SEA_VALUE_AS_STRING, hear, &strings));
	CHECK_OK(sea_properties_subscribe(properties, "me", SEA_VALUE_NONE, hear, &all));
	CHECK_OK(sea_properties_set_int(properties, "key", 5));
	CHECK_STR_EQ(integers.text, "key=5 (int64, set at run time)");
	CHECK_STR_EQ(strings.text, "key=5 (string, set at run time)");
	CHECK_STR_EQ(all.text, "key=5 (int64, set at run time)");
	CHECK_OK(sea_properties_set_bool(properties, "flag", true));
	CHECK_STR_EQ(strings.text, "flag=true (string, set at run time)");
	CHECK_EQ(integers.n, 1);
	CHECK_EQ(strings.n + all.n, 4);
	CHECK_EQ(replaced.n, 0);
	/* Somebody else of the same type is another subscription. */
	CHECK_OK(sea_properties_subscribe(properties, "you", SEA_VALUE_INT, hear, &replaced));
	CHECK_OK(sea_properties_unsubscribe(properties, "me", SEA_VALUE_INT));
	CHECK_ERR(sea_properties_unsubscribe(properties, "me", SEA_VALUE_INT), -ENOENT);
	CHECK_OK(sea_properties_parse(properties, "key", "6", NULL));
	CHECK_EQ(integers.n, 1);
	CHECK_EQ(replaced.n, 1);
	CHECK_OK(sea_properties_delete(properties, "key"));
	CHECK_EQ(all.n, 3);
	sea_properties_free(properties);
}

struct nested {
	struct sea_properties *properties;
	int n;
};

static void end_itself(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	struct nested *nested = userdata;

	(void)value, (void)origin;
	nested->n++;
	if (strcmp(key, "other") == 0)
		return;
	CHECK_OK(sea_properties_set_int(nested->properties, "other", 1));
	CHECK_OK(sea_properties_unsubscribe(nested->properties, "me", SEA_VALUE_INT));
	CHECK_OK(sea_properties_subscribe(nested->properties, "me", SEA_VALUE_STRING, end_itself, nested));
}

TEST(nested, "a callback may set properties, end its own subscription and begin another one")
{
	struct nested nested = { new_properties(), 0 };

	CHECK_OK(sea_properties_subscribe(nested.properties, "me", SEA_VALUE_INT, end_itself, &nested));
	CHECK_OK(sea_properties_set_int(nested.properties, "key", 1));
	CHECK_EQ(nested.n, 2);
	CHECK_OK(sea_properties_set_int(nested.properties, "key", 2));
	CHECK_EQ(nested.n, 2);
	CHECK_OK(sea_properties_set_string(nested.properties, "other", ""));
	CHECK_EQ(nested.n, 3);
	sea_properties_free(nested.properties);
}

struct crowd {
	struct sea_properties *properties;
	atomic_int n_calls;
	atomic_int n_threads;
};

static void count_in_crowd(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	(void)key, (void)value, (void)origin;
	atomic_fetch_add(&((struct crowd *)userdata)->n_calls, 1);
}

static void *be_one_of_crowd(void *userdata)
{
	struct crowd *crowd = userdata;
	int i = atomic_fetch_add(&crowd->n_threads, 1);
	char who[16], key[16];

	snprintf(who, sizeof(who), "%d", i);
	snprintf(key, sizeof(key), "key%d", i);
	for (int round = 0; round < 1000; round++) {
		CHECK_OK(sea_properties_subscribe(crowd->properties, who, SEA_VALUE_INT, count_in_crowd, crowd));
		CHECK_OK(sea_properties_set_int(crowd->properties, key, round));
		CHECK_EQ(sea_properties_int_or(crowd->properties, key, -1), round);
		CHECK_OK(sea_properties_unsubscribe(crowd->properties, who, SEA_VALUE_INT));
	}
	return NULL;
}

TEST(threads, "five threads that subscribe, set and unsubscribe a thousand times each hear at least of their own")
{
	struct crowd crowd = { .properties = new_properties() };
	pthread_t threads[5];

	for (int i = 0; i < 5; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, be_one_of_crowd, &crowd), 0);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	CHECK_GE(crowd.n_calls, 5000);
	sea_properties_free(crowd.properties);
}

struct slow {
	struct sea_properties *properties;
	atomic_bool is_in;
	atomic_bool may_go;
	atomic_bool is_out;
	atomic_bool is_ended;
};

static void be_slow(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	struct slow *slow = userdata;

	(void)key, (void)value, (void)origin;
	slow->is_in = true;
	CHECK_EVENTUALLY(slow->may_go);
	slow->is_out = true;
}

static void *set_it(void *userdata)
{
	CHECK_OK(sea_properties_set_int(((struct slow *)userdata)->properties, "key", 1));
	return NULL;
}

static void *end_it(void *userdata)
{
	struct slow *slow = userdata;

	CHECK_OK(sea_properties_unsubscribe(slow->properties, "me", SEA_VALUE_INT));
	CHECK(slow->is_out);
	slow->is_ended = true;
	return NULL;
}

TEST(ended, "when a subscription is ended its callback does not run any more, and meanwhile others go on")
{
	struct slow slow = { .properties = new_properties() };
	pthread_t setter, ender;

	CHECK_OK(sea_properties_subscribe(slow.properties, "me", SEA_VALUE_INT, be_slow, &slow));
	CHECK_EQ(pthread_create(&setter, NULL, set_it, &slow), 0);
	CHECK_EVENTUALLY(slow.is_in);
	CHECK_EQ(pthread_create(&ender, NULL, end_it, &slow), 0);
	/* The callback holds no lock. */
	CHECK_EQ(sea_properties_int_or(slow.properties, "key", 0), 1);
	CHECK(!slow.is_ended);
	slow.may_go = true;
	pthread_join(setter, NULL);
	pthread_join(ender, NULL);
	CHECK(slow.is_ended);
	sea_properties_free(slow.properties);
}
