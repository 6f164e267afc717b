/* SPDX-License-Identifier: Apache-2.0 */
/* A user of the installed library, in the common subset of C99 and C++11: one message round a pair of channels. */
#include <stdio.h>
#include <string.h>

#include <sealane/sealane.h>

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *out = NULL, *in = NULL;
	struct sea_message *message = NULL;
	int r;

	if (sea_version() != SEA_VERSION)
		return 1;
	r = sea_session_open(&session, NULL);
	if (r >= 0)
		r = sea_channel_new(&out, session, SEA_PUSH, NULL);
	if (r >= 0)
		r = sea_channel_new(&in, session, SEA_PULL, NULL);
	if (r >= 0)
		r = sea_channel_bind(in, "install");
	if (r >= 0)
		r = sea_channel_connect(out, "install");
	if (r >= 0)
		r = sea_message_new(&message, sea_session_heap(session), 5, 1, 0);
	if (r >= 0) {
		memcpy(sea_message_write(message), "hello", 5);
		r = sea_channel_send(out, &message, 5000000000LL);
	}
	if (r >= 0)
		r = sea_channel_receive(in, &message, 5000000000LL);
	if (r >= 0 && (sea_message_size(message) != 5 || memcmp(sea_message_data(message), "hello", 5) != 0))
		r = 1;
	printf("user of sealane %d.%d.%d: %d\n", SEA_VERSION_MAJOR, SEA_VERSION_MINOR, SEA_VERSION_PATCH, r);
	sea_message_unref(message);
	sea_channel_close(out);
	sea_channel_close(in);
	sea_session_close(session);
	return r != 0;
}
