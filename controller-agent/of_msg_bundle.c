/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles: messages that are kept until they are executed together, all or none.
 *
 * Adding:  a message is read and checked by itself at once, so that its sender hears early what is wrong with
 *          it; after that its bundle cannot be committed.
 * Commit:  a job. It executes the messages as one transaction, in slices, publishes that with one store, and
 *          answers when the datapath has followed. Meanwhile other connections are served; what would change
 *          rules waits. If one message fails, its error is sent under its own xid, then the commit's.
 * Limits:  of bundles, messages and bytes a connection; one that nobody touches for a minute is discarded.
 *
 * Spec: OpenFlow 1.4.0 s.6.8, s.7.3.9; for 1.3 ONF extension 230.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/of_conn.h"
#include "controller-agent/of_msg.h"
#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "lib/error.h"
#include "ofproto/of_group.h"
#include "ofproto/of_meter.h"

#define MAX_BUNDLES 32u
#define MAX_MESSAGES (1u << 20)      /* a bundle */
#define MAX_BYTES ((size_t)64 << 20) /* a connection */
#define IDLE_MS 60000u
#define PREPARE_STEPS 32u
#define FINISH_STEPS 256u
#define QUOTED 64u /* bytes of a commit that are kept for its error */

enum bundle_flags {
	BUNDLE_ATOMIC = 1 << 0,
	BUNDLE_ORDERED = 1 << 1, /* they always are */
	BUNDLE_FLAGS = BUNDLE_ATOMIC | BUNDLE_ORDERED,
};

struct message {
	struct list link;
	struct of_request rq; /* points into @bytes */
	uint8_t bytes[];
};

struct bundle {
	struct list link;
	struct list messages;
	size_t n;
	size_t bytes;
	uint64_t touched_ms;
	uint32_t id;
	uint32_t xid; /* of what opened it */
	uint16_t flags;
	bool is_closed;
	bool is_spoilt; /* a message could not be added */
};

struct commit {
	struct of_job job;
	struct timers *timers;
	struct bundle *bundle; /* NULL: freed */
	struct list *next;     /* message to be executed */
	struct of_txn *txn;
	bool is_published;
	struct of_request rq; /* of the commit; points into @request */
	uint8_t request[QUOTED];
};

static void on_idle(void *conn);
static enum of_job_next prepare(struct of_job *job);
static enum of_job_next finish(struct of_job *job);
static enum of_job_next answer(struct of_job *job);
static enum of_job_next release(struct of_job *job);
static void uninit(struct of_job *job);

void
of_bundles_init(struct of_conn *c)
{
	list_init(&c->bundles);
	timer_init(&c->bundle_timer, on_idle, c);
}

/* --- bundles ------------------------------------------------------------------------------------ */

static struct bundle *
find(struct of_conn *c, uint32_t id)
{
	struct bundle *b;

	LIST_FOREACH (b, link, &c->bundles) {
		if (b->id == id) {
			b->touched_ms = timers_now(of_conn_service(c)->timers);
			return b;
		}
	}
	return NULL;
}

static void
take_out(struct of_conn *c, struct bundle *b)
{
	list_remove(&b->link);
	c->n_bundles--;
	c->bundle_bytes -= b->bytes;
}

/* Frees at most so many messages, and the bundle with the last. True: more are left. */
static bool
free_some(struct bundle *b, unsigned n)
{
	while (!list_is_empty(&b->messages)) {
		struct message *m = LIST_ENTRY(b->messages.next, struct message, link);

		if (!n--) {
			return true;
		}
		list_remove(&m->link);
		free(m);
	}
	free(b);
	return false;
}

static void
discard(struct of_conn *c, struct bundle *b)
{
	take_out(c, b);
	free_some(b, UINT_MAX);
}

void
of_bundles_uninit(struct of_conn *c)
{
	timer_cancel(&c->bundle_timer);
	while (!list_is_empty(&c->bundles)) {
		discard(c, LIST_ENTRY(c->bundles.next, struct bundle, link));
	}
}

static bool
refuse(struct weft_error *err, enum of_bundle_failed_code code, uint32_t id, const char *why)
{
	return of_error_set(err, OFPET_BUNDLE_FAILED, code, "bundle %u: %s", id, why);
}

static struct bundle *
open_bundle(struct of_conn *c, const struct of_request *rq, uint32_t id, uint16_t flags,
	struct weft_error *err)
{
	struct timers *timers = of_conn_service(c)->timers;
	struct bundle *b;

