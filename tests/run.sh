#!/bin/sh
# SPDX-License-Identifier: ISC
# Every test, on Debian 12 with nothing prepared: installs what is missing (as
# root; else says what to install), builds in a temporary directory with gcc,
# with clang, with sanitizers and without splice, and runs the unit tests and
# the end-to-end tests, the latter against a private Prosody and ejabberd on
# loopback, and fuzzes for 20 seconds each target.  No service of the system is
# started or touched.
#
# usage: sh tests/run.sh [-k] [STEP...]
#	-k	keep the temporary directory
#	STEP	gcc clang fuzz e2e sanitizers copy man dist (all, unless named),
#		or bench: see that the benchmark works, which is no test
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
all="gcc clang fuzz e2e sanitizers copy man dist"
for step; do
	case " $all bench " in
	*" $step "*) ;;
	*) die "usage: run.sh [-k] [$all bench]" ;;
	esac
done
wanted=${*:-$all}

# shellcheck disable=SC2086 # a list of words
need_packages $LIB_BUILD_PACKAGES clang libclang-rt-dev \
    libcriterion-dev libstrophe-dev \
    libsodium-dev openssl openssh-client openssh-server rsync \
    prosody ejabberd haproxy mandoc procps systemd \
    python3 python3-pytest python3-pytest-xdist python3-slixmpp

PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3
export PYTHON PYTHONDONTWRITEBYTECODE=1
unset MAKEFLAGS MFLAGS PASSD PASSD_WORKER PASSCAT STROPHE_PEER HOSTILE_WORKER
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

# wants STEP: is it to be run?
wants() {
	case " $wanted " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# descendants PID: print PID and all below it.
descendants() {
	ps -e -o pid= -o ppid= | awk -v pid="$1" '
	    { parent[$1] = $2 }
	    END {
		found[pid] = 1
		do {
			more = 0
			for (p in parent)
				if (!(p in found) && parent[p] in found)
					found[p] = more = 1
		} while (more)
		for (p in found)
			print p
	    }'
}

# A step runs in the background, so that a signal is acted on at once.  When we
# are told to end, pytest gets SIGINT and puts its servers away; of any other
# step all processes end, since Criterion's are in a process group of their own
# and hear nothing of a Ctrl-C.
child=
end_child() {
	[ -n "$child" ] || return 0
	# shellcheck disable=SC2046 # a list of numbers
	case $what in
	*"end to end"*) kill -INT "$child" 2>/dev/null ;;
	*) kill -TERM $(descendants "$child") 2>/dev/null ;;
	esac
	wait "$child"
}
at_exit end_child

# run SECONDS WHAT [quiet LOG] COMMAND...: run COMMAND, which may take SECONDS,
# and remember how it ended; with quiet show only the results of tests.
run() {
	limit=$1 what=$2
	shift 2
	say
	say "==> $what"
	began=$(date +%s)
	log=
	if [ "$1" = quiet ]; then
		log=$2
		shift 2
	fi
	# A shell's background job ignores SIGINT; not this one.
	set -- env --default-signal=INT timeout --foreground -k 60 -s INT \
	    "$limit" "$@"
	if [ -n "$log" ]; then
		"$@" </dev/null >"$log" 2>&1 &
	else
		"$@" </dev/null &
	fi
	child=$!
	wait "$child"
	status=$?
	child=
	took=$(($(date +%s) - began))
	if [ -n "$log" ]; then
		[ $status -eq 0 ] || tail -n 200 "$log"
		grep -E '^(\[====\]|PASS:|FAIL:)' "$log"
	fi
	case $status in
	0)	word=ok ;;
	124|137) word="FAILED: took over $limit s" ;;
	*)	word="FAILED: status $status" ;;
	esac
	printf '%5d s  %-36s %s\n' $took "$what" "$word" >>"$tmp/results"
	say "==> $what: $word, $took s"
	return $status
}

