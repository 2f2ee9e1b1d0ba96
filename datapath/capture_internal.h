/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture, inside: capture.c (ports thread), capture_worker.c (workers), capture_thread.c (the stream).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "datapath/capture.h"
#include "datapath/capture_filter.h"
#include "datapath/capture_quick.h"
#include "datapath/port.h"
#include "lib/shm_ring.h"

/* All rings of a capture together, as far as the least size of one allows. */
#define CAPTURE_BUFFER (1u << 24)
#define CAPTURE_MIN_RING (1u << 19)
#define CAPTURE_MAX_RING (1u << 22)

/* What stands in a ring, the packet's bytes behind it. */
struct capture_record {
	uint64_t tsc;
	uint32_t len;
	uint32_t caplen;
	uint32_t lost; /* by this worker since its last record */
	uint16_t queue;
	uint16_t gso_size; /* 0: one packet of the wire */
	uint8_t direction; /* enum pcapng_direction */
	uint8_t skip;      /* the device did not take it */
	uint8_t zero[6];
};

/* One worker's part of a capture. */
struct capture_worker {
	struct shm_ring in; /* the worker's side */
	_Atomic uint64_t seen, accepted, lost;
	uint64_t lost_told; /* in records */
	uint8_t *scratch;   /* NULL: the filter needs none */
	struct capture_quick quick;
	/* Between capture_sending() and capture_sent(): accepted packets, by their place in the batch. */
	unsigned n_pending;
	struct {
		struct capture_record *record; /* NULL: lost */
		unsigned place;
	} pending[TX_BATCH];
	struct shm_ring out; /* the thread's side */
	void *memory;
	/* The thread's: the oldest record of the ring. */
	struct capture_record *head; /* room for one with PACKET_MAX_LEN bytes behind */
	bool has_head;
} WEFT_CACHE_ALIGNED;

struct capture {
	/* Fixed. */
	uint32_t snaplen;
	uint64_t count;
	struct capture_filter *filter;
	struct capture_worker *per_worker;
	unsigned n_workers;
	int socket;   /* non-blocking; the client has the other end */
	int event_fd; /* wakes the thread */
	int news_fd;  /* wakes the ports thread */
	char port_name[PORT_NAME_SIZE];
	char *text;
	int pid;
	pthread_t thread;
	/* The ports thread's. */
	struct port *port; /* NULL: detached */
	bool in, out;
	/* From the thread. */
	_Atomic bool wants_end, has_ended;
	/* From the ports thread. */
	_Atomic bool detached;
	_Atomic(const char *) reason; /* a literal; why it ends, NULL: as the client wished */
};

/* The body of its thread; takes the capture. */
void *capture_thread(void *capture);
