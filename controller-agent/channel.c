/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel: one OpenFlow connection, as a stream of whole messages.
 *
 * Life: a callback may destroy the channel: functions that call back enter and leave, and the memory goes
 *       with the last one that leaves.
 */
#include "controller-agent/channel.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "controller-agent/timers.h"
#include "controller-agent/tls.h"
#include "lib/alloc.h"
#include "lib/byteorder.h"
#include "ofproto/of_error.h"

#define HELLO_ELEM_BITMAP 1u
#define UNREAD_MS 100u
#define BITMAP_VERSIONS 32u

enum state {
	STATE_HELLO,
	STATE_OPEN,
	STATE_ENDED,
};

struct channel {
	struct bufferevent *bev;
	SSL *tls;             /* the bufferevent's; NULL: plain */
	struct event *more;   /* goes on after CHANNEL_TURN messages */
	struct evbuffer *out; /* sent in this turn; then tried at once */
	struct event *flush;
	struct timers *timers;
	struct timer timer; /* hello or probe */
	struct channel_ops ops;
	void *user;
	uint64_t heard_ms;
	uint64_t probed_ms; /* when the last echo request was sent */
	uint64_t rx_messages;
	uint64_t tx_messages;
	uint64_t n_bytes;      /* handed to channel_send() */
	uint64_t n_read_bytes; /* of them the peer's side had taken when the timer fired last */
	uint32_t versions;
	uint32_t probe_ms;
	uint32_t next_xid;
	unsigned n_paused;
	unsigned entered;
	enum state state;
	uint8_t version;
	bool destroyed;
	bool is_probed;  /* and nothing was heard since */
	bool is_full;    /* drained() is due */
	bool is_stalled; /* too much waits to be sent; ends in the next turn */
};

static void leave(struct channel *ch);
static void send_header(struct channel *ch, uint8_t version, uint8_t type, uint32_t xid,
	const void *body, size_t len);
static void send_hello(struct channel *ch);
static uint8_t highest(uint32_t versions);
static void run(struct channel *ch);
static bool is_stopped(const struct channel *ch);
static void take_message(struct channel *ch, const uint8_t *msg, size_t len);
static bool is_refusal(const uint8_t *msg, size_t len);
static void take_hello(struct channel *ch, const uint8_t *msg, size_t len);
static uint32_t hello_bitmap(const uint8_t *msg, size_t len, bool *found);
static void refuse_version(struct channel *ch, const uint8_t *msg);
static void set_probe_timer(struct channel *ch);
static uint64_t probe_due(const struct channel *ch);
static void heard(struct channel *ch);
static bool is_busy(struct channel *ch);
static void end_stalled(struct channel *ch);
static void flush_tls(SSL *tls, struct evbuffer *out);
static void flush_now(struct channel *ch);
static void on_readable(struct bufferevent *bev, void *user);
static void on_writable(struct bufferevent *bev, void *user);
static void on_event(struct bufferevent *bev, short what, void *user);
static void on_more(evutil_socket_t fd, short what, void *user);
static void on_flush(evutil_socket_t fd, short what, void *user);
static void on_timer(void *arg);

struct channel *
channel_create(struct event_base *base, struct timers *timers, const struct channel_setup *setup,
	const struct channel_ops *ops, void *user)
{
	struct channel *ch = xcalloc(1, sizeof(*ch));

	ch->tls = setup->tls;
	ch->bev = setup->tls ? bufferevent_openssl_socket_new(base, setup->fd, setup->tls,
				       setup->is_server ? BUFFEREVENT_SSL_ACCEPTING
							: BUFFEREVENT_SSL_CONNECTING,
				       BEV_OPT_CLOSE_ON_FREE)
			     : bufferevent_socket_new(base, setup->fd, BEV_OPT_CLOSE_ON_FREE);
	ch->more = event_new(base, -1, 0, on_more, ch);
	ch->out = evbuffer_new();
	ch->flush = event_new(base, -1, 0, on_flush, ch);
	ch->timers = timers;
	timer_init(&ch->timer, on_timer, ch);
	ch->ops = *ops;
	ch->user = user;
	ch->versions = setup->versions;
	ch->probe_ms = setup->probe_ms;
	ch->heard_ms = timers_now(timers);
	ch->next_xid = 1;
	bufferevent_setcb(ch->bev, on_readable, on_writable, on_event, ch);
	bufferevent_setwatermark(ch->bev, EV_READ, 0, CHANNEL_IN_MAX);
	bufferevent_setwatermark(ch->bev, EV_WRITE, CHANNEL_REPLY_HIGH / 2, 0);
	bufferevent_enable(ch->bev, EV_READ | EV_WRITE);
	timer_set(timers, &ch->timer, ch->heard_ms + setup->hello_ms);
	send_hello(ch);
	return ch;
}

