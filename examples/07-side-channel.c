/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A side channel: a calibration object stays in its producer's memory and is never sent. Its name, 64 bytes, goes into a table, here
 * a file; whoever reads the table finds the object, and holds it if it needs it for longer.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static int consumer(FILE *table, int go_fd)
{
	struct sea_session *session = NULL;
	struct sea_message *held = NULL;
	struct sea_resolved object;
	struct sea_meta meta;
	char go;

	if (read(go_fd, &go, 1) != 1 || fseek(table, 0, SEEK_SET) != 0 || fread(&meta, sizeof meta, 1, table) != 1)
		return 1;
	check(sea_session_open(&session, NULL), "session");
	check(sea_meta_resolve(session, &meta, -1, &object), "resolve");
	printf("%.*s (row %llu)\n", (int)object.n_bytes, (const char *)object.data, (unsigned long long)meta.hint);
	/* From here on it stays, whatever its producer does. */
	check(sea_meta_hold(session, &meta, -1, &held), "hold");
	check(memcmp(sea_message_data(held), object.data, object.n_bytes) == 0 ? 0 : -1, "compare");
	sea_message_unref(held);
	sea_session_close(session);
	return 0;
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_message *message = NULL;
	struct sea_resolved object;
	struct sea_meta meta;
	FILE *table = tmpfile();
	int go[2], status = 1;
	pid_t pid;

	if (!table || pipe(go) < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(consumer(table, go[0]) == 0 && fflush(stdout) == 0 ? 0 : 1);
	check(sea_session_open(&session, NULL), "session");
	check(sea_message_new(&message, sea_session_heap(session), 100, 0, 0), "message");
	sea_message_shrink(message, (size_t)sprintf(sea_message_write(message), "gain of the time projection chamber"));
	check(sea_message_meta(message, 0, 17, &meta), "meta");
	if (fwrite(&meta, sizeof meta, 1, table) != 1 || fflush(table) != 0 || write(go[1], "g", 1) != 1)
		return 1;
	waitpid(pid, &status, 0);
	sea_message_unref(message);
	/* The name outlives the object, and says so. */
	printf("afterwards: %s\n", sea_error_text(sea_meta_resolve(session, &meta, 0, &object)));
	sea_session_close(session);
	fclose(table);
	return status;
}
