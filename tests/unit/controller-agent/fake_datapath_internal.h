/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: what its files share.
 */
#pragma once

#include <pthread.h>

#include "lib/shm_ring.h"
#include "lib/stats_region.h"
#include "tests/unit/controller-agent/fake_datapath.h"

struct fake_flow {
	bool live;
	uint32_t gen;
	uint64_t epoch;
	uint64_t created_ms;
	struct flow_key key; /* masked */
	struct flow_mask mask;
	uint8_t *actions;
	size_t actions_size;
};

struct fake_parked {
	uint64_t handle; /* 0: free */
	unsigned worker;
	uint32_t port;
	struct flow_key key;
	unsigned n; /* packets with this key */
	uint32_t len;
	uint8_t data[FAKE_DATA_MAX];
};

struct fake_context {
	uint32_t id;
	size_t size;
	uint8_t data[DP_CONTEXT_MAX_SIZE];
	struct fake_context *next;
};

struct fake_object {
	bool live;
	uint32_t gen;
	uint32_t kind;
	uint32_t n_parts;
	size_t size;
	uint8_t *body;
};

struct fake_port {
	bool used;
	uint32_t number;
	char name[64];
	char type[32];
	char *options; /* JSON */
	bool link_up;
	bool admin_up;
	bool changed; /* to be notified */
};

/* One open session's rings. */
struct fake_session {
	bool open;
	unsigned n_handlers;
	uint64_t epoch;
	int tables_fd;
	int handler_fd[DP_MAX_HANDLERS];
	struct shm_ring command[DP_MAX_HANDLERS];
	struct shm_ring reply[DP_MAX_HANDLERS];
	struct shm_ring upcall[DP_MAX_WORKERS];
};

struct fake_datapath {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool stopping;
	bool hold;
	bool drop_session; /* asked for */
	unsigned version;
	unsigned n_workers;
	uint64_t instance;
	uint64_t n_session;
	uint64_t last_epoch;
	uint32_t next_context;
	uint64_t next_parked;
	char path[128];
	char refuse_name[64];
	char refuse_text[128];
	int wake_fd; /* wakes the thread */
	int stats_fd;
	struct stats_region stats;
	struct fake_session session;
	struct fake_flow flows[FAKE_MAX_FLOWS];
	struct fake_object objects[64];
	struct fake_context *contexts;
	struct fake_parked parked[FAKE_MAX_PARKED];
	struct fake_port ports[FAKE_MAX_PORTS];
	struct fake_output *outputs;
	struct fake_counts counts;
	char *history;
	struct dp_tun_opt options[DP_TUN_OPTS_MAX]; /* that it was told of last */
	uint32_t n_options;
	unsigned options_again;     /* so often it answers -EAGAIN first */
	struct fake_server *server; /* fake_server.c */
	_Alignas(8) uint8_t buffer[DP_MAX_MESSAGE];
};

/* The socket. All but start are called with the lock held, in the thread. */
struct fake_server *fake_server_start(struct fake_datapath *dp);
void fake_server_stop(struct fake_server *s);
/* Waits for the socket, @dp->wake_fd and @tables_fd, and serves the socket. Not locked. */
void fake_server_run(struct fake_datapath *dp);
void fake_server_close_connection(struct fake_datapath *dp);
void fake_server_notify_port(struct fake_datapath *dp, const struct fake_port *port);

/* fake_datapath.c, for the server, locked: makes the rings of a new session and ends it. Its
 * descriptors, in the protocol's order, go to @fds (the caller closes them); returns how many. */
int fake_session_open(struct fake_datapath *dp, unsigned n_handlers, uint64_t epoch, int *fds);
void fake_session_close(struct fake_datapath *dp);
void fake_port_delete(struct fake_datapath *dp, struct fake_port *port);

/* fake_command.c, locked: runs what is in the command rings, unless they are held. */
void fake_run_commands(struct fake_datapath *dp);

/* For all files. */
uint64_t fake_now_ms(void);
void fake_wake(int fd);

/* fake_packets.c, locked. */
void fake_run_actions(struct fake_datapath *dp, const void *actions, size_t size,
	struct flow_key *key, unsigned worker, const uint8_t *data, size_t len);
void fake_forward(struct fake_datapath *dp, unsigned worker, struct flow_key *key,
	const uint8_t *data, size_t len);
void fake_parse(struct flow_key *key, const uint8_t *data, size_t len);
