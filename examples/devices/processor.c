/* SPDX-License-Identifier: Apache-2.0 */
/* A device that sends on what it receives, with a part of its own; the bytes stay where they are. Channels: in, out. */
#include <sealane/device/device.h>
#include <sealane/sealane.h>

static int on_data(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct sea_frame_options options = { .n_bytes_max = { 64 } };
	struct sea_session *session;
	struct sea_frame *frame;
	void *mark;

	(void)i, (void)userdata;
	if (sea_device_session(device, &session) < 0 ||
	    sea_frame_new(&frame, sea_session_heap(session), &options, 1000000000) < 0)
		return -1;
	sea_frame_add_message(frame, *message);
	if (sea_frame_add(frame, 8, 0, &mark) >= 0)
		*(uint64_t *)mark = sea_session_id(session);
	sea_message_unref(*message);
	return sea_frame_seal(&frame, message) == 0 && sea_device_send(device, "out", 0, message) == 0;
}

static int init(struct sea_device *device, void *userdata)
{
	return sea_device_on_data(device, "in", on_data, userdata);
}

int main(int argc, char **argv)
{
	return sea_device_main(argc, argv, &(struct sea_device_options){ .hooks = { .init = init } });
}
