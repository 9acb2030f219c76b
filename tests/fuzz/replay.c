/* SPDX-License-Identifier: ISC */
/*
 * In place of libFuzzer, for compilers that have none: runs the target once
 * on each file named, or on each file of a directory named.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define INPUT_MAX	65536

static unsigned long	 runs;

static void
replay(const char *path)
{
	static uint8_t	 bytes[INPUT_MAX];
	uint8_t		*copy;
	size_t		 len;
	FILE		*f;

	if ((f = fopen(path, "rb")) == NULL) {
		perror(path);
		exit(1);
	}
	len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	/* Just as long as it is, so that a sanitizer sees what is behind. */
	if ((copy = malloc(len == 0 ? 1 : len)) == NULL)
		abort();
	for (size_t i = 0; i < len; i++)
		copy[i] = bytes[i];
	fprintf(stderr, "%s\n", path);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	runs++;
}

static void
replay_all(const char *path)
{
	struct dirent	*d;
	char		 name[1024];
	DIR		*dir;

	if ((dir = opendir(path)) == NULL) {
		replay(path);
		return;
	}
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, d->d_name);
		replay(name);
	}
	closedir(dir);
}

int
main(int argc, char **argv)
{
	int	 i;

	for (i = 1; i < argc; i++)
		replay_all(argv[i]);
	printf("%lu inputs replayed\n", runs);
	return (0);
}
