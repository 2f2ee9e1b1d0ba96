/* SPDX-License-Identifier: Apache-2.0
 *
 * Connection: one controller or client, from its hello on.
 *
 * What:     takes the channel's messages one after the other, finds their handlers (of_msg.h) and
 *           holds what belongs to the connection: role, filters, configuration.
 * Jobs:     a request that cannot be answered at once (a barrier, a long list) becomes a job. The
 *           channel is paused until it is done, so that replies come in order and nothing behind
 *           a barrier is executed before it (OpenFlow 1.3.5 s.6.2). A job runs in slices: again
 *           in the next turn of the loop, or when the peer has read, or by a callback.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller-agent/channel.h"
#include "controller-agent/of_codec.h"
#include "controller-agent/of_service_internal.h"
#include "controller-agent/packet_queue.h"
#include "lib/list.h"
#include "lib/strbuf.h"

struct of_conn;
struct weft_error;

#define OF_MULTIPART_MAX (1u << 20) /* bytes of a connection's requests in parts */
#define OF_MAX_ASSEMBLIES 8u        /* of a connection */

/* A message as its handler sees it. */
struct of_request {
	enum of_msg_type type;
	uint32_t xid;
	const uint8_t *msg; /* whole */
	size_t len;
	const uint8_t *body; /* behind the header */
	size_t body_len;
};

enum of_job_next {
	OF_JOB_DONE,
	OF_JOB_AGAIN, /* in the next turn, or when the peer has read */
	OF_JOB_LATER, /* in a millisecond: somebody else must move first */
	OF_JOB_WAIT,  /* of_job_done() will come */
};

struct of_job {
	struct list link;     /* in the service's orphans, when the connection has ended */
	struct of_conn *conn; /* NULL: ended */
	uint32_t xid;
	bool is_waiting; /* of_job_done() is to come */
	/* The next slice. After OF_JOB_WAIT: what to do when the callback has come. */
	enum of_job_next (*step)(struct of_job *job);
	/* Frees what the job holds, not itself. NULL: nothing. */
	void (*uninit)(struct of_job *job);
};

/* A multipart request that comes in several messages. */
struct of_assembly {
	bool is_open;
	bool is_refused; /* it was too long: the messages that follow are refused too */
	uint32_t xid;
	enum of_part_type part;
	uint64_t touched; /* by @assembly_clock: the one that was left alone longest gives way */
	struct strbuf body;
};

struct of_conn {
	struct list link; /* in the switch's */
	struct of_switch *sw;
	struct of_controller *controller; /* NULL: a client of SWITCH.mgmt */
	struct channel *channel;
	const struct of_codec *codec; /* NULL: no version yet */
	struct of_job *job;           /* NULL: none */
	struct timer job_timer;
	struct strbuf out; /* for one reply at a time */
	enum of_role role;
	struct of_switch_config config;
	struct of_async async;
	struct of_assembly assemblies[OF_MAX_ASSEMBLIES];
	uint64_t assembly_clock;
	struct list bundles; /* of_msg_bundle.c */
	unsigned n_bundles;
	size_t bundle_bytes;
	struct timer bundle_timer;
	uint64_t since_ms;
	struct packet_queue packet_ins;
	struct timer packet_in_timer;
	char peer[CONNECTOR_PEER_MAX];
};

static inline struct of_service *
of_conn_service(const struct of_conn *c)
{
	return c->sw->service;
}

/* Sends what stands in @c->out and empties it. */
void of_conn_send(struct of_conn *c);
/* Answers a request by an error. One of another domain than OpenFlow's is a refusal (OFPBRC_EPERM). */
void of_conn_send_error(
	struct of_conn *c, const struct of_request *rq, const struct weft_error *err);
/* The same with numbers. */
void of_conn_refuse(struct of_conn *c, const struct of_request *rq, uint16_t type, uint16_t code);

/* Makes a job the connection's (which has none) and takes its first step. @size: of the struct that begins
 * with a struct of_job; zeroed. */
void *of_job_create(struct of_conn *c, const struct of_request *rq, size_t size,
	enum of_job_next (*step)(struct of_job *job), void (*uninit)(struct of_job *job));
void of_job_start(struct of_job *job);
/* An of_done_fn: the callback that a job waits for. */
void of_job_done(void *job);

/* A multipart reply: cut into messages as it grows. */
struct of_multi {
	uint32_t xid;
	enum of_part_type part;
	struct strbuf out;
	size_t start;
};

void of_multi_begin(
	struct of_multi *m, const struct of_conn *c, uint32_t xid, enum of_part_type part);
/* An entry has been appended to @m->out, which was @before bytes long. */
void of_multi_added(struct of_multi *m, struct of_conn *c, size_t before);
/* Sends the last message. */
void of_multi_end(struct of_multi *m, struct of_conn *c);
/* Without sending. */
void of_multi_uninit(struct of_multi *m);
