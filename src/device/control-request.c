/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of the socket ask, and what they are answered; sealane/device/control.h has the list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "device/control.h"

/* Room for a value as text. */
#define REQUEST_VALUE_N_MAX 8192u

static void request_refuse(struct seai_control_client *client, int error, const char *text, const char *argument)
{
	const char *name = strerrorname_np(-error);

	seai_device_client_print(client, "error %s %s%s%.200s", name ? name : "EIO", text, argument ? " " : "",
	                         argument ? argument : "");
}

/* A newline would end an item, so it is written \n. @return bytes; what does not fit is cut */
static size_t request_escape(char *out, size_t n_max, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 <= n_max; text++) {
		if (*text == '\n' || *text == '\\') {
			out[n++] = '\\';
			out[n++] = *text == '\n' ? 'n' : '\\';
		} else {
			out[n++] = *text;
		}
	}
	return n;
}

static void request_unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (text[0] == '\\' && (text[1] == 'n' || text[1] == '\\')) {
			*out++ = text[1] == 'n' ? '\n' : '\\';
			text++;
		} else {
			*out++ = *text;
		}
	}
	*out = 0;
}

static void request_state(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	(void)argument;
	seai_device_client_print(client, "ok %s", sea_device_state_name(sea_machine_state(control->machine)));
}

static void request_transition(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	const enum sea_device_state state = sea_machine_state(control->machine);
	enum sea_transition transition;
	int r;

	if (sea_transition_parse(argument, &transition) < 0) {
		request_refuse(client, -EINVAL, "no such transition:", argument);
		return;
	}
	if (control->plan == SEAI_CONTROL_DOWN && transition != SEA_TRANSITION_ERROR_FOUND) {
		request_refuse(client, -EBUSY, "the device is being shut down", NULL);
		return;
	}
	r = sea_machine_change_state(control->machine, transition);
	if (r == 0)
		seai_device_client_print(client, "ok");
	else if (r == -EINVAL)
		seai_device_client_print(client, "error EINVAL no transition %s in state %s",
		                         sea_transition_name(transition), sea_device_state_name(state));
	else
		request_refuse(client, r, "another transition is under way", NULL);
}

static void request_wait(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	char *number = strrchr(argument, ' '), *end;
	long long timeout_ms;

	if (!number || number == argument) {
		request_refuse(client, -EINVAL, "it has to be: wait STATE TIMEOUT_MS", NULL);
		return;
	}
	*number++ = 0;
	errno = 0;
	timeout_ms = strtoll(number, &end, 10);
	if (errno || end == number || *end || timeout_ms < -1 || timeout_ms > INT64_MAX / SEAI_NS_PER_MS) {
		request_refuse(client, -EINVAL, "not a number of milliseconds:", number);
		return;
	}
	if (sea_device_state_parse(argument, &client->awaited) < 0) {
		request_refuse(client, -EINVAL, "no such state:", argument);
		return;
	}
	/* A state that is about to be left does not count, nor one of which this thread has not taken note: it comes as the next. */
	if (control->state == client->awaited && sea_machine_state(control->machine) == client->awaited &&
	    !sea_machine_is_pending(control->machine)) {
		seai_device_client_print(client, "ok %s", sea_device_state_name(control->state));
		return;
	}
	client->is_waiting = true;
	client->wait_deadline_ns = timeout_ms < 0 ? SEAI_FOR_EVER : seai_deadline(timeout_ms * SEAI_NS_PER_MS);
}

static void request_subscribe(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	(void)argument;
	client->is_subscribed = true;
	seai_device_client_print(client, "ok %s", sea_device_state_name(control->state));
}

/* Properties. -------------------------------------------------------------------------------- */

static void request_get(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	char value[REQUEST_VALUE_N_MAX], answer[2 * REQUEST_VALUE_N_MAX + 3] = "ok ";
	const int r = sea_properties_get_text(control->properties, argument, value, sizeof(value));

	if (r < 0)
		request_refuse(client, r, r == -ENOENT ? "no such property:" : "not to be had:", argument);
	else
		seai_device_client_send(client, answer, 3 + request_escape(answer + 3, sizeof(answer) - 3, value));
}

