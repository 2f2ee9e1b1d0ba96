/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a controller's connections: key, certificate and CA in files, sessions made from them.
 *
 * Peers:    authenticated on both sides: a peer must show a certificate that the CA has signed. TLS 1.2 and 1.3
 *           alone. Names are not compared: like Open vSwitch's, the CA is that of the control network, and
 *           whoever has its certificate belongs to it.
 * Reload:   each new session looks whether a file has changed, and reads all three anew if so. If they cannot be
 *           used, the ones before stay in use, and the log says why.
 * Threads:  the loop.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/compiler.h"

struct tls;
struct weft_error;

struct tls_files {
	const char *key;  /* PEM, of our certificate, without a passphrase */
	const char *cert; /* PEM, ours, with the intermediate ones behind it */
	const char *ca;   /* PEM, those whose signatures we believe */
};

/* Reads the files, of which none may be missing. */
struct tls *tls_create(const struct tls_files *files, struct weft_error *err) WEFT_MUST_CHECK;
void tls_destroy(struct tls *tls);

/* A session on a socket to be: the caller's, usually a bufferevent's. */
SSL *tls_session(struct tls *tls) WEFT_MUST_CHECK;

/* Why a session failed, in words, for people. @error: OpenSSL's code, or 0; @text: at least 64 bytes. */
const char *tls_why(const SSL *ssl, unsigned long error, char *text, size_t size);
