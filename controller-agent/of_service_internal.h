/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow service: what its files share.
 */
#pragma once

#include "controller-agent/connector.h"
#include "controller-agent/of_codec.h"
#include "controller-agent/of_service.h"
#include "controller-agent/timers.h"
#include "lib/list.h"

struct of_conn;

struct of_service {
	struct event_base *base;
	struct timers *timers;
	struct wakeful *wakeful;
	struct of_service_ops ops;
	struct list switches; /* struct of_switch */
	struct list orphans;  /* struct of_job: their connection has ended, a callback is due */
	struct of_service_counters counters;
};

struct of_switch {
	struct list link;
	struct of_service *service;
	struct ofproto *ofproto;
	struct listener *mgmt;   /* NULL: none */
	struct list conns;       /* struct of_conn: controllers and clients */
	struct list controllers; /* struct of_controller */
	struct of_desc desc;     /* strings are the heap's */
	uint32_t protocols;
	uint32_t n_clients; /* of @mgmt */
	bool has_generation;
	uint64_t generation; /* OpenFlow 1.3.5 s.6.3.4 */
	bool is_ready;
	struct timer silence; /* when standalone may begin */
	uint64_t heard_ms;    /* a controller, by connections that have ended */
	uint64_t last_flow_mod_ms;
	uint64_t last_barrier_ms;
};

/* A target. */
struct of_controller {
	struct list link;
	struct of_switch *sw;
	char *text;
	struct target target;
	struct tls *tls;   /* NULL: without */
	uint32_t probe_ms; /* 0: never */
	uint32_t rate_limit;
	uint32_t burst;
	struct connector *connector; /* active */
	struct listener *listener;   /* passive */
	uint32_t n_conns;
	uint64_t n_connects; /* hellos that were completed */
	uint64_t since_ms;   /* of the connector's state */
	char last_error[256];
};

/* of_conn.c */
struct of_conn *of_conn_create(
	struct of_switch *sw, struct of_controller *controller, int fd, const char *peer);
void of_conn_destroy(struct of_conn *c);

/* of_controller.c */
void of_controller_destroy(struct of_controller *controller);
/* A connection was opened (hello completed), or has ended. */
void of_controller_opened(struct of_controller *controller);
void of_controller_closed(
	struct of_controller *controller, bool was_open, uint64_t heard_ms, const char *why);
/* Looks whether standalone has to begin or end. */
void of_switch_judge_silence(struct of_switch *sw);
void of_switch_on_silence(void *arg);

/* of_news.c: sends packet-ins that wait, as far as rate and peer allow; an of_conn's timer. */
void of_conn_send_packet_ins(void *conn);
/* of_news.c: some filter changed: whether packets with an invalid TTL are wanted by anybody. */
void of_switch_update_settings(struct of_switch *sw);
