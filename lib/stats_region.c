/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics region.
 */
#include "lib/stats_region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"

static size_t
size_of(uint32_t n_workers, uint32_t n_slots)
{
	return STATS_REGION_HEADER_SIZE + (size_t)n_workers * n_slots * sizeof(struct stats_record);
}

int
stats_region_create(struct stats_region *r, uint64_t instance, uint32_t n_workers, uint32_t n_slots,
	int *fd_out)
{
	size_t size = size_of(n_workers, n_slots);
	struct stats_header *header;
	int fd, rc;

	if (!n_workers || n_workers > STATS_REGION_MAX_WORKERS) {
		return -EINVAL;
	}
	fd = memfd_create("weft-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, (off_t)size) < 0) {
		goto fail;
	}
	header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED) {
		goto fail;
	}
	madvise(header, size, MADV_HUGEPAGE);
	*header = (struct stats_header){
		.magic = STATS_REGION_MAGIC,
		.version = STATS_REGION_VERSION,
		.instance = instance,
		.n_workers = n_workers,
		.n_slots = n_slots,
		.stride = sizeof(struct stats_record),
	};
	/* Our mapping stays writable; nobody who gets the descriptor can make another such one. */
	if (fcntl(fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		rc = -errno;
		munmap(header, size);
		close(fd);
		return rc;
	}
	*r = (struct stats_region){
		.header = header,
		.records = (struct stats_record *)(void *)((uint8_t *)header +
							   STATS_REGION_HEADER_SIZE),
		.n_workers = n_workers,
		.n_slots = n_slots,
		.map_size = size,
	};
	*fd_out = fd;
	return 0;

fail:
	rc = -errno;
	close(fd);
	return rc;
}

bool
stats_region_attach(struct stats_region *r, int fd, uint64_t instance, struct weft_error *err)
{
	const struct stats_header *header;
	struct stats_header copy;
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);
	size_t size;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status) < 0 ||
		status.st_size < STATS_REGION_HEADER_SIZE) {
		return weft_error_set(err, WEFT_ERR_INVALID, EPROTO,
			"statistics memory is not sealed or too short");
	}
	size = (size_t)status.st_size;
	header = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
			"cannot map statistics memory: %s", strerror(errno));
	}
	memcpy(&copy, header, sizeof copy);
	if (copy.magic != STATS_REGION_MAGIC || copy.version != STATS_REGION_VERSION ||
		copy.instance != instance || copy.stride != sizeof(struct stats_record) ||
		!copy.n_workers || copy.n_workers > STATS_REGION_MAX_WORKERS ||
		size_of(copy.n_workers, copy.n_slots) != size) {
		munmap((void *)header, size);
		return weft_error_set(err, WEFT_ERR_INVALID, EPROTO,
			"statistics memory has another version, instance or size");
	}
	*r = (struct stats_region){
		.header = header,
		.records = (struct stats_record *)(void *)((uintptr_t)header +
							   STATS_REGION_HEADER_SIZE),
		.n_workers = copy.n_workers,
		.n_slots = copy.n_slots,
		.map_size = size,
	};
	return true;
}

void
stats_region_destroy(struct stats_region *r)
{
	if (r->header) {
		munmap((void *)r->header, r->map_size);
	}
	*r = (struct stats_region){0};
}

void
stats_region_reset(const struct stats_region *r, uint32_t slot, uint32_t gen)
{
	for (uint32_t w = 0; w < r->n_workers; w++) {
		struct stats_record *rec = stats_region_record(r, w, slot);

		/* A reader that sees the new generation sees the zeroes too. */
		atomic_store_explicit(&rec->gen, 0, memory_order_relaxed);
		atomic_thread_fence(memory_order_release);
		atomic_store_explicit(&rec->packets, 0, memory_order_relaxed);
		atomic_store_explicit(&rec->bytes, 0, memory_order_relaxed);
		atomic_store_explicit(&rec->used_ms, 0, memory_order_relaxed);
		atomic_store_explicit(&rec->tcp_flags, 0, memory_order_relaxed);
		atomic_store_explicit(&rec->gen, gen, memory_order_release);
	}
}

void
stats_region_read(const struct stats_region *r, uint32_t slot, uint32_t gen, struct flow_stats *sum)
{
	*sum = (struct flow_stats){0};
	if (slot >= r->n_slots) {
		return;
	}
	for (uint32_t w = 0; w < r->n_workers; w++) {
		struct stats_record *rec = stats_region_record(r, w, slot);
		uint64_t packets, bytes, used_ms;
		uint16_t tcp_flags;

		if (atomic_load_explicit(&rec->gen, memory_order_acquire) != gen) {
			continue;
		}
		packets = atomic_load_explicit(&rec->packets, memory_order_relaxed);
		bytes = atomic_load_explicit(&rec->bytes, memory_order_relaxed);
		used_ms = atomic_load_explicit(&rec->used_ms, memory_order_relaxed);
		tcp_flags = atomic_load_explicit(&rec->tcp_flags, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&rec->gen, memory_order_relaxed) != gen) {
			continue; /* reused meanwhile */
		}
		sum->packets += packets;
		sum->bytes += bytes;
		sum->used_ms = used_ms > sum->used_ms ? used_ms : sum->used_ms;
		sum->tcp_flags |= tcp_flags;
	}
}