void
channel_destroy(struct channel *ch)
{
	if (!ch || ch->destroyed) {
		return;
	}
	if (ch->state != STATE_ENDED) {
		flush_now(ch);
		ch->state = STATE_ENDED;
	}
	timer_cancel(&ch->timer);
	ch->destroyed = true;
	ch->entered++;
	leave(ch);
}

static void
leave(struct channel *ch)
{
	if (--ch->entered || !ch->destroyed) {
		return;
	}
	event_free(ch->more);
	event_free(ch->flush);
	evbuffer_free(ch->out);
	bufferevent_free(ch->bev);
	free(ch);
}

uint8_t
channel_version(const struct channel *ch)
{
	return ch->version;
}

bool
channel_is_open(const struct channel *ch)
{
	return ch->state == STATE_OPEN;
}

uint64_t
channel_heard_ms(const struct channel *ch)
{
	return ch->heard_ms;
}

void
channel_set_probe(struct channel *ch, uint32_t probe_ms)
{
	ch->probe_ms = probe_ms;
	if (ch->state == STATE_OPEN) {
		set_probe_timer(ch);
	}
}

/* --- sending ------------------------------------------------------------------------------------ */

void
channel_send(struct channel *ch, const void *data, size_t size)
{
	if (ch->state == STATE_ENDED || ch->is_stalled || !size) {
		return;
	}
	if (!evbuffer_get_length(ch->out)) {
		event_active(ch->flush, EV_WRITE, 0);
	}
	evbuffer_add(ch->out, data, size);
	ch->n_bytes += size;
	ch->tx_messages++;
	if (channel_backlog(ch) >= CHANNEL_REPLY_HIGH) {
		ch->is_full = true;
	}
	if (channel_backlog(ch) > CHANNEL_OUT_MAX) {
		/* The end comes from the loop: callers go on after sending. */
		ch->is_stalled = true;
		event_add(ch->more, &(struct timeval){0, 0});
	}
}

size_t
channel_backlog(const struct channel *ch)
{
	return evbuffer_get_length(bufferevent_get_output(ch->bev)) + evbuffer_get_length(ch->out);
}

bool
channel_is_full(const struct channel *ch)
{
	return ch->is_full;
}

void
channel_send_error(struct channel *ch, uint8_t version, uint16_t type, uint16_t code,
	const uint8_t *request, size_t len)
{
	size_t quoted = WEFT_MIN(len, (size_t)CHANNEL_ERROR_DATA);
	uint8_t *body = xmalloc(4 + quoted);

	put_be16(body, type);
	put_be16(body + 2, code);
	memcpy(body + 4, request, quoted);
	send_header(ch, version, OFPT_ERROR, len >= OFP_HEADER_SIZE ? get_be32(request + 4) : 0,
		body, 4 + quoted);
	free(body);
}

static void
send_header(struct channel *ch, uint8_t version, uint8_t type, uint32_t xid, const void *body,
	size_t len)
{
	uint8_t *msg = xmalloc(OFP_HEADER_SIZE + len);

	msg[0] = version;
	msg[1] = type;
	put_be16(msg + 2, (uint16_t)(OFP_HEADER_SIZE + len));
	put_be32(msg + 4, xid);
	if (len) {
		memcpy(msg + OFP_HEADER_SIZE, body, len);
	}
	channel_send(ch, msg, OFP_HEADER_SIZE + len);
	free(msg);
}

static void
send_hello(struct channel *ch)
{
	uint8_t element[8];

	put_be16(element, HELLO_ELEM_BITMAP);
	put_be16(element + 2, sizeof(element));
	put_be32(element + 4, ch->versions);
	send_header(
		ch, highest(ch->versions), OFPT_HELLO, ch->next_xid++, element, sizeof(element));
}

static uint8_t
highest(uint32_t versions)
{
	return versions ? (uint8_t)(31 - __builtin_clz(versions)) : 0;
}

/* --- receiving ---------------------------------------------------------------------------------- */

void
channel_pause(struct channel *ch)
{
	ch->n_paused++;
}

