#!/bin/sh
# SPDX-License-Identifier: ISC
# Builds the fuzz targets with clang's libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer in a temporary directory; replays the corpus of
# each and fuzzes it for SECONDS.  Without clang the corpora are replayed only,
# with gcc.  Nothing is written to the source tree; findings are kept.
#
# usage: sh tests/fuzz/run.sh [-k] [-o DIR] SECONDS [TARGET...]
#	-k	keep the build
#	-o DIR	begin with the grown corpora in DIR, and keep them and the
#		findings there
#	SECONDS	0: replay only
#	TARGET	stanza conf text worker spawner registry (all, unless named)
# Exit status: 0 without findings, 1 with, 2 if a target could not be built.

set -u
cd "$(dirname "$0")/../.." || exit 2
top=$(pwd)
. etc/lib.sh

all="stanza conf text worker spawner registry"
usage() {
	die "usage: run.sh [-k] [-o DIR] SECONDS [$all]"
}

keep=no out=
while getopts ko: opt; do
	case $opt in
	k)	keep=yes ;;
	o)	out=$OPTARG ;;
	*)	usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
case $1 in
*[!0-9]*|'') usage ;;
esac
seconds=$1
shift
for t; do
	case " $all " in
	*" $t "*) ;;
	*) usage ;;
	esac
done
targets=${*:-$all}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/passd-fuzz.XXXXXX") || exit 2
if [ -n "$out" ]; then
	mkdir -p "$out" || exit 2
	out=$(cd "$out" && pwd)
else
	out=$tmp/out
fi
failed=no
# Findings are not thrown away.
clean_up() {
	if [ $keep = yes ] || { [ $failed = yes ] && [ "$out" = "$tmp/out" ]; }
	then
		say "kept: $tmp"
	else
		rm -rf "$tmp"
	fi
}
at_exit clean_up
child=
# shellcheck disable=SC2016 # expanded at the end
at_exit '[ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null'

# wait_for COMMAND...: in the background, so that a signal is acted on at once.
wait_for() {
	"$@" </dev/null &
	child=$!
	wait "$child"
	wait_status=$?
	child=
	return $wait_status
}

# ---- build -----------------------------------------------------------------

fuzzer=yes
cc=${FUZZ_CC:-clang}
printf 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n);\n%s\n' \
    'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return 0; }' \
    >"$tmp/try.c"
if ! "$cc" -fsanitize=fuzzer,address,undefined -o "$tmp/try" "$tmp/try.c" \
    >/dev/null 2>&1; then
	say "$cc has no libFuzzer: corpora are replayed only"
	fuzzer=no
	command -v "$cc" >/dev/null 2>&1 || cc=gcc
fi

if [ $fuzzer = yes ]; then
	sanitize="fuzzer-no-link,address,undefined"
	link="-fsanitize=fuzzer,address,undefined"
	engine=
else
	sanitize="address,undefined"
	link="-fsanitize=address,undefined"
	engine=tests/fuzz/replay.c
fi

build() {
	copy_sources "$top" "$tmp/src" &&
	    mkdir "$tmp/build" && cd "$tmp/build" &&
	    ../src/configure CC="$cc" CFLAGS="-g -O1" --without-criterion \
		--disable-hardening --enable-sanitizers=$sanitize &&
	    make libmaster.a libcommon.a
}
wait_for build >"$tmp/build.log" 2>&1 || {
	tail -n 50 "$tmp/build.log" >&2
	say "run.sh: the build failed" >&2
	exit 2
}
cd "$tmp/build" || exit 2

# var NAME: a variable of the Makefile, expanded.
var() {
	# shellcheck disable=SC2016 # for make, not for us
	printf 'include Makefile\nfuzz-var:\n\t@echo $(%s)\n' "$1" |
	    make -s -f - fuzz-var
}
cppflags="-DHAVE_CONFIG_H -I. $(var libmaster_a_CPPFLAGS)"
cppflags="$cppflags -I$tmp/src/tests/fuzz/criterion -I$tmp/src/tests/fuzz
    -I$tmp/src/tests/unit"
libs="libmaster.a libcommon.a $(var MASTER_LIBS)"

# compile TARGET
compile() {
	sources="$tmp/src/tests/fuzz/fuzz_$1.c $tmp/src/tests/fuzz/fuzz.c"
	[ -z "$engine" ] || sources="$sources $tmp/src/$engine"
	case $1 in
	worker|spawner|registry)
		sources="$sources $tmp/src/tests/fuzz/world.c"
		[ $1 != registry ] || sources="$sources \
		    $tmp/src/tests/fuzz/honest.c"
		# The clock of the tests does not go by itself.
		# shellcheck disable=SC2086 # lists of words, here and below
		"$cc" -g -O1 -std=gnu11 -fsanitize=$sanitize \
		    -fno-sanitize-recover=all $cppflags \
		    -Dsyscall=world_syscall -c -o fake.o \
		    "$tmp/src/tests/unit/fake.c" || return 1
		sources="$sources fake.o"
		;;
	esac
	# shellcheck disable=SC2086
	"$cc" -g -O1 -std=gnu11 -Wall -Wextra -Wshadow -Werror $link \
	    -fno-sanitize-recover=all -fno-omit-frame-pointer $cppflags \
	    -o "fuzz_$1" $sources $libs
}

# ---- run -------------------------------------------------------------------

ASAN_OPTIONS=quarantine_size_mb=16:detect_leaks=1
UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

# runs LOG: how many inputs were run.
runs() {
	sed -n -e 's/^Done \([0-9]*\) runs.*/\1/p' \
	    -e 's/^\([0-9]*\) inputs replayed$/\1/p' \
	    -e 's/^stat::number_of_executed_units: *//p' "$1" | tail -n 1
}

# fuzz TARGET
fuzz() {
	name=$1
	corpus=$top/tests/fuzz/corpus/$name
	dict=$top/tests/fuzz/$name.dict
	log=$out/$name.log
	mkdir -p "$out/corpus/$name" "$out/findings/$name" || return 1
	set -- "$corpus"
	if [ $fuzzer = yes ]; then
		if [ "$seconds" -gt 0 ]; then
			set -- -max_total_time="$seconds" \
			    "$out/corpus/$name" "$corpus"
		else
			set -- -runs=0 "$corpus"
		fi
		[ ! -f "$dict" ] || set -- -dict="$dict" "$@"
		set -- -artifact_prefix="$out/findings/$name/" -timeout=20 \
		    -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 "$@"
	fi
	if wait_for "./fuzz_$name" "$@" >"$log" 2>&1; then
		printf '%-10s %10s executions, no finding\n' "$name" \
		    "$(runs "$log")"
		return 0
	fi
	grep -a -v -E '^#[0-9]+|^stat::|^INFO:' "$log" | tail -n 60
	printf '%-10s %10s executions, FINDING: %s\n' "$name" \
	    "$(runs "$log")" "$out/findings/$name"
	return 1
}

for t in $targets; do
	wait_for compile "$t" || exit 2
	fuzz "$t" || failed=yes
done
[ $failed = no ] || exit 1