	if (flags & ~BUNDLE_FLAGS) {
		refuse(err, OFPBFC_BAD_FLAGS, id, "flags that are not known");
		return NULL;
	}
	if (c->n_bundles == MAX_BUNDLES) {
		refuse(err, OFPBFC_OUT_OF_BUNDLES, id, "too many are open on this connection");
		return NULL;
	}
	b = xcalloc(1, sizeof(*b));
	list_init(&b->messages);
	b->id = id;
	b->xid = rq->xid;
	b->flags = flags;
	b->touched_ms = timers_now(timers);
	list_push_back(&c->bundles, &b->link);
	c->n_bundles++;
	if (!timer_is_armed(&c->bundle_timer)) {
		timer_set(timers, &c->bundle_timer, b->touched_ms + IDLE_MS);
	}
	return b;
}

static void
on_idle(void *conn)
{
	struct of_conn *c = conn;
	struct timers *timers = of_conn_service(c)->timers;
	uint64_t now = timers_now(timers), next = UINT64_MAX;
	struct list *l, *after;

	for (l = c->bundles.next; l != &c->bundles; l = after) {
		struct bundle *b = LIST_ENTRY(l, struct bundle, link);

		after = l->next;
		if (b->touched_ms + IDLE_MS <= now) {
			struct of_request rq = {.type = OF_MSG_BUNDLE_CONTROL, .xid = b->xid};
			struct weft_error err = WEFT_ERROR_INIT;

			refuse(&err, OFPBFC_TIMEOUT, b->id, "nobody has touched it for a minute");
			discard(c, b);
			of_conn_send_error(c, &rq, &err);
		} else {
			next = WEFT_MIN(next, b->touched_ms + IDLE_MS);
		}
	}
	if (next != UINT64_MAX) {
		timer_set(timers, &c->bundle_timer, next);
	}
}

/* --- control ------------------------------------------------------------------------------------ */

static void
start_commit(struct of_conn *c, const struct of_request *rq, struct bundle *b)
{
	struct commit *k = of_job_create(c, rq, sizeof(*k), prepare, uninit);

	k->timers = of_conn_service(c)->timers;
	k->bundle = b;
	k->rq = *rq;
	k->rq.len = WEFT_MIN(rq->len, sizeof(k->request));
	k->rq.msg = k->request;
	memcpy(k->request, rq->msg, k->rq.len);
	take_out(c, b);
	of_msg_note_change(c, timers_now(of_conn_service(c)->timers));
	of_job_start(&k->job);
}

static bool
run_control(struct of_conn *c, const struct of_request *rq, const struct of_bundle_control *bc,
	struct weft_error *err)
{
	struct bundle *b = find(c, bc->id);

	if (bc->type == OF_BUNDLE_OPEN) {
		return b ? refuse(err, OFPBFC_BUNDLE_EXIST, bc->id, "it exists already")
			 : open_bundle(c, rq, bc->id, bc->flags, err) != NULL;
	}
	if (bc->type != OF_BUNDLE_CLOSE && bc->type != OF_BUNDLE_COMMIT &&
		bc->type != OF_BUNDLE_DISCARD) {
		return refuse(err, OFPBFC_BAD_TYPE, bc->id, "no such control request");
	}
	if (!b) {
		return refuse(err, OFPBFC_BAD_ID, bc->id, "it does not exist");
	}
	if (bc->type == OF_BUNDLE_DISCARD) {
		discard(c, b);
		return true;
	}
	if (bc->flags != b->flags) {
		return refuse(err, OFPBFC_BAD_FLAGS, bc->id, "it was opened with other flags");
	}
	if (bc->type == OF_BUNDLE_CLOSE) {
		if (b->is_closed) {
			return refuse(err, OFPBFC_BUNDLE_CLOSED, bc->id, "it is closed already");
		}
		b->is_closed = true;
		return true;
	}
	if (b->is_spoilt) {
		discard(c, b);
		return refuse(err, OFPBFC_MSG_FAILED, bc->id,
			"a message that was to be added was refused");
	}
	start_commit(c, rq, b);
	return true;
}

void
of_msg_bundle_control(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_bundle_control bc;

	if (!c->codec->get_bundle_control(rq->body, rq->body_len, &bc, &err) ||
		!run_control(c, rq, &bc, &err)) {
		of_conn_send_error(c, rq, &err);
	} else if (bc.type != OF_BUNDLE_COMMIT) { /* which answers when it is done */
		bc.type++;
		c->codec->put_bundle_control(&c->out, rq->xid, &bc);
		of_conn_send(c);
	}
}

/* --- adding ------------------------------------------------------------------------------------- */

/* Executes a message (@txn), or sees whether it can be read. A port-mod is only checked: it is executed when
 * nothing can fail any more. */
