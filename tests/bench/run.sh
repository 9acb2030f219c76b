#!/bin/sh
# SPDX-License-Identifier: ISC
#
# How fast passd relays: beside no relay at all, a bare splice loop (bare.c)
# and HAProxy in TCP mode, in one run, round by round in turns, so that all
# meet the same machine in the same mood.  Prints a table of medians, the same
# as ratios, and what DESIGN.md section 8 asks of passd.
#
#	cd build && sh ../tests/bench/run.sh
#
# usage: run.sh [--quick] [--mtu bytes] [--no-passd] [--rounds n] [--run ms]
#	--quick		few and short rounds: to see that it works
#	--mtu		as root: in a network of its own, whose lo is like a
#			wire with packets of that size (no segmentation offload)
#	--no-passd	only the others
#	PASSD, PASSD_WORKER: the programs; ./passd and ./passd-worker if unset
# How fast passcat send is, beside scp, says transfer.py; passcat listen, beside
# nc, listen.py.
# Traffic is on loopback only, everything is in a temporary directory, the
# system's HAProxy service is not touched.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mtu='' passd=yes options=''
usage() {
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--quick)	options="$options --rounds 1 --run 400 --warm 200"
			options="$options --streams 4 --ports 50" ;;
	--mtu)		[ $# -ge 2 ] || usage
			mtu=$2; shift ;;
	--no-passd)	passd=no ;;
	--rounds|--run)	[ $# -ge 2 ] || usage
			options="$options $1 $2"; shift ;;
	*)		usage ;;
	esac
	shift
done

python=${PYTHON:-/usr/bin/python3}
program='' worker=''
if [ $passd = yes ]; then
	program=${PASSD:-./passd} worker=${PASSD_WORKER:-./passd-worker}
	for file in "$program" "$worker"; do
		[ -x "$file" ] || {
			echo "run.sh: no $file: build passd and start this" \
			    "in the build directory, or set PASSD and" \
			    "PASSD_WORKER" >&2
			exit 1
		}
	done
	program=$(realpath "$program") worker=$(realpath "$worker")
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/passd-bench.XXXXXX")
pid=
clean() {
	[ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid"; } || :
	rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$dir"	# the relays run as other users
for file in load bare; do
	${CC:-cc} -O2 -std=gnu11 -D_GNU_SOURCE -o "$dir/$file" \
	    "$here/$file.c"
done

set -- "$python" -B "$here/bench.py" --directory "$dir" \
    --passd "$program" --worker "$worker" $options
[ -z "$mtu" ] || set -- unshare -n "$@" --mtu "$mtu"
"$@" &
# In the background, so that a signal is acted on at once.
pid=$!
status=0
wait "$pid" || status=$?
pid=
exit $status