# build NAME CONFIGURE-ARGUMENT...: configure and make in $tmp/NAME.
build() {
	name=$1
	shift
	mkdir "$tmp/$name" || return 1
	run 300 "$name: build" sh -c 'cd "$1" && shift &&
	    jobs=$1 && shift && { "$@" >configure.out 2>&1 ||
	    { cat configure.out; exit 1; }; } &&
	    sed -n "/^passd [0-9]/,\$p" configure.out &&
	    make -j"$jobs" && make -j"$jobs" check TESTS=' sh \
	    "$tmp/$name" "$jobs" "$tmp/src/configure" --enable-werror "$@"
}

# check NAME: the unit tests of that build; the programs print for themselves.
check() {
	name=$1
	shift
	run 300 "$name: make check" make -C "$tmp/$name" --no-print-directory \
	    check "$@"
}

# e2e NAME ARGUMENT...: the end-to-end tests with the programs of that build,
# in three processes: one for each server, the one made for tests among them.
e2e() {
	name=$1
	shift
	run 700 "$name: end to end" env PASSD="$tmp/$name/passd" \
	    PASSD_WORKER="$tmp/$name/passd-worker" \
	    PASSCAT="$tmp/$name/passcat" \
	    STROPHE_PEER="$tmp/$name/tests/e2e/strophe_peer" \
	    HOSTILE_WORKER="$tmp/$name/tests/e2e/hostile_worker" \
	    sh -c 'cd "$1" && shift && exec "$@"' sh "$tmp/src/tests/e2e" \
	    $PYTHON -m pytest -n 3 --dist loadgroup \
	    --basetemp "$tmp/$name/pytest" "$@"
}

# The corpora, and 20 seconds for what nobody has thought of; findings are kept.
fuzz() {
	run 400 "fuzz: corpora, and 20 s each" \
	    sh "$tmp/src/tests/fuzz/run.sh" -j "$jobs" 20
}

lint() {
	run 60 "manual pages: mandoc -Tlint" sh -c '
	    cd "$1" && for page in man/*.[158]; do
		mandoc -Tlint -Wwarning "$page" || exit 1
		echo "$page: clean"
	    done' sh "$tmp/src"
}

# ---- all of it -------------------------------------------------------------

begin=$(date +%s)
copy_sources "$top" "$tmp/src" || die "autoreconf failed"
: >"$tmp/results"

if wants gcc || wants e2e || wants bench || wants dist; then
	build gcc CC=gcc || exit 1
fi
wants gcc && check gcc
wants man && lint
# What the other compiler can get wrong shows without the relay's time-outs.
wants clang && build clang CC=clang && check clang \
    TESTS="tests/unit/unit tests/unit/unit_iq tests/unit/noheap \
    tests/unit/layers tests/unit/openbsd"
wants fuzz && fuzz
wants e2e && e2e gcc
if wants sanitizers && build sanitizers CC=gcc --enable-sanitizers; then
	check sanitizers
	# Which server it is makes no difference to memory, and what taken
	# processes send is in the unit tests, too.
	e2e sanitizers -m "not slow" -k "not ejabberd and not hostile"
fi
# Its unit tests, shuttle_copy, are in every build.
if wants copy && build copy CC=gcc --disable-splice; then
	e2e copy -m "not slow" -k relay
fi
# The unit tests have run by now.
wants dist && run 400 "make distcheck" quiet "$tmp/dist.log" \
    make -C "$tmp/gcc" --no-print-directory -j"$jobs" distcheck \
    DISTCHECK_CONFIGURE_FLAGS="--without-criterion"
wants bench && run 120 "bench: a quick round" \
    env PASSD="$tmp/gcc/passd" PASSD_WORKER="$tmp/gcc/passd-worker" \
    sh "$tmp/src/tests/bench/run.sh" --quick

say
cat "$tmp/results"
say "in all $(($(date +%s) - begin)) s"
if grep -q FAILED "$tmp/results"; then
	say "FAILED"
	exit 1
fi
say "passed: everything ($wanted)"