static bool
run_message(
	struct of_conn *c, const struct of_request *rq, struct of_txn *txn, struct weft_error *err)
{
	uint64_t now = timers_now(of_conn_service(c)->timers);
	struct ofproto *p = c->sw->ofproto;
	struct of_flow_mod fm;
	struct of_group_mod gm;
	struct of_meter_mod mm;
	struct of_port_mod pm;
	bool ok;

	switch (rq->type) {
	case OF_MSG_FLOW_MOD:
		ok = of_msg_get_flow_mod(c, rq, &fm, err) &&
		     (!txn || of_txn_flow_mod(txn, p, &fm, now, err));
		of_flow_mod_uninit(&fm);
		return ok;
	case OF_MSG_GROUP_MOD:
		ok = c->codec->get_group_mod(
			     rq->body, rq->body_len, ofproto_tlvs(c->sw->ofproto), &gm, err) &&
		     (!txn || of_txn_group_mod(txn, p, &gm, now, err));
		of_group_mod_uninit(&gm);
		return ok;
	case OF_MSG_METER_MOD:
		return c->codec->get_meter_mod(rq->body, rq->body_len, &mm, err) &&
		       (!txn || of_txn_meter_mod(txn, p, &mm, now, err));
	case OF_MSG_PORT_MOD:
		return of_msg_get_port_mod(c, rq, &pm, err);
	default:
		return of_error_set(err, OFPET_BUNDLE_FAILED, OFPBFC_MSG_UNSUP,
			"%s cannot be in a bundle", of_msg_name(rq->type));
	}
}

static bool
check_message(struct of_conn *c, const struct bundle *b, const struct of_bundle_add *add,
	uint32_t xid, struct of_request *inner, struct weft_error *err)
{
	const struct of_wire_type *wire = of_codec_type(c->codec, add->msg[1]);

	*inner = (struct of_request){
		.type = wire ? (enum of_msg_type)wire->type : OF_MSG_N,
		.xid = get_be32(add->msg + 4),
		.msg = add->msg,
		.len = add->len,
		.body = add->msg + OFP_HEADER_SIZE,
		.body_len = add->len - OFP_HEADER_SIZE,
	};
	if (inner->xid != xid) {
		return refuse(err, OFPBFC_MSG_BAD_XID, b->id,
			"the message in it has another xid than the message around it");
	}
	if (add->msg[0] != c->codec->version) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_VERSION,
			"a message of version 0x%02x in a bundle", add->msg[0]);
	}
	if (inner->type == OF_MSG_PORT_MOD && b->flags & BUNDLE_ATOMIC) {
		return refuse(err, OFPBFC_MSG_UNSUP, b->id,
			"ports and rules cannot change in one atomic step");
	}
	if (wire && !of_wire_type_fits(wire, inner->body_len)) {
		return refuse(err, OFPBFC_MSG_BAD_LEN, b->id, "a message has a wrong length");
	}
	if (b->n == MAX_MESSAGES || c->bundle_bytes + add->len > MAX_BYTES) {
		return refuse(err, OFPBFC_MSG_TOO_MANY, b->id, "too many messages");
	}
	return run_message(c, inner, NULL, err);
}

static void
keep(struct of_conn *c, struct bundle *b, const struct of_request *rq)
{
	struct message *m = xmalloc(sizeof(*m) + rq->len);

	memcpy(m->bytes, rq->msg, rq->len);
	m->rq = *rq;
	m->rq.msg = m->bytes;
	m->rq.body = m->bytes + OFP_HEADER_SIZE;
	list_push_back(&b->messages, &m->link);
	b->n++;
	b->bytes += rq->len;
	c->bundle_bytes += rq->len;
}

void
of_msg_bundle_add(struct of_conn *c, const struct of_request *rq)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_bundle_add add = {.id = 0};
	struct of_request inner;
	bool ok = c->codec->get_bundle_add(rq->body, rq->body_len, &add, &err);
	struct bundle *b = find(c, add.id);

	if (ok && !b) {
		b = open_bundle(c, rq, add.id, add.flags, &err);
		ok = b != NULL;
	} else if (ok && b->is_closed) {
		ok = refuse(&err, OFPBFC_BUNDLE_CLOSED, b->id, "it is closed");
	} else if (ok && add.flags != b->flags) {
		ok = refuse(&err, OFPBFC_BAD_FLAGS, b->id, "it was opened with other flags");
	}
	if (ok && check_message(c, b, &add, rq->xid, &inner, &err)) {
		keep(c, b, &inner);
		return;
	}
	if (b) {
		b->is_spoilt = true;
	}
	of_conn_send_error(c, rq, &err);
}

