/* SPDX-License-Identifier: Apache-2.0
 *
 * Listings for the command line and the agent, as docs/rpc.md has them. Ports thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct port;
struct ports_thread_config;
struct weft_error;

/* Where a page begins: the parameter from. False: @err. */
bool listing_from(const json_t *params, uint32_t *slot, struct weft_error *err);

/* The port of that name; NULL and @err. */
struct port *listing_find_port(const char *name, struct weft_error *err);

/* Each returns a new object or array; NULL with @err where there is one. */
json_t *listing_port(const struct port *port, json_t *options);
json_t *listing_flows(
	const struct ports_thread_config *config, const json_t *params, struct weft_error *err);
json_t *listing_objects(
	const struct ports_thread_config *config, const json_t *params, struct weft_error *err);
json_t *listing_stats(const struct ports_thread_config *config);
json_t *listing_workers(void);
json_t *listing_caches(const struct ports_thread_config *config);
json_t *listing_drops(const json_t *params, struct weft_error *err);
json_t *listing_set_log(const json_t *params, struct weft_error *err);
