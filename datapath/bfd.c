/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: the state machine. Sections are those of RFC 5880.
 */
#include "datapath/bfd.h"

#include <string.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"

#define VERSION 1u
#define FLAG_POLL 0x20u
#define FLAG_FINAL 0x10u
#define FLAG_AUTH 0x04u
#define FLAG_DEMAND 0x02u
#define FLAG_MULTIPOINT 0x01u
#define NEVER UINT64_MAX

static bool is_tx_allowed(const struct bfd *b);
static void set_state(struct bfd *b, enum bfd_state state, enum bfd_diag diag, uint64_t now);
static void update_parameters(struct bfd *b);
static void plan_tx(struct bfd *b);

/* --- packets ------------------------------------------------------------------------------------- */

bool
bfd_packet_parse(const uint8_t *bytes, uint32_t len, struct bfd_packet *p)
{
	/* s.6.8.6, in its order; what is said of the discriminators together with the state too. An
	 * authentication section would only make the packet longer. */
	if (len < BFD_PACKET_LEN || bytes[0] >> 5 != VERSION || bytes[3] < BFD_PACKET_LEN ||
		bytes[3] > len || !bytes[2] || bytes[1] & (FLAG_MULTIPOINT | FLAG_AUTH)) {
		return false;
	}
	*p = (struct bfd_packet){
		.diag = bytes[0] & 0x1f,
		.state = bytes[1] >> 6,
		.poll = bytes[1] & FLAG_POLL,
		.final = bytes[1] & FLAG_FINAL,
		.demand = bytes[1] & FLAG_DEMAND,
		.mult = bytes[2],
		.my_discr = get_be32(bytes + 4),
		.your_discr = get_be32(bytes + 8),
		.min_tx_us = get_be32(bytes + 12),
		.min_rx_us = get_be32(bytes + 16),
	};
	return p->my_discr && (p->your_discr || p->state <= BFD_DOWN);
}

void
bfd_packet_write(const struct bfd *b, uint8_t *bytes)
{
	/* Never both (s.6.5): the answer goes first. */
	bool poll = b->poll && !b->final;

	bytes[0] = (uint8_t)(VERSION << 5 | b->diag);
	bytes[1] = (uint8_t)(b->state << 6 | (poll ? FLAG_POLL : 0) | (b->final ? FLAG_FINAL : 0));
	bytes[2] = b->config.mult;
	bytes[3] = BFD_PACKET_LEN;
	put_be32(bytes + 4, b->local_discr);
	put_be32(bytes + 8, b->remote_discr);
	put_be32(bytes + 12, b->desired_min_tx);
	put_be32(bytes + 16, b->required_min_rx);
	put_be32(bytes + 20, 0); /* no echo */
}

/* --- life ---------------------------------------------------------------------------------------- */

void
bfd_init(struct bfd *b, uint32_t discr, const struct bfd_config *config, uint64_t now)
{
	memset(b, 0, sizeof(*b));
	b->config = *config;
	b->local_discr = discr;
	b->random = discr;
	b->remote_min_rx = 1; /* s.6.8.1 */
	b->remote_state = BFD_DOWN;
	b->state = config->admin_down ? BFD_ADMIN_DOWN : BFD_DOWN;
	b->diag = config->admin_down ? BFD_DIAG_ADMIN_DOWN : BFD_DIAG_NONE;
	b->detect_at = NEVER;
	b->state_since = now;
	b->last_tx = now;
	b->next_tx = now;
	update_parameters(b);
}

void
bfd_configure(struct bfd *b, const struct bfd_config *config, uint64_t now)
{
	bool is_new_mult = b->config.mult != config->mult;

	b->config = *config;
	if (config->admin_down && b->state != BFD_ADMIN_DOWN) {
		set_state(b, BFD_ADMIN_DOWN, BFD_DIAG_ADMIN_DOWN, now); /* s.6.8.16 */
	} else if (!config->admin_down && b->state == BFD_ADMIN_DOWN) {
		set_state(b, BFD_DOWN, BFD_DIAG_NONE, now);
	}
	update_parameters(b);
	b->send_now |= is_new_mult;
}

/* --- timing -------------------------------------------------------------------------------------- */

uint32_t
bfd_tx_interval_us(const struct bfd *b)
{
	return WEFT_MAX(b->active_min_tx, b->remote_min_rx); /* s.6.8.2, s.6.8.7 */
}

uint64_t
bfd_detect_us(const struct bfd *b)
{
	return (uint64_t)b->remote_mult *
	       WEFT_MAX(b->active_min_rx, b->remote_min_tx); /* s.6.8.4 */
}

/* s.6.8.7: a random quarter is taken off; with a multiplier of 1 at least a tenth. */
static void
plan_tx(struct bfd *b)
{
	uint64_t interval = bfd_tx_interval_us(b);
	uint32_t least = b->config.mult == 1 ? 100 : 0;

	b->random = b->random * 1664525u + 1013904223u;
	b->next_tx = b->last_tx + interval -
		     interval * (least + (b->random >> 8) % (251 - least)) / 1000;
}

/* Takes up what is wanted of intervals, unless the neighbour still has to confirm what it was told before:
 * that ends in bfd_receive(). */
