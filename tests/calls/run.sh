#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Which system calls do the processes of passd make, and which rules of their
# filters does nothing need?  Runs the end-to-end tests, as root also as an
# ordinary user, with each passd under strace(1), and compares what was called,
# with what arguments, to the filters in tests/unit/cage.  Every rule is used or
# has its reason in calls.py; else this fails.  Started by hand when a filter or
# a list changes; it takes about a quarter of an hour.
#
#	cd build && sh ../tests/calls/run.sh
#
# usage: run.sh [-k] [-d DIR] [TESTS]
#	-k	keep the traces, and say where
#	-d DIR	only compare the traces kept in DIR
#	TESTS	which, for pytest -k; else all but those of passcat(1)
#	PASSD, PASSD_WORKER: the programs; ./passd and ./passd-worker if unset
# A test that strace makes too slow is shown, and no failure of this: what was
# called was called.
set -u

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1
usage() {
	sed -n 's/^# usage: /usage: /p' "$0" >&2
	exit 2
}
keep=no traces=
while getopts kd: opt; do
	case $opt in
	k)	keep=yes ;;
	d)	traces=$OPTARG ;;
	*)	usage ;;
	esac
done
shift $((OPTIND - 1))
tests=${*:-not passcat}

compare() {
	"$python" "$here/calls.py" "$here/../unit/cage" "$1"
}
if [ -n "$traces" ]; then
	compare "$traces"
	exit
fi

command -v strace >/dev/null || {
	echo "run.sh: strace is missing" >&2
	exit 2
}
program=$(realpath "${PASSD:-./passd}")
worker=$(realpath "${PASSD_WORKER:-./passd-worker}")
for file in "$program" "$worker"; do
	[ -x "$file" ] || {
		echo "run.sh: no $file: build passd and start this in the" \
		    "build directory, or set PASSD and PASSD_WORKER" >&2
		exit 2
	}
done
build=$(dirname "$program")

dir=$(mktemp -d "${TMPDIR:-/tmp}/passd-calls.XXXXXX") || exit 2
clean() {
	[ $keep = no ] || echo "kept: $dir"
	[ $keep = yes ] || rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The tracer stands aside (-D), so that passd is the child it would be without.
mkdir "$dir/traces"
chmod 755 "$dir"
chmod 1777 "$dir/traces"
cat >"$dir/passd" <<EOF
#!/bin/sh
exec strace -D -f -q -e raw='!execve' -e signal=none \\
    -o "$dir/traces/\$(id -u)-\$\$-\$(date +%s%N).trace" -- "$program" "\$@"
EOF
chmod 755 "$dir/passd"

# e2e COMMAND...: the tests, started by that.
e2e() {
	echo "==> end to end, user $("$@" id -un)"
	mkdir "$dir/home"
	"$@" true && chown "$("$@" id -u)" "$dir/home"
	(cd "$here/../e2e" && "$@" env PASSD="$dir/passd" \
	    PASSD_WORKER="$worker" HOME="$dir/home" \
	    STROPHE_PEER="$build/tests/e2e/strophe_peer" \
	    HOSTILE_WORKER="$build/tests/e2e/hostile_worker" \
	    "$python" -m pytest -q -p no:cacheprovider -n 3 \
	    --dist loadgroup --basetemp "$dir/home/pytest" -k "$tests") ||
	    echo "==> not all of them: see above"
	rm -rf "${dir:?}/home"
}

e2e env
if [ "$(id -u)" -eq 0 ]; then
	e2e setpriv --reuid 65534 --regid 65534 --clear-groups
fi
compare "$dir/traces"
