/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: its thread, sessions, and what tests ask of it. Socket: fake_server.c; commands: fake_command.c; packets:
 * fake_packets.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "tests/unit/controller-agent/fake_datapath_internal.h"

#define N_SLOTS (FAKE_MAX_FLOWS + 64)

static void *serve(void *arg);

uint64_t
fake_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
fake_wake(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

/* --- life --------------------------------------------------------------------------------------- */

struct fake_datapath *
fake_datapath_start(const char *rundir, unsigned n_workers, uint64_t instance)
{
	struct fake_datapath *dp = xaligned(64, sizeof(*dp));
	pthread_condattr_t attr;
	int rc;

	pthread_mutex_init(&dp->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dp->changed, &attr);
	dp->version = DP_PROTOCOL_VERSION;
	dp->n_workers = n_workers;
	dp->instance = instance;
	dp->next_context = dp->next_parked = 1;
	dp->outputs = xcalloc(FAKE_MAX_OUTPUTS, sizeof(*dp->outputs));
	snprintf(dp->path, sizeof(dp->path), "%s/datapath.sock", rundir);
	dp->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = stats_region_create(&dp->stats, instance, n_workers, N_SLOTS, &dp->stats_fd);
	assert(rc == 0);
	dp->server = fake_server_start(dp);
	rc = pthread_create(&dp->thread, NULL, serve, dp);
	assert(rc == 0);
	return dp;
}

void
fake_datapath_stop(struct fake_datapath *dp)
{
	pthread_mutex_lock(&dp->lock);
	dp->stopping = true;
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
	pthread_join(dp->thread, NULL);
	fake_session_close(dp);
	fake_server_stop(dp->server);
	for (unsigned i = 0; i < FAKE_MAX_FLOWS; i++) {
		free(dp->flows[i].actions);
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(dp->objects); i++) {
		free(dp->objects[i].body);
	}
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		free(dp->ports[i].options);
	}
	while (dp->contexts) {
		struct fake_context *next = dp->contexts->next;

		free(dp->contexts);
		dp->contexts = next;
	}
	stats_region_destroy(&dp->stats);
	close(dp->stats_fd);
	close(dp->wake_fd);
	free(dp->history);
	free(dp->outputs);
	pthread_cond_destroy(&dp->changed);
	pthread_mutex_destroy(&dp->lock);
	free(dp);
}

static void *
serve(void *arg)
{
	struct fake_datapath *dp = arg;
	bool stopping = false;

	while (!stopping) {
		fake_server_run(dp);
		pthread_mutex_lock(&dp->lock);
		if (dp->drop_session) {
			dp->drop_session = false;
			fake_server_close_connection(dp);
			fake_session_close(dp);
		}
		for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
			if (dp->ports[i].changed) {
				dp->ports[i].changed = false;
				fake_server_notify_port(dp, &dp->ports[i]);
			}
		}
		fake_run_commands(dp);
		stopping = dp->stopping;
		pthread_cond_broadcast(&dp->changed);
		pthread_mutex_unlock(&dp->lock);
	}
	return NULL;
}

int
fake_session_open(struct fake_datapath *dp, unsigned n_handlers, uint64_t epoch, int *fds)
{
	struct fake_session *s = &dp->session;
	struct weft_error err = WEFT_ERROR_INIT;
	bool ok = true;
	int n = 0;

	fake_session_close(dp);
	s->n_handlers = n_handlers;
	s->epoch = epoch;
	s->tables_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fds[n++] = dup(dp->stats_fd);
	fds[n++] = dup(s->tables_fd);
	for (unsigned h = 0; h < n_handlers; h++) {
		s->handler_fd[h] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		fds[n++] = dup(s->handler_fd[h]);
		fds[n] = shm_ring_memfd(DP_RING_SIZE);
		ok = ok &&
		     shm_ring_attach(&s->command[h], fds[n++], DP_RING_SIZE, s->tables_fd, &err);
		fds[n] = shm_ring_memfd(DP_RING_SIZE);
		ok = ok &&
		     shm_ring_attach(&s->reply[h], fds[n++], DP_RING_SIZE, s->handler_fd[h], &err);
	}
	for (unsigned w = 0; w < dp->n_workers; w++) {
		fds[n] = shm_ring_memfd(DP_UPCALL_RING_SIZE);
		ok = ok && shm_ring_attach(&s->upcall[w], fds[n++], DP_UPCALL_RING_SIZE,
				   s->handler_fd[w % n_handlers], &err);
	}
	assert(ok);
	s->open = true;
	dp->n_session++;
	dp->counts.n_sessions++;
	return n;
}