static void
update_parameters(struct bfd *b)
{
	uint32_t min_tx = b->config.min_tx_us, min_rx = b->config.min_rx_us;
	bool is_up = b->state == BFD_UP;

	if (!is_up) {
		b->poll = false;
		min_tx = WEFT_MAX(min_tx, BFD_SLOW_US);
	}
	if (b->poll || (b->desired_min_tx == min_tx && b->required_min_rx == min_rx)) {
		return;
	}
	b->desired_min_tx = min_tx;
	b->required_min_rx = min_rx;
	b->poll = is_up;
	b->send_now = true;
	/* s.6.8.3: while up, to send less often, and to take the neighbour for gone sooner, must wait. */
	if (!is_up || min_tx < b->active_min_tx) {
		b->active_min_tx = min_tx;
	}
	if (!is_up || min_rx > b->active_min_rx) {
		b->active_min_rx = min_rx;
	}
	plan_tx(b);
}

static void
set_state(struct bfd *b, enum bfd_state state, enum bfd_diag diag, uint64_t now)
{
	b->n_up += state == BFD_UP;
	b->n_down += b->state == BFD_UP;
	b->state = (uint8_t)state;
	b->diag = (uint8_t)diag;
	b->state_since = now;
	b->send_now = true; /* s.6.8.7: sooner than the interval, since it says something else */
	update_parameters(b);
}

/* --- packets come ---------------------------------------------------------------------------------- */

static void
follow_neighbour(struct bfd *b, enum bfd_state remote, uint64_t now)
{
	switch ((enum bfd_state)b->state) {
	case BFD_DOWN:
		if (remote == BFD_DOWN) {
			set_state(b, BFD_INIT, b->diag, now);
		} else if (remote == BFD_INIT) {
			set_state(b, BFD_UP, b->diag, now);
		}
		break;
	case BFD_INIT:
		if (remote == BFD_ADMIN_DOWN) {
			set_state(b, BFD_DOWN, BFD_DIAG_NEIGHBOUR_DOWN, now);
		} else if (remote != BFD_DOWN) {
			set_state(b, BFD_UP, b->diag, now);
		}
		break;
	case BFD_UP:
		if (remote <= BFD_DOWN) {
			set_state(b, BFD_DOWN, BFD_DIAG_NEIGHBOUR_DOWN, now);
		}
		break;
	case BFD_ADMIN_DOWN:
		break;
	}
}

bool
bfd_receive(struct bfd *b, const struct bfd_packet *p, uint64_t now)
{
	bool is_first = b->remote_discr != p->my_discr,
	     is_slower = p->min_rx_us != b->remote_min_rx;

	if ((p->your_discr && p->your_discr != b->local_discr) || b->state == BFD_ADMIN_DOWN) {
		return false;
	}
	b->n_rx++;
	b->remote_discr = p->my_discr;
	b->remote_state = p->state;
	b->remote_diag = p->diag;
	b->remote_demand = p->demand;
	b->remote_mult = p->mult;
	b->remote_min_rx = p->min_rx_us;
	b->remote_min_tx = p->min_tx_us;
	if (p->final && b->poll) {
		b->poll = false;
		b->active_min_tx = b->desired_min_tx;
		b->active_min_rx = b->required_min_rx;
		is_slower = true;
		update_parameters(b);
	}
	if (p->poll) {
		b->final = true;
	}
	follow_neighbour(b, (enum bfd_state)p->state, now);
	b->send_now |= is_first;
	if (is_slower) {
		plan_tx(b);
	}
	b->detect_at = now + bfd_detect_us(b);
	return true;
}

/* --- packets go ------------------------------------------------------------------------------------ */

static bool
is_tx_allowed(const struct bfd *b)
{
	/* s.6.8.7: not wanted at all; or not without need, by a neighbour in demand mode. */
	return b->remote_min_rx &&
	       (b->poll || !b->remote_demand || b->state != BFD_UP || b->remote_state != BFD_UP);
}

bool
bfd_run(struct bfd *b, uint64_t now)
{
	if (now >= b->detect_at) {
		b->detect_at = NEVER;
		b->remote_discr = 0; /* s.6.8.1 */
		if (b->state == BFD_INIT || b->state == BFD_UP) {
			set_state(b, BFD_DOWN, BFD_DIAG_EXPIRED, now);
		}
	}
	return b->final || (is_tx_allowed(b) && (b->send_now || now >= b->next_tx));
}

void
bfd_sent(struct bfd *b, uint64_t now)
{
	bool was_answer = b->final && !b->send_now && now < b->next_tx;

	b->n_tx++;
	/* A poll that an answer took the place of is sent yet. */
	b->send_now = b->final && b->poll;
	b->final = false;
	if (!was_answer) {
		b->last_tx = now;
		plan_tx(b);
	}
}

uint64_t
bfd_due(const struct bfd *b)
{
	if (b->final || (is_tx_allowed(b) && b->send_now)) {
		return 0;
	}
	return is_tx_allowed(b) ? WEFT_MIN(b->next_tx, b->detect_at) : b->detect_at;
}

bool
bfd_is_forwarding(const struct bfd *b)
{
	return b->state == BFD_UP && b->remote_diag != BFD_DIAG_PATH_DOWN &&
	       b->remote_diag != BFD_DIAG_CONCATENATED_DOWN &&
	       b->remote_diag != BFD_DIAG_REVERSE_DOWN;
}

/* --- names ----------------------------------------------------------------------------------------- */

const char *
bfd_state_name(unsigned state)
{
	static const char *const names[] = {"admin-down", "down", "init", "up"};

	return state < WEFT_ARRAY_SIZE(names) ? names[state] : "unknown";
}

const char *
bfd_diag_name(unsigned diag)
{
	static const char *const names[] = {"none", "expired", "echo-failed", "neighbour-down",
		"forwarding-reset", "path-down", "concatenated-path-down", "admin-down",
		"reverse-path-down"};

	return diag < WEFT_ARRAY_SIZE(names) ? names[diag] : "unknown";
}