void
channel_resume(struct channel *ch)
{
	if (--ch->n_paused == 0 && ch->state != STATE_ENDED) {
		/* What came meanwhile waits in the buffer, and no read event will tell. The probe
		 * interval begins anew. */
		heard(ch);
		event_add(ch->more, &(struct timeval){0, 0});
	}
}

/* Hands out what has arrived, a turn's worth. */
static void
run(struct channel *ch)
{
	struct evbuffer *in = bufferevent_get_input(ch->bev);
	uint8_t header[OFP_HEADER_SIZE];

	ch->entered++;
	for (unsigned n = 0; !is_stopped(ch); n++) {
		size_t len;

		if (evbuffer_copyout(in, header, sizeof(header)) < (ev_ssize_t)sizeof(header)) {
			break;
		}
		len = get_be16(header + 2);
		if (len < OFP_HEADER_SIZE) {
			channel_send_error(ch, ch->version ? ch->version : highest(ch->versions),
				OFPET_BAD_REQUEST, OFPBRC_BAD_LEN, header, sizeof(header));
			channel_end(ch, CHANNEL_END_GARBAGE,
				"a message claims a length of %zu bytes", len);
			break;
		}
		if (ch->state == STATE_HELLO && header[1] != OFPT_HELLO &&
			header[1] != OFPT_ERROR) {
			channel_end(ch, CHANNEL_END_GARBAGE,
				"the first message is of type %u, not a hello", header[1]);
			break;
		}
		if (evbuffer_get_length(in) < len) {
			break;
		}
		if (n == CHANNEL_TURN) {
			event_add(ch->more, &(struct timeval){0, 0});
			break;
		}
		ch->rx_messages++;
		take_message(ch, evbuffer_pullup(in, (ev_ssize_t)len), len);
		evbuffer_drain(in, len);
	}
	leave(ch);
}

static bool
is_stopped(const struct channel *ch)
{
	return ch->state == STATE_ENDED || ch->n_paused || ch->is_full;
}

static void
take_message(struct channel *ch, const uint8_t *msg, size_t len)
{
	if (ch->state == STATE_HELLO) {
		take_hello(ch, msg, len);
	} else if (msg[1] == OFPT_HELLO) {
		/* Allowed at any time, of any version; means nothing now. */
	} else if (is_refusal(msg, len)) {
		/* Of its own version: to us it looked as if there were one in common. */
		channel_end(ch, CHANNEL_END_VERSION,
			"the peer, of version 0x%02x, refused our hello", msg[0]);
	} else if (msg[0] != ch->version) {
		channel_send_error(
			ch, ch->version, OFPET_BAD_REQUEST, OFPBRC_BAD_VERSION, msg, len);
		channel_end(ch, CHANNEL_END_GARBAGE,
			"a message of version 0x%02x where 0x%02x was agreed on", msg[0],
			ch->version);
	} else if (msg[1] == OFPT_ECHO_REQUEST) {
		send_header(ch, ch->version, OFPT_ECHO_REPLY, get_be32(msg + 4),
			msg + OFP_HEADER_SIZE, len - OFP_HEADER_SIZE);
	} else if (msg[1] != OFPT_ECHO_REPLY) {
		ch->ops.message(ch->user, msg, len);
	}
}

static bool
is_refusal(const uint8_t *msg, size_t len)
{
	return msg[1] == OFPT_ERROR && len >= OFP_HEADER_SIZE + 4 &&
	       get_be16(msg + OFP_HEADER_SIZE) == OFPET_HELLO_FAILED;
}

static void
take_hello(struct channel *ch, const uint8_t *msg, size_t len)
{
	bool has_bitmap;
	uint32_t common;
	uint8_t version;

	if (msg[1] == OFPT_ERROR) {
		channel_end(ch, CHANNEL_END_VERSION, "the peer refused our hello");
		return;
	}
	common = hello_bitmap(msg, len, &has_bitmap) & ch->versions;
	if (has_bitmap) {
		version = highest(common);
	} else {
		version = WEFT_MIN(msg[0], highest(ch->versions));
		if (version >= BITMAP_VERSIONS || !(ch->versions & 1u << version)) {
			version = 0;
		}
	}
	if (!version) {
		refuse_version(ch, msg);
		return;
	}
	ch->version = version;
	ch->state = STATE_OPEN;
	set_probe_timer(ch);
	ch->ops.opened(ch->user);
}

/* The versions that a hello's bitmap names. An element with a wrong length ends the search: whatever
 * stands in a hello's body may be an extension that we do not know. */