static void request_set(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	char *value = strchr(argument, ' ');
	int r;

	if (!value) {
		request_refuse(client, -EINVAL, "it has to be: set KEY VALUE", NULL);
		return;
	}
	*value++ = 0;
	request_unescape(value);
	r = sea_properties_parse(control->properties, argument, value, "control socket");
	if (r == 0)
		seai_device_client_print(client, "ok");
	else if (r == -ENOENT)
		request_refuse(client, r, "no such property:", argument);
	else
		request_refuse(client, r, "not a value of that property:", value);
}

/* Items that are collected until they fill a packet. */
struct request_list {
	struct seai_control_client *client;
	size_t n;
	char text[SEA_CONTROL_ANSWER_N_MAX];
};

static void list_flush(struct request_list *list)
{
	if (list->n > strlen("items"))
		seai_device_client_send(list->client, list->text, list->n);
	list->n = strlen("items");
}

static void list_add(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	struct request_list *list = userdata;
	char text[REQUEST_VALUE_N_MAX], item[2 * REQUEST_VALUE_N_MAX + 260];
	size_t n;

	(void)origin;
	sea_value_text(value, text, sizeof(text));
	n = (size_t)snprintf(item, 260, "\n%.255s=", key);
	n += request_escape(item + n, sizeof(item) - n, text);
	if (list->n + n > sizeof(list->text))
		list_flush(list);
	memcpy(list->text + list->n, item, n);
	list->n += n;
}

static void request_list(struct sea_control *control, struct seai_control_client *client, char *argument)
{
	struct request_list *list = malloc(sizeof(*list));
	int r = -ENOMEM;

	if (list) {
		list->client = client;
		list->n = strlen("items");
		memcpy(list->text, "items", list->n);
		r = sea_properties_list(control->properties, argument, list_add, list);
	}
	if (r < 0) {
		request_refuse(client, r, "the properties are not to be had", NULL);
	} else {
		list_flush(list);
		seai_device_client_print(client, "ok %d", r);
	}
	free(list);
}

/* ---------------------------------------------------------------------------------------------- */

enum request_kind { REQUEST_PLAIN, REQUEST_ARGUMENT, REQUEST_PROPERTIES, REQUEST_PROPERTIES_ARGUMENT };

static const struct {
	const char *name;
	enum request_kind kind;
	void (*answer)(struct sea_control *control, struct seai_control_client *client, char *argument);
} requests[] = {
	{ "state", REQUEST_PLAIN, request_state },           { "transition", REQUEST_ARGUMENT, request_transition },
	{ "wait", REQUEST_ARGUMENT, request_wait },          { "get", REQUEST_PROPERTIES_ARGUMENT, request_get },
	{ "set", REQUEST_PROPERTIES_ARGUMENT, request_set }, { "list", REQUEST_PROPERTIES, request_list },
	{ "subscribe", REQUEST_PLAIN, request_subscribe },
};

void seai_device_request(struct sea_control *control, struct seai_control_client *client, char *text)
{
	char *argument = text + strcspn(text, " ");
	const bool has_argument = *argument && argument[1];

	if (*argument)
		*argument++ = 0;
	/* What has been before the request is not news to its client. */
	seai_device_control_catch_up(control);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const enum request_kind kind = requests[i].kind;

		if (strcmp(requests[i].name, text) != 0)
			continue;
		if (client->is_waiting)
			request_refuse(client, -EBUSY, "the client waits already", NULL);
		else if (kind == REQUEST_PLAIN && has_argument)
			request_refuse(client, -EINVAL, "it takes no argument:", text);
		else if ((kind == REQUEST_ARGUMENT || kind == REQUEST_PROPERTIES_ARGUMENT) && !has_argument)
			request_refuse(client, -EINVAL, "it takes an argument:", text);
		else if (kind >= REQUEST_PROPERTIES && !control->properties)
			request_refuse(client, -ENOENT, "the device has no properties", NULL);
		else
			requests[i].answer(control, client, argument);
		return;
	}
	request_refuse(client, -EINVAL, "there are state, transition, wait, get, set, list and subscribe, but not",
	               text);
}
