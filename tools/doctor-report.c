/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doctor's notebook: checks are added one by one, and what is said afterwards goes
 * to the last. Whatever comes from a file is made harmless here, for the terminal and for JSON.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "terminal.h"

static char *text_append(char *text, const char *format, va_list arguments)
{
	char *line = NULL;
	char *joined = NULL;

	if (vasprintf(&line, format, arguments) < 0)
		return text;
	/* /dev/shm and /tmp are everyone's: a file's name must not steer the terminal or add lines. */
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	if (!text)
		return line;
	if (asprintf(&joined, "%s\n%s", text, line) < 0)
		joined = NULL;
	free(line);
	if (!joined)
		return text;
	free(text);
	return joined;
}

void doctor_add(struct doctor *doctor, enum doctor_state state, const char *name, const char *format, ...)
{
	struct doctor_check *checks;
	va_list arguments;

	checks = reallocarray(doctor->checks, doctor->n_checks + 1, sizeof(*checks));
	if (!checks) {
		/* A report with holes would be taken for a healthy one. */
		terminal_error("doctor", "out of memory at the check of %s", name);
		exit(COMMAND_FAILED);
	}
	doctor->checks = checks;
	checks += doctor->n_checks++;
	*checks = (struct doctor_check){ .state = state, .group = doctor->group, .name = name };
	va_start(arguments, format);
	checks->found = text_append(NULL, format, arguments);
	va_end(arguments);
}

#define DOCTOR_APPEND(doctor, member, format)                                           \
	do {                                                                            \
		struct doctor_check *last_ = &(doctor)->checks[(doctor)->n_checks - 1]; \
		va_list arguments_;                                                     \
                                                                                        \
		va_start(arguments_, format);                                           \
		last_->member = text_append(last_->member, format, arguments_);         \
		va_end(arguments_);                                                     \
	} while (0)

void doctor_cost(struct doctor *doctor, const char *format, ...)
{
	DOCTOR_APPEND(doctor, cost, format);
}

void doctor_mend(struct doctor *doctor, const char *format, ...)
{
	DOCTOR_APPEND(doctor, mends, format);
}

void doctor_item(struct doctor *doctor, const char *format, ...)
{
	DOCTOR_APPEND(doctor, items, format);
}

void doctor_data(struct doctor *doctor, const char *key, json_t *value)
{
	struct doctor_check *last = &doctor->checks[doctor->n_checks - 1];

	if (!last->data)
		last->data = json_object();
	json_object_set_new(last->data, key, value);
}

void doctor_fini(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_checks; i++) {
		struct doctor_check *check = &doctor->checks[i];

		free(check->found);
		free(check->cost);
		free(check->mends);
		free(check->items);
		json_decref(check->data);
	}
	free(doctor->checks);
}

int doctor_read_line(const char *path, char *text, size_t n_text)
{
	TOOL_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, text, n_text - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

json_t *doctor_text_to_json(const char *text)
{
	json_t *string = json_string(text);
	TOOL_AUTO_FREE char *copy = NULL;

	if (string)
		return string;
	copy = strdup(text);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return json_string(copy ? copy : "");
}

static int number_parse(const char *text, uint64_t *ret_number, char **ret_end)
{
	unsigned long long number;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, ret_end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

int doctor_read_number(const char *path, uint64_t *ret_number)
{
	char text[64];
	char *end;
	int r = doctor_read_line(path, text, sizeof(text));

	return r < 0 ? r : number_parse(text, ret_number, &end);
}

int doctor_read_key(const char *path, const char *key, char *text, size_t n_text)
{
	TOOL_AUTO_FILE FILE *file = fopen(path, "re");
	TOOL_AUTO_FREE char *line = NULL;
	size_t n_line = 0;
	size_t n_key = strlen(key);

	text[0] = '\0';
	if (!file)
		return -errno;
	while (getline(&line, &n_line, file) > 0) {
		if (strncmp(line, key, n_key) != 0 || line[n_key] != ':')
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(text, n_text, "%s", line + n_key + 1 + strspn(line + n_key + 1, " \t"));
		return 0;
	}
	return -ENOENT;
}

int doctor_read_key_number(const char *path, const char *key, uint64_t *ret_number)
{
	char text[64];
	char *end;
	uint64_t number;
	int r = doctor_read_key(path, key, text, sizeof(text));

	if (r != 0)
		return r;
	r = number_parse(text, &number, &end);
	if (r != 0)
		return r;
	if (strcmp(end, " kB") == 0)
		number *= 1024;
	*ret_number = number;
	return 0;
}