static uint32_t
hello_bitmap(const uint8_t *msg, size_t len, bool *found)
{
	size_t at = OFP_HEADER_SIZE;

	*found = false;
	while (at + 4 <= len) {
		size_t element = get_be16(msg + at + 2);

		if (element < 4 || at + element > len) {
			break;
		}
		if (get_be16(msg + at) == HELLO_ELEM_BITMAP && element >= 8) {
			*found = true;
			return get_be32(msg + at + 4);
		}
		at += WEFT_ROUND_UP(element, 8);
	}
	return 0;
}

static void
refuse_version(struct channel *ch, const uint8_t *msg)
{
	char text[128];
	uint8_t body[4 + sizeof(text)];
	int n = snprintf(text, sizeof(text),
		"none of your versions (header 0x%02x) is among ours (bitmap 0x%02x)", msg[0],
		ch->versions);

	put_be16(body, OFPET_HELLO_FAILED);
	put_be16(body + 2, OFPHFC_INCOMPATIBLE);
	memcpy(body + 4, text, (size_t)n);
	send_header(ch, WEFT_MIN(highest(ch->versions), WEFT_MAX(msg[0], 1)), OFPT_ERROR,
		get_be32(msg + 4), body, 4 + (size_t)n);
	channel_end(ch, CHANNEL_END_VERSION,
		"no OpenFlow version in common: the peer's hello is of 0x%02x", msg[0]);
}

/* --- the end ------------------------------------------------------------------------------------ */

void
channel_end(struct channel *ch, enum channel_end end, const char *format, ...)
{
	char why[256];
	va_list args;

	if (ch->state == STATE_ENDED) {
		return;
	}
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	flush_now(ch);
	ch->state = STATE_ENDED;
	timer_cancel(&ch->timer);
	bufferevent_disable(ch->bev, EV_READ | EV_WRITE);
	event_del(ch->more);
	event_del(ch->flush);
	ch->entered++;
	ch->ops.closed(ch->user, end, why);
	leave(ch);
}

static void
end_stalled(struct channel *ch)
{
	channel_end(ch, CHANNEL_END_STALLED, "the peer does not read: %zu bytes wait to be sent",
		channel_backlog(ch));
}

/* What waits may begin with a record that was begun: it is written on. */
static void
flush_tls(SSL *tls, struct evbuffer *out)
{
	struct evbuffer_iovec piece;
	size_t done = 0, n;

	if (!SSL_is_init_finished(tls)) {
		return; /* nobody there to hear them */
	}
	ERR_clear_error();
	for (struct evbuffer_ptr at; done < evbuffer_get_length(out); done += n) {
		evbuffer_ptr_set(out, &at, done, EVBUFFER_PTR_SET);
		if (evbuffer_peek(out, -1, &at, &piece, 1) < 1 ||
			SSL_write_ex(tls, piece.iov_base, piece.iov_len, &n) != 1) {
			break;
		}
	}
	SSL_shutdown(tls);
	ERR_clear_error();
}

/* Last words: hands to the kernel what it takes without waiting. What the peer has sent meanwhile is read
 * and dropped, since closing a TCP socket with unread bytes would make the kernel drop our words
 * too. */
static void
flush_now(struct channel *ch)
{
	struct evbuffer *out = bufferevent_get_output(ch->bev);
	evutil_socket_t fd = bufferevent_getfd(ch->bev);
	uint8_t sink[4096];

	if (fd < 0) {
		return;
	}
	evbuffer_add_buffer(out, ch->out);
	if (ch->tls) {
		flush_tls(ch->tls, out);
		shutdown(fd, SHUT_WR);
		return;
	}
	evbuffer_unfreeze(out, 1);
	while (evbuffer_get_length(out) && evbuffer_write(out, fd) > 0) {
	}
	evbuffer_freeze(out, 1);
	for (unsigned i = 0; i < 64 && recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0; i++) {
	}
	shutdown(fd, SHUT_WR);
}

/* --- events ------------------------------------------------------------------------------------- */

static void
set_probe_timer(struct channel *ch)
{
	timer_set(ch->timers, &ch->timer, ch->probe_ms ? probe_due(ch) : UINT64_MAX);
}

/* When something has to be done about the silence. */
static uint64_t
probe_due(const struct channel *ch)
{
	return (ch->is_probed ? ch->probed_ms : ch->heard_ms) + ch->probe_ms;
}

static void
heard(struct channel *ch)
{
	ch->heard_ms = timers_now(ch->timers);
	ch->is_probed = false;
}

