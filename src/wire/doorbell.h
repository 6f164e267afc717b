/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A doorbell: a pipe from the one who rings to the one who sleeps.
 *
 * Not an eventfd, because both ends of that share one open file description, and with it the flag O_NONBLOCK: a
 * hostile peer clears it, fills the counter, and whoever rings hangs for ever. Of a pipe each process has a
 * description of its own. The ringer's is open for reading as well, so that the end of the sleeper is not a SIGPIPE.
 */
#ifndef SEALANE_WIRE_DOORBELL_H
#define SEALANE_WIRE_DOORBELL_H

/* Makes a doorbell: out_fd to ring, peer_fd to be passed to the sleeper and closed. 0 or -errno. */
int seai_doorbell_new(int *ret_out_fd, int *ret_peer_fd);

/* What a peer passed becomes our end: checks that it is a pipe and gives it a description of our own. Takes fd on success. 0; -EBADMSG; -EMFILE. */
int seai_doorbell_accept(int *fd, int *ret_in_fd);

/* Never blocks, never fails: a full pipe has been rung already. */
void seai_doorbell_ring(int out_fd);

/* Makes it silent. Never blocks. */
void seai_doorbell_drain(int in_fd);

#endif
