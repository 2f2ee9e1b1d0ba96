/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a controller's connections.
 */
#include "controller-agent/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(tls);

enum file {
	FILE_KEY,
	FILE_CERT,
	FILE_CA,
	N_FILES,
};

static const char *const file_names[N_FILES] = {"key", "cert", "ca"};

struct tls {
	SSL_CTX *context;
	char *paths[N_FILES];
	struct stat seen[N_FILES];
};

static SSL_CTX *load(char *const paths[N_FILES], struct weft_error *err);

/* What is wrong with a file, by errno or by OpenSSL's oldest error. */
static bool
refuse(struct weft_error *err, enum file file, const char *path)
{
	unsigned long error = ERR_get_error();
	const char *why = ERR_GET_LIB(error) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(error))
							    : ERR_reason_error_string(error);

	ERR_clear_error();
	return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s %s: %s", file_names[file], path,
		why ? why : "it cannot be used");
}

static void
look(char *const paths[N_FILES], struct stat seen[N_FILES])
{
	for (unsigned i = 0; i < N_FILES; i++) {
		if (stat(paths[i], &seen[i]) != 0) {
			memset(&seen[i], 0, sizeof(seen[i]));
		}
	}
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

struct tls *
tls_create(const struct tls_files *files, struct weft_error *err)
{
	const char *const paths[N_FILES] = {files->key, files->cert, files->ca};
	struct tls *tls;

	for (unsigned i = 0; i < N_FILES; i++) {
		if (!paths[i] || !*paths[i]) {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"TLS needs %s=FILE; key=, cert= and ca= name PEM files",
				file_names[i]);
			return NULL;
		}
		if (paths[i][0] != '/') {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"%s=%s: the path must be absolute", file_names[i], paths[i]);
			return NULL;
		}
	}
	tls = xcalloc(1, sizeof(*tls));
	for (unsigned i = 0; i < N_FILES; i++) {
		tls->paths[i] = xstrdup(paths[i]);
	}
	look(tls->paths, tls->seen);
	tls->context = load(tls->paths, err);
	if (!tls->context) {
		tls_destroy(tls);
		return NULL;
	}
	return tls;
}

void
tls_destroy(struct tls *tls)
{
	if (!tls) {
		return;
	}
	SSL_CTX_free(tls->context);
	for (unsigned i = 0; i < N_FILES; i++) {
		free(tls->paths[i]);
	}
	free(tls);
}

static SSL_CTX *
load(char *const paths[N_FILES], struct weft_error *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	STACK_OF(X509_NAME) * names;
	bool ok;

	ERR_clear_error();
	if (!context) {
		weft_error_set(err, WEFT_ERR_SYSTEM, ENOMEM, "no memory for TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	/* A controller's connection lasts: nothing is resumed. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					     /* Messages tell their length: a cut is seen. */
					     SSL_OP_IGNORE_UNEXPECTED_EOF);
	ok = SSL_CTX_use_certificate_chain_file(context, paths[FILE_CERT]) == 1 ||
	     refuse(err, FILE_CERT, paths[FILE_CERT]);
	ok = ok && (SSL_CTX_use_PrivateKey_file(context, paths[FILE_KEY], SSL_FILETYPE_PEM) == 1 ||
			   refuse(err, FILE_KEY, paths[FILE_KEY]));
	ok = ok && (SSL_CTX_load_verify_locations(context, paths[FILE_CA], NULL) == 1 ||
			   refuse(err, FILE_CA, paths[FILE_CA]));
	if (ok) {
		/* What a server tells its clients which certificates it takes. */
		names = SSL_load_client_CA_file(paths[FILE_CA]);
		ok = names || refuse(err, FILE_CA, paths[FILE_CA]);
		SSL_CTX_set_client_CA_list(context, names);
	}
	if (!ok) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

SSL *
tls_session(struct tls *tls)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct stat now[N_FILES];
	bool changed = false;
	SSL *ssl;

	look(tls->paths, now);
	for (unsigned i = 0; i < N_FILES; i++) {
		changed |= !is_same(&now[i], &tls->seen[i]);
	}
	if (changed) {
		SSL_CTX *context = load(tls->paths, &err);

		memcpy(tls->seen, now, sizeof(now));
		if (context) {
			SSL_CTX_free(tls->context);
			tls->context = context;
			LOG_INFO("cert %s: read anew", tls->paths[FILE_CERT]);
		} else {
			LOG_WARN("changed files cannot be used, going on with what they were: %s",
				err.text);
		}
	}
	ssl = SSL_new(tls->context);
	if (!ssl) {
		/* As all other memory; and nothing must go out in plain words instead. */
		fputs("out of memory\n", stderr);
		abort();
	}
	return ssl;
}

const char *
tls_why(const SSL *ssl, unsigned long error, char *text, size_t size)
{
	long verdict = SSL_get_verify_result(ssl);
	const char *reason = ERR_reason_error_string(error);

	if (verdict != X509_V_OK) {
		snprintf(text, size, "the peer's certificate is not accepted: %s",
			X509_verify_cert_error_string(verdict));
	} else if (!error) {
		snprintf(text, size, "the peer closed the connection in the TLS handshake");
	} else if (ERR_GET_REASON(error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		snprintf(text, size, "the peer shows no certificate");
	} else if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER ||
		   ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST) {
		snprintf(text, size, "the peer does not speak TLS");
	} else if (ERR_GET_REASON(error) == SSL_R_UNSUPPORTED_PROTOCOL) {
		snprintf(text, size, "the peer wants a TLS older than 1.2");
	} else {
		snprintf(text, size, "TLS: %s", reason ? reason : "the connection failed");
	}
	return text;
}
