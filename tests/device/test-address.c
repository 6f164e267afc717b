/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of this machine that a channel without one binds; FairMQ's Tools suite. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device/device.h"
#include "test.h"

/* Whether the kernel has a default route for IPv4. */
static bool has_default_route(void)
{
	char line[256], interface[64];
	unsigned long destination, gateway, mask;
	unsigned flags;
	int metric;
	FILE *file = fopen("/proc/net/route", "re");
	bool found = false;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %lx %lx %x %*d %*d %d %lx", interface, &destination, &gateway, &flags, &metric,
		           &mask) == 6 &&
		    destination == 0 && mask == 0)
			found = true;
	if (file)
		fclose(file);
	return found;
}

TEST(interfaces, "an interface has its address, the one of the default route too, and one that is not there has none")
{
	char text[64] = "untouched";
	struct in_addr address;

	CHECK_ERR(seai_address_of_interface("no-such-thing", text, sizeof(text)), -ENODEV);
	CHECK_STR_EQ(text, "untouched");
	CHECK_OK(seai_address_of_interface("lo", text, sizeof(text)));
	CHECK_STR_EQ(text, "127.0.0.1");
	CHECK_OK(seai_address_of_interface("default", text, sizeof(text)));
	CHECK_EQ(inet_pton(AF_INET, text, &address), 1);
	CHECK_EQ(strcmp(text, "127.0.0.1") == 0, !has_default_route());
}

TEST(tcp, "an address is taken apart into host and port; what is none is refused")
{
	static const struct {
		const char *address, *host;
		long port;
	} good[] = {
		{ "tcp://localhost:5555", "localhost", 5555 },
		{ "tcp://*:22000", "*", 22000 },
		{ "tcp://*:*", "*", 1 },
		{ "tcp://[::1]:80", "[::1]", 80 },
	};
	static const char *const bad[] = { "ipc://x:1",  "tcp://localhost", "tcp://x:", "tcp://x:1y",
		                           "tcp://x:-1", "tcp://x:65536",   "" };
	char host[32];
	long port;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_OK(seai_address_split_tcp(good[i].address, host, sizeof(host), &port));
		CHECK_STR_EQ(host, good[i].host);
		CHECK_EQ(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(seai_address_split_tcp(bad[i], host, sizeof(host), &port), -EINVAL);
	CHECK_ERR(
		seai_address_split_tcp("tcp://a-name-that-is-longer-than-the-room-for-it:1", host, sizeof(host), &port),
		-EINVAL);
}