void
fake_session_close(struct fake_datapath *dp)
{
	struct fake_session *s = &dp->session;

	if (!s->open) {
		return;
	}
	dp->last_epoch = s->epoch;
	for (unsigned h = 0; h < s->n_handlers; h++) {
		shm_ring_detach(&s->command[h]);
		shm_ring_detach(&s->reply[h]);
		close(s->handler_fd[h]);
	}
	for (unsigned w = 0; w < dp->n_workers; w++) {
		shm_ring_detach(&s->upcall[w]);
	}
	close(s->tables_fd);
	memset(s, 0, sizeof(*s));
	memset(dp->parked, 0, sizeof(dp->parked));
}

/* --- what tests ask ----------------------------------------------------------------------------- */

void
fake_datapath_drop_session(struct fake_datapath *dp)
{
	pthread_mutex_lock(&dp->lock);
	dp->drop_session = true;
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
}

void
fake_datapath_set_version(struct fake_datapath *dp, unsigned version)
{
	pthread_mutex_lock(&dp->lock);
	dp->version = version;
	pthread_mutex_unlock(&dp->lock);
}

void
fake_datapath_refuse_port(struct fake_datapath *dp, const char *name, const char *text)
{
	pthread_mutex_lock(&dp->lock);
	snprintf(dp->refuse_name, sizeof(dp->refuse_name), "%s", text ? name : "");
	snprintf(dp->refuse_text, sizeof(dp->refuse_text), "%s", text ? text : "");
	pthread_mutex_unlock(&dp->lock);
}

void
fake_datapath_hold(struct fake_datapath *dp, bool hold)
{
	pthread_mutex_lock(&dp->lock);
	dp->hold = hold;
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
}

void
fake_datapath_set_link(struct fake_datapath *dp, uint32_t port, bool up)
{
	pthread_mutex_lock(&dp->lock);
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		if (dp->ports[i].used && dp->ports[i].number == port) {
			dp->ports[i].link_up = up;
			dp->ports[i].changed = true;
		}
	}
	pthread_mutex_unlock(&dp->lock);
	fake_wake(dp->wake_fd);
}

void
fake_port_delete(struct fake_datapath *dp, struct fake_port *port)
{
	for (unsigned i = 1; i < FAKE_MAX_FLOWS; i++) {
		if (dp->flows[i].live && be32_to(dp->flows[i].key.in_port) == port->number) {
			dp->flows[i].live = false;
			dp->counts.n_flows--;
		}
	}
	free(port->options);
	memset(port, 0, sizeof(*port));
	dp->counts.n_ports--;
}

void
fake_datapath_refuse_options(struct fake_datapath *dp, unsigned times)
{
	pthread_mutex_lock(&dp->lock);
	dp->options_again = times;
	pthread_mutex_unlock(&dp->lock);
}

unsigned
fake_datapath_options(struct fake_datapath *dp, struct dp_tun_opt *opts)
{
	unsigned n;

	pthread_mutex_lock(&dp->lock);
	n = dp->n_options;
	memcpy(opts, dp->options, n * sizeof(*opts));
	pthread_mutex_unlock(&dp->lock);
	return n;
}

void
fake_datapath_counts(struct fake_datapath *dp, struct fake_counts *counts)
{
	pthread_mutex_lock(&dp->lock);
	*counts = dp->counts;
	pthread_mutex_unlock(&dp->lock);
}

bool
fake_datapath_wait(struct fake_datapath *dp,
	bool (*condition)(const struct fake_counts *c, unsigned n), unsigned n, unsigned timeout_ms)
{
	struct timespec until;
	bool holds;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&dp->lock);
	while (!(holds = condition(&dp->counts, n)) && rc == 0) {
		rc = pthread_cond_timedwait(&dp->changed, &dp->lock, &until);
	}
	pthread_mutex_unlock(&dp->lock);
	return holds;
}

