/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: the state machine of one session, asynchronous mode (RFC 5880).
 *
 * What:    a session is fed with the control packets of its neighbour and with the time, and says when it wants
 *          to send and what. It has no clock, socket or thread of its own.
 * Time:    in microseconds of any clock that only goes forward.
 * Limits:  no echo function, no authentication (packets that ask for it are refused); demand mode is obeyed when
 *          the neighbour has it, never asked for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BFD_PACKET_LEN 24u
#define BFD_SLOW_US 1000000u /* least interval while a session is not up: RFC 5880 s.6.8.3 */

enum bfd_state { /* as on the wire */
	BFD_ADMIN_DOWN,
	BFD_DOWN,
	BFD_INIT,
	BFD_UP,
};

enum bfd_diag { /* as on the wire, RFC 5880 s.4.1 */
	BFD_DIAG_NONE,
	BFD_DIAG_EXPIRED,
	BFD_DIAG_ECHO_FAILED,
	BFD_DIAG_NEIGHBOUR_DOWN,
	BFD_DIAG_FORWARDING_RESET,
	BFD_DIAG_PATH_DOWN,
	BFD_DIAG_CONCATENATED_DOWN,
	BFD_DIAG_ADMIN_DOWN,
	BFD_DIAG_REVERSE_DOWN,
};

/* A control packet that has passed bfd_packet_parse(). */
struct bfd_packet {
	uint8_t state; /* enum bfd_state */
	uint8_t diag;
	uint8_t mult;
	bool poll, final, demand;
	uint32_t my_discr, your_discr;
	uint32_t min_tx_us, min_rx_us;
};

struct bfd_config {
	uint32_t min_tx_us, min_rx_us; /* not 0 */
	uint8_t mult;                  /* not 0 */
	bool admin_down;
};

/* The body is public so that sessions can stand inside other structs. Names are those of RFC 5880 s.6.8.1. */
struct bfd {
	struct bfd_config config; /* wanted; what is in force follows when no poll is under way */
	uint8_t state, remote_state;
	uint8_t diag, remote_diag;
	uint8_t remote_mult;
	bool remote_demand;
	bool poll;     /* a Poll Sequence is under way */
	bool final;    /* one is to be answered */
	bool send_now; /* there is news for the neighbour */
	uint32_t local_discr, remote_discr;
	uint32_t desired_min_tx, required_min_rx; /* as told to the neighbour */
	uint32_t active_min_tx, active_min_rx;    /* as acted on: s.6.8.3 */
	uint32_t remote_min_tx, remote_min_rx;
	uint32_t random; /* of the jitter */
	uint64_t last_tx, next_tx;
	uint64_t detect_at; /* UINT64_MAX: nothing is waited for */
	uint64_t state_since;
	uint64_t n_tx, n_rx, n_up, n_down; /* packets; times that it came up, and went down */
};

/* Whether these bytes, the whole of a UDP datagram's payload, are a control packet that is not to be discarded
 * whatever the session (s.6.8.6); authenticated ones are. */
bool bfd_packet_parse(const uint8_t *bytes, uint32_t len, struct bfd_packet *p);
/* Writes BFD_PACKET_LEN bytes. */
void bfd_packet_write(const struct bfd *b, uint8_t *bytes);

/* @discr: not 0, nobody else's here, not to be guessed. */
void bfd_init(struct bfd *b, uint32_t discr, const struct bfd_config *config, uint64_t now);
void bfd_configure(struct bfd *b, const struct bfd_config *config, uint64_t now);

/* A packet of the neighbour. False: it is to be discarded, and changed nothing that says that the neighbour
 * lives. */
bool bfd_receive(struct bfd *b, const struct bfd_packet *p, uint64_t now);
/* Does what the time asks for. True: a packet is to be sent, bfd_packet_write() says which; then
 * bfd_sent(). */
bool bfd_run(struct bfd *b, uint64_t now);
void bfd_sent(struct bfd *b, uint64_t now);
/* When to run next, if no packet comes; may have passed. */
uint64_t bfd_due(const struct bfd *b);

/* Whether the path may be used: up, and the neighbour knows of nothing broken behind it. */
bool bfd_is_forwarding(const struct bfd *b);
/* How long the neighbour may be silent; how often we send, without jitter. */
uint64_t bfd_detect_us(const struct bfd *b);
uint32_t bfd_tx_interval_us(const struct bfd *b);

const char *bfd_state_name(unsigned state);
const char *bfd_diag_name(unsigned diag);
