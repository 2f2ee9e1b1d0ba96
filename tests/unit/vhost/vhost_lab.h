/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of vhost-user devices share: DPDK without huge pages, a device on a socket of the test's own, frames.
 */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/drop_reason.h"
#include "lib/error.h"
#include "tests/unit/vhost/guest.h"
#include "vhost/vhost_user.h"

#define LAB_IN_PORT 7u
#define LAB_MAX_FRAME 65536u
#define LAB_WAIT_MS 10000

struct packet;

extern char lab_directory[]; /* for sockets; removed at the end */
extern char lab_path[128];   /* of the device's socket, in a directory below that one */
/* How often the device has told of news, and has waited for a grace period. */
extern _Atomic unsigned lab_n_changes, lab_n_waits;
extern unsigned lab_n_dropped[DROP_N];

/* A worker as the datapath's: online while it uses a device, quiescent after each round. */
extern struct vhost_lab_worker {
	pthread_t thread;
	_Atomic bool runs;
	_Atomic uint64_t round;
	struct vhost_user *device;
	_Atomic uint64_t n_received;
} lab_worker;

/* For cmocka: starts DPDK. */
int lab_start(void **state);
void lab_nap(void);
/* Waits until the worker, if it runs, has been quiescent. */
void lab_synchronize(void);

/* What lab_open() opens. */
struct vhost_user_config lab_config(unsigned n_pairs);
struct vhost_user *lab_open(unsigned n_pairs);
/* Closes it; no packet may be out then, and its socket gone. */
void lab_close(struct vhost_user *v);
void lab_wait_for_guest(struct vhost_user *v, bool connected);
/* For tests that listen before any device was opened there. */
void lab_make_socket_directory(void);

/* LAB_MAX_FRAME bytes that @seed stands for; the thread's next call overwrites them. */
const uint8_t *lab_frame(unsigned seed);
struct packet *lab_packet(const uint8_t *frame, size_t len);
void lab_free(struct packet **pkts, unsigned n);
/* The device gives that frame next, and nothing is wrong with its packet. */
void lab_assert_received(struct vhost_user *v, uint16_t q, const uint8_t *frame, size_t len);
/* The guest gets @len bytes of that frame when they are sent. */
void lab_assert_sent(struct vhost_user *v, uint16_t q, struct guest *g, unsigned seed, size_t len);