bool
fake_has_flows(const struct fake_counts *c, unsigned n)
{
	return c->n_flows == n;
}

bool
fake_has_outputs(const struct fake_counts *c, unsigned n)
{
	return c->n_outputs >= n;
}

bool
fake_has_sessions(const struct fake_counts *c, unsigned n)
{
	return c->n_sessions >= n;
}

bool
fake_has_ports(const struct fake_counts *c, unsigned n)
{
	return c->n_ports == n;
}

bool
fake_has_upcalls(const struct fake_counts *c, unsigned n)
{
	return c->n_upcalls >= n;
}

bool
fake_has_drops(const struct fake_counts *c, unsigned n)
{
	return c->n_dropped >= n;
}

bool
fake_datapath_output(struct fake_datapath *dp, unsigned i, struct fake_output *output)
{
	bool there;

	pthread_mutex_lock(&dp->lock);
	there = i < dp->counts.n_outputs;
	if (there) {
		*output = dp->outputs[i % FAKE_MAX_OUTPUTS];
	}
	pthread_mutex_unlock(&dp->lock);
	return there;
}

int
fake_datapath_port(struct fake_datapath *dp, const char *name)
{
	int number = -1;

	pthread_mutex_lock(&dp->lock);
	for (unsigned i = 0; i < FAKE_MAX_PORTS; i++) {
		if (dp->ports[i].used && strcmp(dp->ports[i].name, name) == 0) {
			number = (int)dp->ports[i].number;
		}
	}
	pthread_mutex_unlock(&dp->lock);
	return number;
}

char *
fake_datapath_flow_text(struct fake_datapath *dp, unsigned i)
{
	struct strbuf text = STRBUF_INIT;
	struct flow_stats stats;

	pthread_mutex_lock(&dp->lock);
	for (uint32_t slot = 1; slot < FAKE_MAX_FLOWS; slot++) {
		struct fake_flow *f = &dp->flows[slot];

		if (f->live && i-- == 0) {
			stats_region_read(&dp->stats, slot, f->gen, &stats);
			flow_text_format(&f->key, &f->mask, &text);
			strbuf_put_char(&text, ' ');
			dp_actions_format(f->actions, f->actions_size, &text);
			strbuf_printf(&text, " packets=%llu", (unsigned long long)stats.packets);
			break;
		}
	}
	pthread_mutex_unlock(&dp->lock);
	return text.data ? strbuf_take(&text) : NULL;
}

char *
fake_datapath_history(struct fake_datapath *dp)
{
	char *history;

	pthread_mutex_lock(&dp->lock);
	history = dp->history ? dp->history : xstrdup("");
	dp->history = NULL;
	pthread_mutex_unlock(&dp->lock);
	return history;
}

size_t
fake_udp_frame(uint8_t *frame, uint64_t dst, uint64_t src, uint16_t vlan, uint32_t ip_src,
	uint32_t ip_dst, uint16_t udp_src, uint16_t udp_dst)
{
	static const uint8_t ip[20] = {0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17};
	size_t at = 0;

	for (int shift = 40; shift >= 0; shift -= 8) {
		frame[at] = (uint8_t)(dst >> shift);
		frame[6 + at++] = (uint8_t)(src >> shift);
	}
	at = 12;
	if (vlan) {
		put_be16(frame + at, 0x8100);
		put_be16(frame + at + 2, vlan);
		at += 4;
	}
	put_be16(frame + at, 0x0800);
	memcpy(frame + at + 2, ip, sizeof(ip));
	put_be32(frame + at + 14, ip_src);
	put_be32(frame + at + 18, ip_dst);
	at += 22;
	put_be16(frame + at, udp_src);
	put_be16(frame + at + 2, udp_dst);
	put_be16(frame + at + 4, 12);
	put_be16(frame + at + 6, 0);
	put_be32(frame + at + 8, 0xabadcafe);
	return WEFT_MAX(at + 12, (size_t)60);
}
