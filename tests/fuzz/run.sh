#!/bin/sh
# SPDX-License-Identifier: ISC
# Builds the fuzz targets with clang's libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer in a temporary directory; replays the corpus of
# each and fuzzes it for SECONDS.  Without clang's libFuzzer the corpora are
# replayed only, with gcc if need be.  Nothing is written to the source tree;
# findings are printed and kept.
#
# usage: sh tests/fuzz/run.sh [-k] [-j JOBS] [-o DIR] SECONDS [TARGET...]
#	-k	keep the build
#	-j JOBS	so many targets at a time (one for each processor)
#	-o DIR	begin with the grown corpora in DIR, and keep them and the
#		findings there
#	SECONDS	0: replay only
#	TARGET	stanza conf text worker spawner registry transfer (all,
#		unless named; transfer needs libsodium)
# Exit status: 0 without findings, 1 with, 2 if a target could not be built.

set -u
cd "$(dirname "$0")/../.." || exit 2
top=$(pwd)
. etc/lib.sh

all="stanza conf text worker spawner registry"
! pkg-config --exists libsodium || all="$all transfer"
usage() {
	die "usage: run.sh [-k] [-j JOBS] [-o DIR] SECONDS [$all]"
}

keep=no out=
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
while getopts kj:o: opt; do
	case $opt in
	k)	keep=yes ;;
	j)	jobs=$OPTARG ;;
	o)	out=$OPTARG ;;
	*)	usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
case $1 in
*[!0-9]*|'') usage ;;
esac
case $jobs in
*[!0-9]*|''|0) usage ;;
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

# What is under way is in the background, so that a signal is acted on at once.
children=
ended_badly=
end_children() {
	for child in $children; do
		kill "${child%:*}" 2>/dev/null
	done
	for child in $children; do
		wait "${child%:*}"
	done
}
at_exit end_children

# start NAME COMMAND...
start() {
	started=$1
	shift
	"$@" </dev/null &
	children="$children $!:$started"
}

# wait_all: for what was started; the names of those that failed go to
# $ended_badly.
wait_all() {
	for child in $children; do
		wait "${child%:*}" || ended_badly="$ended_badly ${child#*:}"
		children=${children#* "$child"}
	done
	[ -z "$ended_badly" ]
}

# each COMMAND: COMMAND TARGET for each target, $jobs at a time.
each() {
	n=0
	for t in $targets; do
		start "$t" "$1" "$t"
		n=$((n + 1))
		[ $((n % jobs)) -ne 0 ] || wait_all
	done
	wait_all
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
	more=
	case " $targets " in
	*" transfer "*) more=libtransfer.a ;;
	esac
	copy_sources "$top" "$tmp/src" &&
	    mkdir "$tmp/build" && cd "$tmp/build" &&
	    ../src/configure CC="$cc" CFLAGS="-g -O1" --without-criterion \
		--disable-hardening --enable-sanitizers=$sanitize &&
	    exec make -j"$jobs" libmaster.a libcommon.a ${more:+"$more"}
}
start build build >"$tmp/build.log" 2>&1
wait_all || {
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

# The clock of the tests does not go by itself.
compile_fake() {
	# shellcheck disable=SC2086 # lists of words, here and below
	exec "$cc" -g -O1 -std=gnu11 -fsanitize=$sanitize \
	    -fno-sanitize-recover=all $cppflags -Dsyscall=world_syscall -c \
	    -o fake.o "$tmp/src/tests/unit/fake.c"
}

# compile TARGET
compile() {
	sources="$tmp/src/tests/fuzz/fuzz_$1.c $tmp/src/tests/fuzz/fuzz.c"
	[ -z "$engine" ] || sources="$sources $tmp/src/$engine"
	case $1 in
	worker|spawner)
		sources="$sources $tmp/src/tests/fuzz/world.c fake.o" ;;
	transfer)
		cppflags="$cppflags $(var libtransfer_a_CPPFLAGS)"
		libs="libtransfer.a $libs $(var SODIUM_LIBS)" ;;
	registry)
		sources="$sources $tmp/src/tests/fuzz/world.c
		    $tmp/src/tests/fuzz/honest.c fake.o" ;;
	esac
	# shellcheck disable=SC2086
	exec "$cc" -g -O1 -std=gnu11 -Wall -Wextra -Wshadow -Werror $link \
	    -fno-sanitize-recover=all -fno-omit-frame-pointer $cppflags \
	    -o "fuzz_$1" $sources $libs
}

start fake compile_fake
if ! wait_all || ! each compile; then
	say "run.sh: these were not built:$ended_badly" >&2
	exit 2
fi

# ---- run -------------------------------------------------------------------

ASAN_OPTIONS=quarantine_size_mb=16:detect_leaks=1
UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

# fuzz TARGET
fuzz() {
	target=$1
	corpus=$top/tests/fuzz/corpus/$target
	dict=$top/tests/fuzz/$target.dict
	mkdir -p "$out/corpus/$target" "$out/findings/$target" || return 1
	set -- "$corpus"
	if [ $fuzzer = yes ]; then
		if [ "$seconds" -gt 0 ]; then
			set -- -max_total_time="$seconds" \
			    "$out/corpus/$target" "$corpus"
		else
			set -- -runs=0 "$corpus"
		fi
		[ ! -f "$dict" ] || set -- -dict="$dict" "$@"
		set -- -artifact_prefix="$out/findings/$target/" -timeout=60 \
		    -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 "$@"
	fi
	exec "./fuzz_$target" "$@" >"$out/$target.log" 2>&1
}

# runs LOG: how many inputs were run.
runs() {
	sed -n -e 's/^Done \([0-9]*\) runs.*/\1/p' \
	    -e 's/^\([0-9]*\) inputs replayed$/\1/p' \
	    -e 's/^stat::number_of_executed_units: *//p' "$1" | tail -n 1
}

# show TARGET: what came out of it, and the inputs that were found.
show() {
	case " $ended_badly " in
	*" $1 "*) ;;
	*)	printf '%-10s %10s executions, no finding\n' "$1" \
		    "$(runs "$out/$1.log")"
		return ;;
	esac
	grep -a -v -E '^#[0-9]+|^stat::|^INFO:' "$out/$1.log" | tail -n 60
	for input in "$out/findings/$1"/*; do
		[ -f "$input" ] || continue
		say "in base64, ${input##*/}:"
		base64 "$input"
	done
	printf '%-10s %10s executions, FINDING: %s\n' "$1" \
	    "$(runs "$out/$1.log")" "$out/findings/$1"
}

each fuzz || failed=yes
for t in $targets; do
	show "$t"
done
[ $failed = no ] || exit 1