/* --- commit ------------------------------------------------------------------------------------- */

/* Something else had to change rules: all anew, unless it is in force already. */
static void
lost(void *commit)
{
	((struct commit *)commit)->txn = NULL;
}

static enum of_job_next
fail(struct commit *k, const struct of_request *rq, const struct weft_error *why)
{
	struct of_conn *c = k->job.conn;
	struct weft_error err = WEFT_ERROR_INIT;

	of_txn_abort(k->txn);
	k->txn = NULL;
	of_conn_send_error(c, rq, why);
	refuse(&err, OFPBFC_MSG_FAILED, k->bundle->id, "a message in it failed");
	of_conn_send_error(c, &k->rq, &err);
	return OF_JOB_DONE;
}

/* They were checked; what the datapath says to them is told under their own xids. */
static void
run_port_mods(struct commit *k)
{
	struct of_conn *c = k->job.conn;
	struct of_service *s = of_conn_service(c);
	struct message *m;

	if (k->bundle->flags & BUNDLE_ATOMIC) {
		return; /* there are none */
	}
	LIST_FOREACH (m, link, &k->bundle->messages) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct of_port_mod pm;

		if (m->rq.type == OF_MSG_PORT_MOD &&
			(!of_msg_get_port_mod(c, &m->rq, &pm, &err) ||
				!s->ops.port_mod(s->ops.user, c->sw->ofproto, pm.port,
					pm.config & pm.mask, pm.mask, &err))) {
			of_conn_send_error(c, &m->rq, &err);
		}
	}
}

static enum of_job_next
prepare(struct of_job *job)
{
	struct commit *k = WEFT_CONTAINER_OF(job, struct commit, job);
	struct of_conn *c = job->conn;

	if (!k->txn) {
		k->txn = of_txn_begin(ofproto_model(c->sw->ofproto), lost, k);
		if (!k->txn) {
			return OF_JOB_LATER;
		}
		k->next = k->bundle->messages.next;
	}
	for (unsigned i = 0; i < PREPARE_STEPS && k->next != &k->bundle->messages; i++) {
		struct message *m = LIST_ENTRY(k->next, struct message, link);
		struct weft_error err = WEFT_ERROR_INIT;

		of_conn_service(c)->counters.flow_mods += m->rq.type == OF_MSG_FLOW_MOD;
		if (!run_message(c, &m->rq, k->txn, &err)) {
			return fail(k, &m->rq, &err);
		}
		k->next = k->next->next;
	}
	if (k->next != &k->bundle->messages) {
		return OF_JOB_AGAIN;
	}
	k->is_published = true;
	of_txn_publish(k->txn);
	run_port_mods(k);
	job->step = finish;
	return OF_JOB_AGAIN;
}

static enum of_job_next
finish(struct of_job *job)
{
	struct commit *k = WEFT_CONTAINER_OF(job, struct commit, job);
	struct of_service *s = of_conn_service(job->conn);

	if (k->txn && of_txn_finish(k->txn, timers_now(s->timers), FINISH_STEPS)) {
		return OF_JOB_AGAIN;
	}
	k->txn = NULL;
	job->step = answer;
	job->is_waiting = true;
	s->ops.barrier(s->ops.user, job->conn->sw->ofproto, of_job_done, job);
	return OF_JOB_WAIT;
}

static enum of_job_next
answer(struct of_job *job)
{
	struct commit *k = WEFT_CONTAINER_OF(job, struct commit, job);
	struct of_conn *c = job->conn;
	struct of_bundle_control reply = {
		.id = k->bundle->id,
		.type = OF_BUNDLE_COMMIT + 1,
		.flags = k->bundle->flags,
	};

	c->codec->put_bundle_control(&c->out, job->xid, &reply);
	of_conn_send(c);
	job->step = release;
	return OF_JOB_AGAIN;
}

static enum of_job_next
release(struct of_job *job)
{
	struct commit *k = WEFT_CONTAINER_OF(job, struct commit, job);

	if (free_some(k->bundle, FINISH_STEPS)) {
		return OF_JOB_AGAIN;
	}
	k->bundle = NULL;
	return OF_JOB_DONE;
}

static void
uninit(struct of_job *job)
{
	struct commit *k = WEFT_CONTAINER_OF(job, struct commit, job);
	struct of_txn *txn = k->txn;

	if (txn && k->is_published) {
		while (of_txn_finish(txn, timers_now(k->timers), UINT_MAX)) {
		}
	} else if (txn) {
		of_txn_abort(txn);
	}
	if (k->bundle) {
		free_some(k->bundle, UINT_MAX);
	}
}
