/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture: copies of a port's packets, filtered in the fast path, for whoever watches.
 *
 * What:     a worker runs the filter and copies what it accepts into a ring of its own for each
 *           capture; a thread of the capture's own takes the rings' records in the order of their
 *           times and writes them as pcapng into a stream socket, whose other end the client has.
 *           So the daemon opens no file, and the client's disk, pipe or death is nobody's trouble but
 *           its capture's: what finds a ring full is counted as lost.
 * Cost:     a port without a capture costs a look at a pointer for each burst.
 * Sent:     what a port's device took, as it was given to it: after all edits. A packet that the device
 *           takes and then cannot send (tx-too-long, tx-offload) is there all the same.
 * Checksum: one left to the receiver is completed in the copy.
 * End:      the client shuts its end down or dies, has got as many packets as it wanted, the port goes,
 *           the datapath stops. The thread asks, the ports thread detaches (unlink, grace
 *           period), the thread writes what is left, statistics and why, and goes. A client that does not
 *           read while its capture ends is given up after CAPTURE_PATIENCE_MS.
 * Threads:  made, detached and freed by the ports thread. Workers: capture_received() to
 *           capture_sent().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/packet.h"
#include "lib/pcapng.h"

struct bpf_insn;
struct capture; /* opaque; body in capture_internal.h */
struct port;
struct weft_error;

#define CAPTURE_MAX 8u
#define CAPTURE_MIN_SNAPLEN 14u
#define CAPTURE_PATIENCE_MS 2000

/* What is captured of one direction of a port; published as a whole. */
struct capture_set {
	unsigned n;
	struct capture *list[CAPTURE_MAX];
};

struct capture_options {
	const struct bpf_insn *insns; /* the filter; NULL: all packets */
	uint32_t n_insns;
	const char *text; /* of the filter, for the file; NULL */
	bool in, out;     /* directions */
	uint32_t snaplen; /* bytes of each packet, CAPTURE_MIN_SNAPLEN..PACKET_MAX_LEN */
	uint64_t count;   /* ends after so many; 0: goes on */
	int pid;          /* of the client, for messages; 0: unknown */
};

/* --- ports thread ---------------------------------------------------------------------------------- */

/* Returns a descriptor that becomes readable when captures_run() has work; or a negative errno. */
int captures_open(void) WEFT_REQUIRES(weft_ports);
/* Ends all captures and waits for their threads. */
void captures_close(void) WEFT_REQUIRES(weft_ports);
/* Detaches captures that want to end, frees those that have ended. */
void captures_run(void) WEFT_REQUIRES(weft_ports);

/* Starts a capture of a published port. Returns the client's end of the stream (blocking, the caller's);
 * -1 and @err. */
int capture_start(struct port *port, const struct capture_options *options, struct weft_error *err)
	WEFT_REQUIRES(weft_ports);

/* Ends the captures of a port that has been unpublished. */
void captures_port_gone(struct port *port) WEFT_REQUIRES(weft_ports);

/* --- workers ------------------------------------------------------------------------------------------ */

/* Captures what a port received. @worker: the calling one's number. */
void capture_received(const struct capture_set *set, unsigned worker, uint16_t queue,
	struct packet *const *pkts, unsigned n);

/* Before packets are given to the device, and after: how many it took. With the same @set. */
void capture_sending(const struct capture_set *set, unsigned worker, uint16_t queue,
	struct packet *const *pkts, unsigned n);
void capture_sent(const struct capture_set *set, unsigned worker, unsigned n_sent);
