/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: the sessions of tunnel ports, and the thread that runs them.
 *
 * What:     the thread sends when it is time, hears what workers have taken, and writes the word of its port that
 *           says whether the path is good. It needs no agent, and shares nothing with threads that carry
 *           load but a ring each way with every worker.
 * Out:      a control packet is made by a worker as a packet of the port, with recirculation id
 *           DP_RECIRC_OWN. It then goes as any packet does: a flow, or a miss whose translation
 *           puts it into the port's tunnel.
 * In:       flows output control packets that came out of the tunnel to the tunnel port itself; the worker
 *           looks at all that needs no state, the rest is the thread's.
 * Threads:  opened, set, closed and listed by the ports thread. One lock, of no worker, which the thread holds while
 *           it works; it inherits priority.
 * Lifetime: the thread exists while there are sessions. A session is closed when no worker can reach it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/bfd_frame.h"
#include "lib/compiler.h"

struct bfd_session; /* opaque */
struct packet;
struct port;
struct weft_error;

#define BFD_HEARD_RING_SIZE (1u << 16) /* worker to thread */
#define BFD_MADE_RING_SIZE (1u << 17)  /* thread to worker */
#define BFD_TAKEN (-1)

struct bfd_session_config {
	struct bfd_config bfd;
	struct bfd_frame_ends ends; /* @src_mac of zeroes: one is made; @src_port is made */
};

/* A record of the ring to a worker: the frame follows. */
struct bfd_made {
	uint32_t port;
	uint32_t len;
	uint8_t frame[];
};

struct bfd_session *bfd_session_open(struct port *port, const struct bfd_session_config *config,
	struct weft_error *err) WEFT_REQUIRES(weft_ports);
void bfd_session_set(struct bfd_session *s, const struct bfd_session_config *config)
	WEFT_REQUIRES(weft_ports);
/* No worker can reach it any more. NULL is fine. */
void bfd_session_close(struct bfd_session *s) WEFT_REQUIRES(weft_ports);

/* State, counters and times, for listings; a new object. */
json_t *bfd_session_json(struct bfd_session *s);
/* The same in a word or two. */
void bfd_session_text(struct bfd_session *s, char *text, uint32_t size);

/* Worker: a packet for the session; stays the caller's. BFD_TAKEN or a drop reason: bfd-bad,
 * bfd-unknown (it is for another session), bfd-flood. */
int bfd_session_take(struct bfd_session *s, const struct packet *p) WEFT_REQUIRES(weft_worker);