/* Whether it is not for the peer to speak: we do not listen, and it takes what we send. */
static bool
is_busy(struct channel *ch)
{
	uint64_t n_read = ch->n_bytes - channel_backlog(ch), before = ch->n_read_bytes;

	ch->n_read_bytes = n_read;
	return ch->is_full ? n_read != before : ch->n_paused != 0;
}

/* Whether it is we who are late: something has come, and we have not looked yet. */
static bool
has_unread(const struct channel *ch)
{
	int n = 0;

	return !ioctl(bufferevent_getfd(ch->bev), FIONREAD, &n) && n > 0;
}

static void
on_timer(void *arg)
{
	struct channel *ch = arg;
	uint64_t now = timers_now(ch->timers);

	if (ch->state == STATE_HELLO && has_unread(ch)) {
		timer_set(ch->timers, &ch->timer, now + UNREAD_MS);
		return;
	}
	if (ch->state == STATE_HELLO) {
		channel_end(ch, CHANNEL_END_SILENT, "the peer sent no hello");
		return;
	}
	if (is_busy(ch)) {
		heard(ch);
	}
	if (now < probe_due(ch)) {
		/* Heard since the timer was set. */
	} else if (ch->is_probed && ch->is_full) {
		end_stalled(ch);
		return;
	} else if (ch->is_probed) {
		channel_end(ch, CHANNEL_END_SILENT, "no answer to an echo request within %u ms",
			ch->probe_ms);
		return;
	} else {
		ch->is_probed = true;
		ch->probed_ms = now;
		send_header(ch, ch->version, OFPT_ECHO_REQUEST, ch->next_xid++, NULL, 0);
	}
	if (ch->state == STATE_OPEN) {
		set_probe_timer(ch);
	}
}

static void
on_readable(struct bufferevent *bev, void *user)
{
	struct channel *ch = user;

	(void)bev;
	heard(ch);
	run(ch);
}

static void
on_writable(struct bufferevent *bev, void *user)
{
	struct channel *ch = user;

	(void)bev;
	if (!ch->is_full || ch->state == STATE_ENDED) {
		return;
	}
	ch->is_full = false;
	ch->entered++;
	ch->ops.drained(ch->user);
	if (ch->state != STATE_ENDED) {
		run(ch);
	}
	leave(ch);
}

static void
on_event(struct bufferevent *bev, short what, void *user)
{
	struct channel *ch = user;
	int error = EVUTIL_SOCKET_ERROR();
	unsigned long tls_error = ch->tls ? bufferevent_get_openssl_error(bev) : 0;
	char why[256];

	if (ch->tls && what & (BEV_EVENT_ERROR | BEV_EVENT_EOF) &&
		(tls_error || !SSL_is_init_finished(ch->tls))) {
		channel_end(
			ch, CHANNEL_END_PEER, "%s", tls_why(ch->tls, tls_error, why, sizeof(why)));
	} else if (what & BEV_EVENT_EOF) {
		channel_end(ch, CHANNEL_END_PEER, "the peer closed the connection");
	} else if (what & BEV_EVENT_ERROR) {
		channel_end(ch, CHANNEL_END_PEER, "%s", evutil_socket_error_to_string(error));
	}
}

static void
on_more(evutil_socket_t fd, short what, void *user)
{
	struct channel *ch = user;

	(void)fd;
	(void)what;
	if (ch->is_stalled) {
		end_stalled(ch);
	} else {
		run(ch);
	}
}

/* What was sent in a turn goes to the kernel at its end, in one call; what it does not take waits for the
 * socket. */
static void
on_flush(evutil_socket_t fd, short what, void *user)
{
	struct channel *ch = user;
	struct evbuffer *waiting = bufferevent_get_output(ch->bev);

	(void)fd;
	(void)what;
	if (!ch->tls && !evbuffer_get_length(waiting)) {
		evbuffer_write(ch->out, bufferevent_getfd(ch->bev));
	}
	/* An error is told with the next event of the socket. */
	evbuffer_add_buffer(waiting, ch->out);
	if (ch->is_full && channel_backlog(ch) <= CHANNEL_REPLY_HIGH / 2) {
		on_writable(ch->bev, ch);
	}
}

/* --- counters ----------------------------------------------------------------------------------- */

uint64_t
channel_rx_messages(const struct channel *ch)
{
	return ch->rx_messages;
}

uint64_t
channel_tx_messages(const struct channel *ch)
{
	return ch->tx_messages;
}
