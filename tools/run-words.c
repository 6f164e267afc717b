/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines without a shell: words and quotes, and lists of processors. A word in quotes may be empty. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "run.h"

/* Takes one character or escape of a word. @return behind it, NULL where something has no end */
static const char *words_take(const char *at, char *quote, char **out)
{
	if (*quote == '\'') {
		if (*at == '\'')
			*quote = 0;
		else
			*(*out)++ = *at;
		return at + 1;
	}
	if (*at == '\\') {
		if (!at[1])
			return NULL;
		/* As in a shell: within double quotes it is itself before most characters. */
		if (*quote && !strchr("\"\\$`\n", at[1]))
			*(*out)++ = '\\';
		*(*out)++ = at[1];
		return at + 2;
	}
	if (*quote ? *at == *quote : *at == '"' || *at == '\'')
		*quote = *quote ? 0 : *at;
	else
		*(*out)++ = *at;
	return at + 1;
}

int run_words_split(const char *text, char **ret_command, char ***ret_words)
{
	size_t n = strlen(text);
	TOOL_AUTO_FREE char *command = malloc(n + 2);
	/* Every other byte could be a word. */
	TOOL_AUTO_FREE char **words = calloc(n / 2 + 2, sizeof(*words));
	char *out = command;
	int n_words = 0;

	if (!command || !words)
		return -ENOMEM;
	text += strspn(text, " \t\r\n");
	while (*text) {
		char quote = 0;

		words[n_words++] = out;
		while (*text && (quote || !strchr(" \t\r\n", *text))) {
			text = words_take(text, &quote, &out);
			if (!text)
				return -EINVAL;
		}
		if (quote)
			return -EINVAL;
		*out++ = 0;
		text += strspn(text, " \t\r\n");
	}
	*ret_command = command;
	*ret_words = words;
	command = NULL;
	words = NULL;
	return n_words;
}

void run_words_print(FILE *stream, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+./:=,@%^";

	if (*word && strspn(word, plain) == strlen(word)) {
		fputs(word, stream);
		return;
	}
	fputc('\'', stream);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", stream);
		else
			fputc(*word, stream);
	}
	fputc('\'', stream);
}

int run_cpus_parse(const char *text, cpu_set_t *ret_cpus)
{
	CPU_ZERO(ret_cpus);
	for (;;) {
		char *end;
		unsigned long first, last;

		if (*text < '0' || *text > '9')
			return -EINVAL;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			text = end + 1;
			if (*text < '0' || *text > '9')
				return -EINVAL;
			last = strtoul(text, &end, 10);
		}
		if (last < first)
			return -EINVAL;
		if (last >= CPU_SETSIZE)
			return -ERANGE;
		for (; first <= last; first++)
			CPU_SET((int)first, ret_cpus);
		if (!*end)
			return 0;
		if (*end != ',')
			return -EINVAL;
		text = end + 1;
	}
}
