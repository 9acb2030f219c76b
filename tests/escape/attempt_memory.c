/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "escape.h"

#define PAGE	4096L

/* A page of its own that can be read and written. */
static void *
page(void)
{
	return (mmap(NULL, (size_t)PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* ---- code of its own ----------------------------------------------------*/

TRY(map_exec, SYS_mmap, NULL, PAGE, (long)(PROT_READ | PROT_EXEC),
    (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L)
TRY(map_write_exec, SYS_mmap, NULL, PAGE,
    (long)(PROT_READ | PROT_WRITE | PROT_EXEC),
    (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L)
TRY(protect_exec, SYS_mprotect, page(), PAGE, (long)(PROT_READ | PROT_EXEC))
TRY(protect_write, SYS_mprotect, (uintptr_t)&protect_exec & ~(PAGE - 1UL),
    PAGE, (long)(PROT_READ | PROT_WRITE | PROT_EXEC))
TRY(protect_key, SYS_pkey_mprotect, page(), PAGE,
    (long)(PROT_READ | PROT_EXEC), -1L)
TRY(remap_pages, SYS_remap_file_pages, page(), PAGE, (long)PROT_EXEC, 0L, 0L)
TRY(new_key, SYS_pkey_alloc, 0L, 0L)
TRY(lock_all, SYS_mlockall, MCL_CURRENT)
TRY(lock_one, SYS_mlock, page(), PAGE)

/* Memory of the heap is for data. */
static int
heap_exec(const struct prey *p)
{
	char	*top = (char *)syscall(SYS_brk, 0L);
	char	*end = (char *)(((uintptr_t)top + PAGE) & ~(PAGE - 1UL));

	(void)p;
	if ((char *)syscall(SYS_brk, end + PAGE) != end + PAGE)
		return (ENOMEM);	/* brk itself gives the old end */
	return (attempt_result(syscall(SYS_mprotect, end, PAGE,
	    (long)(PROT_READ | PROT_EXEC))));
}

static int
map_memfd(const struct prey *p)
{
	long	 fd = syscall(SYS_memfd_create, "x", 0);

	(void)p;
	if (fd == -1)
		return (errno);
	return (attempt_result(syscall(SYS_mmap, NULL, PAGE,
	    (long)(PROT_READ | PROT_EXEC), (long)MAP_PRIVATE, fd, 0L)));
}

/* ---- the calls of another architecture ----------------------------------*/

/* The numbers mean other calls there: a filter has to look at both. */

#ifdef __x86_64__
#define I386_GETPID	20
#define I386_SOCKETCALL	102
#define X32		0x40000000L

static int
i386(long nr, long a, long b)
{
	long	 r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b) :
	    "memory", "r8", "r9", "r10", "r11");
	return (r < 0 ? (int)-r : 0);
}

static int
i386_getpid(const struct prey *p)
{
	(void)p;
	return (i386(I386_GETPID, 0, 0));
}

static int
i386_socket(const struct prey *p)
{
	(void)p;
	return (i386(I386_SOCKETCALL, 1, 0));
}

TRY(x32_getpid, X32 | SYS_getpid)
TRY(x32_socket, X32 | SYS_socket, 2, 1, 0)
#endif

#define W	A_WORKER
#define C	A_CONTROL
#define K	A_KERNEL

const struct attempt	 memory_attempts[] = {
	{ "mmap PROT_EXEC", map_exec, W | C, 0, NULL },
	{ "mmap PROT_WRITE, PROT_EXEC", map_write_exec, W, 0, NULL },
	{ "mmap a memfd PROT_EXEC", map_memfd, W, 0, NULL },
	{ "mprotect PROT_EXEC", protect_exec, W | C, 0, NULL },
	{ "mprotect own code writable", protect_write, W, 0, NULL },
	{ "brk, mprotect PROT_EXEC", heap_exec, W, 0, NULL },
	{ "pkey_mprotect PROT_EXEC", protect_key, W | K, 0, NULL },
	{ "pkey_alloc", new_key, W | K, EINVAL, NULL },
	{ "remap_file_pages PROT_EXEC", remap_pages, W | K, EINVAL, NULL },
	{ "mlock", lock_one, W | K, 0, NULL },
	{ "mlockall", lock_all, W | K, 0, NULL },
#ifdef __x86_64__
	{ "i386: getpid", i386_getpid, W | C | K, 0, NULL },
	{ "i386: socket", i386_socket, W | K, EFAULT, NULL },
	{ "x32: getpid", x32_getpid, W | C | K, 0, NULL },
	{ "x32: socket", x32_socket, W | K, 0, NULL },
#endif
	{ NULL, NULL, 0, 0, NULL }
};
