/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel: one OpenFlow connection, as a stream of whole messages.
 *
 * What:     cuts the stream into messages, agrees on a version, answers echo requests, probes a silent
 *           peer. What the messages mean is the user's business; the channel knows only what all
 *           versions have in common: the header, HELLO, ERROR, ECHO.
 * Hello:    ours names the highest version that is allowed and a bitmap of all. The highest common
 *           version counts if both sent bitmaps, else the lower one of both headers. Without one:
 *           error HELLO_FAILED/INCOMPATIBLE, then the end.
 * Order:    one message is handed out after the other; the user may pause the stream, and the channel
 *           does so by itself while CHANNEL_REPLY_HIGH bytes wait to be sent: a peer that does not
 *           read its replies is not served any more and costs nobody else anything. At most
 *           CHANNEL_TURN messages are handed out before others get their turn.
 * Probe:    a peer that was silent for the probe interval gets an echo request; silent for another
 *           one, it is disconnected. While the stream is paused nothing is judged, but a peer that
 *           takes nothing of what waits for it in two intervals is disconnected as well.
 * Limits:   CHANNEL_OUT_MAX bytes that wait to be sent: beyond, the peer is disconnected.
 * Life:     closed() is called once, by any end but channel_destroy(); the channel must then be
 *           destroyed. It may be destroyed inside each callback.
 * Threads:  the loop.
 * Spec:     OpenFlow 1.3.5 s.6.3.1, s.6.3.2, s.6.4, s.A.1, s.A.5.1, s.A.5.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct channel;
struct event_base;
struct timers;

#define CHANNEL_TURN 64u
#define CHANNEL_REPLY_HIGH (256u << 10)
#define CHANNEL_OUT_MAX (16u << 20)
#define CHANNEL_IN_MAX (128u << 10)           /* two messages */
#define CHANNEL_ERROR_DATA (UINT16_MAX - 16u) /* more of a request than that is not quoted */

#define OFP_HEADER_SIZE 8u

/* Types that are the same in all versions. */
enum ofp_common_type {
	OFPT_HELLO,
	OFPT_ERROR,
	OFPT_ECHO_REQUEST,
	OFPT_ECHO_REPLY,
};

enum channel_end {
	CHANNEL_END_PEER,    /* the peer closed, or the network did */
	CHANNEL_END_VERSION, /* no version in common */
	CHANNEL_END_GARBAGE, /* what came was not OpenFlow */
	CHANNEL_END_SILENT,  /* no answer to a probe, or no hello */
	CHANNEL_END_STALLED, /* the peer does not read */
	CHANNEL_END_US,      /* channel_end() */
};

struct channel_ops {
	/* The version is agreed on. */
	void (*opened)(void *user);
	/* A whole message of the agreed version, but no echo and no hello. Borrowed. */
	void (*message)(void *user, const uint8_t *msg, size_t len);
	/* Fewer than CHANNEL_REPLY_HIGH bytes wait now. May come without need. */
	void (*drained)(void *user);
	void (*closed)(void *user, enum channel_end end, const char *why);
};

struct channel_setup {
	int fd;             /* connected, non-blocking; taken */
	struct ssl_st *tls; /* a session of OpenSSL's, taken; NULL: plain */
	bool is_server;     /* of TLS: the peer began */
	uint32_t versions;  /* bitmap by wire number: 1 << 4 is OpenFlow 1.3 */
	uint32_t probe_ms;  /* 0: never probe */
	uint32_t hello_ms;  /* how long the peer may take for its hello */
};

/* Sends the hello. No callback comes before the loop runs again. */
struct channel *channel_create(struct event_base *base, struct timers *timers,
	const struct channel_setup *setup, const struct channel_ops *ops, void *user);
void channel_destroy(struct channel *ch);

/* Agreed version, 0 before. */
uint8_t channel_version(const struct channel *ch);
bool channel_is_open(const struct channel *ch);
/* When the peer was heard last, by the clock of the timers. */
uint64_t channel_heard_ms(const struct channel *ch);
void channel_set_probe(struct channel *ch, uint32_t probe_ms);

/* Sends whole messages (a copy is taken). Never calls back. Nothing happens after the end. */
void channel_send(struct channel *ch, const void *data, size_t size);
/* Bytes that wait to be sent. */
size_t channel_backlog(const struct channel *ch);
/* Whether replies should wait until drained() is called. */
bool channel_is_full(const struct channel *ch);
/* Sends OFPT_ERROR with the first bytes of @request, in @version. */
void channel_send_error(struct channel *ch, uint8_t version, uint16_t type, uint16_t code,
	const uint8_t *request, size_t len);

/* Hands out no more messages until resumed. Pauses nest. */
void channel_pause(struct channel *ch);
void channel_resume(struct channel *ch);

/* Sends what it can without waiting and ends the connection: closed() is called, if it was not. */
void channel_end(struct channel *ch, enum channel_end end, const char *format, ...)
	WEFT_PRINTF(3, 4);

uint64_t channel_rx_messages(const struct channel *ch);
uint64_t channel_tx_messages(const struct channel *ch);
