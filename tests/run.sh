#!/bin/sh
# SPDX-License-Identifier: ISC
# Every test, on Debian 12 with nothing prepared: installs what is missing (as
# root; else says what to install), builds in a temporary directory with gcc,
# with clang, with sanitizers and without splice, and runs the unit tests and
# the end-to-end tests, the latter against a private Prosody and ejabberd on
# loopback.  No service of the system is started or touched.
#
# usage: sh tests/run.sh [-k] [STEP...]
#	-k	keep the temporary directory
#	STEP	gcc clang e2e sanitizers copy bench man dist (all, unless named)
# Exit status: 0 if every step passed, else 1.

set -u
cd "$(dirname "$0")/.." || exit 1
top=$(pwd)
. etc/lib.sh

keep=no
if [ "${1:-}" = -k ]; then
	keep=yes
	shift
fi
all="gcc clang e2e sanitizers copy bench man dist"
for step; do
	case " $all " in
	*" $step "*) ;;
	*) die "usage: run.sh [-k] [$all]" ;;
	esac
done
wanted=${*:-$all}

# shellcheck disable=SC2086 # a list of words
need_packages $LIB_BUILD_PACKAGES clang libcriterion-dev libstrophe-dev \
    prosody ejabberd haproxy mandoc procps \
    python3 python3-pytest python3-slixmpp

PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3
export PYTHON PYTHONDONTWRITEBYTECODE=1
unset MAKEFLAGS MFLAGS PASSD PASSD_WORKER STROPHE_PEER
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

tmp=$(mktemp -d "${TMPDIR:-/tmp}/passd-run.XXXXXX") || die "no temp directory"
# The tests, when run as root, become other users who have to get in here.
chmod 755 "$tmp"
if [ $keep = yes ]; then
	at_exit 'say "kept: $tmp"'
else
	# make distcheck leaves directories that cannot be written.
	at_exit 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"'
fi

# ---- steps -----------------------------------------------------------------

failed=
summary=

# wants STEP: is it to be run?
wants() {
	case " $wanted " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# run SECONDS SIGNAL WHAT COMMAND...: run COMMAND, which gets SIGNAL after
# SECONDS, and remember how it ended.  In the foreground, so that Ctrl-C
# reaches it and pytest can put its servers away.
run() {
	limit=$1 signal=$2 what=$3
	shift 3
	say
	say "==> $what"
	began=$(date +%s)
	timeout --foreground -k 60 -s "$signal" "$limit" "$@"
	status=$?
	took=$(($(date +%s) - began))
	case $status in
	0)	word=ok ;;
	124|137) word="FAILED (took over $limit s)" ;;
	130)	exit 130 ;;
	*)	word="FAILED (status $status)" ;;
	esac
	[ $status -eq 0 ] || failed="$failed$what; "
	summary="$summary
$(printf '%5d s  %-42s %s' $took "$what" "$word")"
	say "==> $what: $word, $took s"
	return $status
}

# build NAME CONFIGURE-ARGUMENT...: configure and make in $tmp/NAME.
build() {
	name=$1
	shift
	mkdir "$tmp/$name" || return 1
	# shellcheck disable=SC2016 # for the inner shell
	run 300 TERM "$name: build" sh -c 'cd "$1" && shift &&
	    jobs=$1 && shift && { "$@" >configure.out 2>&1 ||
	    { cat configure.out; exit 1; }; } &&
	    sed -n "/^passd [0-9]/,\$p" configure.out &&
	    make -j"$jobs" && make -j"$jobs" check TESTS=' sh \
	    "$tmp/$name" "$jobs" "$tmp/src/configure" --enable-werror "$@"
}

# check NAME: the unit tests of that build; the programs print for themselves.
check() {
	run 300 TERM "$1: make check" make -C "$tmp/$1" --no-print-directory \
	    check
}

# e2e NAME ARGUMENT...: the end-to-end tests with the programs of that build.
e2e() {
	name=$1
	shift
	run 600 INT "$name: end to end" env PASSD="$tmp/$name/passd" \
	    PASSD_WORKER="$tmp/$name/passd-worker" BUILDDIR="$tmp/$name" \
	    STROPHE_PEER="$tmp/$name/tests/e2e/strophe_peer" \
	    sh -c 'cd "$1" && shift && exec "$@"' sh "$tmp/src/tests/e2e" \
	    $PYTHON -m pytest "$@"
}

lint() {
	run 60 TERM "manual pages: mandoc -Tlint" sh -c '
	    cd "$1" && for page in man/*.[158] man/*.[158].in; do
		[ -f "$page" ] || continue
		mandoc -Tlint -Wwarning "$page" || exit 1
		echo "$page: clean"
	    done' sh "$tmp/src"
}

# ---- all of it -------------------------------------------------------------

begin=$(date +%s)
copy_sources "$top" "$tmp/src" || die "autoreconf failed"

if wants gcc || wants e2e || wants bench || wants dist; then
	build gcc CC=gcc || exit 1
fi
wants gcc && check gcc
wants man && lint
wants clang && build clang CC=clang && check clang
wants e2e && e2e gcc
if wants sanitizers && build sanitizers CC=gcc --enable-sanitizers; then
	check sanitizers
	e2e sanitizers -m "not slow"
fi
if wants copy && build copy CC=gcc --disable-splice; then
	check copy
	e2e copy -m "not slow" -k relay
fi
wants bench && run 120 INT "bench: a quick round" \
    env PASSD="$tmp/gcc/passd" PASSD_WORKER="$tmp/gcc/passd-worker" \
    sh "$tmp/src/tests/bench/run.sh" --quick
wants dist && run 400 TERM "make distcheck" \
    make -C "$tmp/gcc" --no-print-directory -j"$jobs" distcheck

say
say "$summary"
say "in all $(($(date +%s) - begin)) s"
if [ -n "$failed" ]; then
	say "FAILED: ${failed%; }"
	exit 1
fi
say "passed: everything ($wanted)"
