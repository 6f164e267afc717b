/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealane: large frames from process to process on one node, without a copy.
 *
 * A ladder from simple to advanced:
 *   1. sea_session_open(), sea_channel_new(), sea_message_new(), sea_channel_send(), sea_channel_receive()
 *   2. frames of many parts: frame.h
 *   3. event loops and bulk calls: sea_channel_fd(), sea_channel_send_many(), sea_channel_receive_many()
 *   4. forwarding, fan-out, orphans: frame.h, channel.h
 *   5. names of parts that travel by another road than a message: meta.h
 *   6. memory whose layout is the user's own: region.h
 *   7. own heaps with quota, huge pages, NUMA nodes: heap.h
 *   8. watching sessions from outside: monitor.h
 */
#ifndef SEALANE_SEALANE_H
#define SEALANE_SEALANE_H

#include <sealane/channel.h>
#include <sealane/error.h>
#include <sealane/frame.h>
#include <sealane/heap.h>
#include <sealane/message.h>
#include <sealane/meta.h>
#include <sealane/monitor.h>
#include <sealane/poller.h>
#include <sealane/region.h>
#include <sealane/session.h>
#include <sealane/shm-options.h>
#include <sealane/version.h>

#endif
