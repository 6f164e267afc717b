/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of this machine, for channels that say none. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

/* The interface of the default route, from the kernel's table. false: there is none. */
static bool route_interface(char *name, size_t n_bytes)
{
	char line[256], interface[64];
	unsigned long destination, gateway, mask;
	unsigned flags;
	int metric, least = -1;
	FILE *file = fopen("/proc/net/route", "re");

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %lx %lx %x %*d %*d %d %lx", interface, &destination, &gateway, &flags, &metric,
		           &mask) != 6 ||
		    destination != 0 || mask != 0)
			continue;
		if (least < 0 || metric < least) {
			least = metric;
			snprintf(name, n_bytes, "%s", interface);
		}
	}
	fclose(file);
	return least >= 0;
}

int seai_address_of_interface(const char *name, char *text, size_t n_bytes)
{
	char interface[64];
	struct ifaddrs *all;
	int r = -ENODEV;

	if (strcmp(name, "default") == 0) {
		/* A machine without a network talks to itself. */
		if (!route_interface(interface, sizeof(interface)))
			snprintf(interface, sizeof(interface), "lo");
		name = interface;
	}
	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)at->ifa_addr;

		if (!in || in->sin_family != AF_INET || strcmp(at->ifa_name, name) != 0)
			continue;
		if (inet_ntop(AF_INET, &in->sin_addr, text, (socklen_t)n_bytes))
			r = 0;
		break;
	}
	freeifaddrs(all);
	return r;
}

int seai_address_split_tcp(const char *address, char *host, size_t n_bytes, long *ret_port)
{
	const char *begin, *colon;
	char *end;
	long port;

	if (strncmp(address, "tcp://", 6) != 0)
		return -EINVAL;
	begin = address + 6;
	colon = strrchr(begin, ':');
	if (!colon || (size_t)(colon - begin) >= n_bytes)
		return -EINVAL;
	if (strcmp(colon + 1, "*") == 0) {
		port = 1;
	} else {
		port = strtol(colon + 1, &end, 10);
		if (port < 0 || port > 65535 || *end || end == colon + 1)
			return -EINVAL;
	}
	memcpy(host, begin, (size_t)(colon - begin));
	host[colon - begin] = 0;
	*ret_port = port;
	return 0;
}
