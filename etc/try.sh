#!/bin/sh
# SPDX-License-Identifier: ISC
# Try passd: a private Prosody and a passd on loopback, two accounts, and a
# file that goes from alice to bob through the relay.  Nothing of the system
# is used or changed but packages that are missing (as root; else it says
# which).
#
# usage: sh etc/try.sh [--keep] [--server prosody] [FILE]
#	--keep	leave server and passd running, and say how to use and to
#		stop them
#	FILE	what alice sends (about 300 MB of random bytes, unless given)
# environment: TRY_BUILD	a directory with a finished build to use
# Exit status: 0 if bob got what alice has sent, else 1.

set -u
here=$(dirname "$0")
top=$(cd "$here/.." && pwd) || exit 1
. "$top/etc/lib.sh"

usage() {
	die "usage: try.sh [--keep] [--server prosody] [FILE]"
}

keep=no
file=
while [ $# -gt 0 ]; do
	case $1 in
	--keep)	keep=yes ;;
	--server)
		[ $# -ge 2 ] || usage
		[ "$2" = prosody ] || die "the only server here is prosody"
		shift ;;
	-*)	usage ;;
	*)	[ -z "$file" ] || usage
		file=$1 ;;
	esac
	shift
done
if [ -n "$file" ]; then
	if [ ! -f "$file" ] || [ ! -r "$file" ]; then
		die "$file: not a readable file"
	fi
	file=$(realpath "$file")
fi

# shellcheck disable=SC2086 # a list of words
need_packages $LIB_BUILD_PACKAGES $LIB_CLIENT_PACKAGES prosody openssl python3 \
    procps

PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3

tmp=$(mktemp -d "${TMPDIR:-/tmp}/passd-try.XXXXXX") || die "no temp directory"
chmod 711 "$tmp"

# ---- the end ---------------------------------------------------------------

prosody_pid=
passd_pid=
bob_pid=
show_pid=

# stop PID: end a process that we started, at the latest after five seconds.
stop() {
	if [ -z "$1" ] || ! kill "$1" 2>/dev/null; then
		return 0
	fi
	n=0
	while kill -0 "$1" 2>/dev/null; do
		n=$((n + 1))
		if [ $n -gt 50 ]; then
			kill -9 "$1" 2>/dev/null
			break
		fi
		sleep 0.1
	done
	wait "$1" 2>/dev/null
	return 0
}

clean() {
	[ -z "$kept" ] || return 0
	stop "$show_pid"
	stop "$bob_pid"
	stop "$passd_pid"
	stop "$prosody_pid"
	rm -rf "$tmp"
}
kept=
at_exit clean

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds.
wait_for() {
	n=$(($1 * 10))
	what=$2
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		n=$((n - 1))
		if [ $n -le 0 ]; then
			tail -n 20 "$tmp"/*.log >&2
			die "$what: waited in vain"
		fi
		sleep 0.1
	done
}

connects() {
	$PYTHON -c 'import socket, sys
socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1"
}

# ---- build -----------------------------------------------------------------

if [ -n "${TRY_BUILD:-}" ]; then
	build=$(cd "$TRY_BUILD" && pwd) || exit 1
else
	say "==> building passd in $tmp/build"
	build=$tmp/build
	mkdir "$build"
	copy_sources "$top" "$tmp/src" || die "autoreconf failed"
	(cd "$build" && ../src/configure && make -j2) >"$tmp/build.log" 2>&1 ||
	    { tail -n 40 "$tmp/build.log" >&2; die "the build failed"; }
fi
for program in "$build/passd" "$build/passd-worker" "$build/passcat"; do
	[ -x "$program" ] || die "no $program"
done
"$build/passd" -V

# ---- who runs what ---------------------------------------------------------

# As root, server and passd become users that exist on every system.
as_server=
as_passd=
if [ "$(id -u)" -eq 0 ]; then
	server_user=$(id -un prosody 2>/dev/null || echo nobody)
	server_group=$(id -gn "$server_user")
	as_server="setpriv --reuid=$server_user --regid=$server_group
	    --clear-groups --"
	mkdir "$tmp/empty"
	as_passd="-u nobody -w daemon -c $tmp/empty"
	say "==> as root: Prosody runs as $server_user, passd's control as" \
	    "nobody, its workers as daemon"
fi

# Two ports and two ranges in which nobody listens, above the range from
# which outgoing connections take theirs.
ports=$($PYTHON - <<'PORTS'
import random
import socket

def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

for _ in range(1000):
    base = random.randrange(61000, 65400)
    if all(free(base + i) for i in range(42)):
        print(base, base + 1, base + 2, base + 21, base + 22, base + 41)
        break
PORTS
)
[ -n "$ports" ] || die "no free ports on loopback"
# shellcheck disable=SC2086 # six numbers
set -- $ports
c2s=$1 component=$2 first=$3 last=$4 rdv_first=$5 rdv_last=$6

# secret: print 32 hexadecimal digits that nobody can guess.
secret() {
	od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}
component_secret=$(secret)
alice_password=$(secret)
bob_password=$(secret)

# ---- the server ------------------------------------------------------------

server=$tmp/prosody
mkdir -m 700 "$server" "$server/data"
# passcat sends no password without TLS, and trusts this one certificate.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$server/server.key" -out "$server/server.pem" \
    >"$tmp/openssl.log" 2>&1 ||
    { cat "$tmp/openssl.log" >&2; die "openssl made no certificate"; }
cp "$server/server.pem" "$tmp/ca.pem"
(umask 077 && cat >"$server/prosody.cfg.lua") <<CONF
-- Private to etc/try.sh: loopback only, no other servers.
daemonize = false
pidfile = "$server/prosody.pid"
data_path = "$server/data"
certificates = "$server"
log = { { levels = { min = "info" }, to = "file",
    filename = "$server/prosody.log" } }
interfaces = { "127.0.0.1" }
c2s_ports = { $c2s }
component_interfaces = { "127.0.0.1" }
component_ports = { $component }
modules_enabled = { "roster", "saslauth", "disco", "ping", "tls", "smacks" }
modules_disabled = { "s2s", "s2s_auth_certs" }
authentication = "internal_hashed"
c2s_require_encryption = true
ssl = { certificate = "$server/server.pem", key = "$server/server.key" }

VirtualHost "localhost"

Component "pass.localhost"
	component_secret = "$component_secret"
CONF
[ -z "$as_server" ] || chown -R "$server_user:$server_group" "$server"

say "==> starting a private Prosody on 127.0.0.1: clients port $c2s," \
    "components port $component"
# In a session of their own: with --keep they outlive this terminal.
# shellcheck disable=SC2086 # words
(cd "$server" && exec setsid $as_server prosody -F \
    --config "$server/prosody.cfg.lua") \
    </dev/null >"$tmp/prosody.log" 2>&1 &
prosody_pid=$!
# account NAME PASSWORD
account() {
	# shellcheck disable=SC2086
	$as_server prosodyctl --config "$server/prosody.cfg.lua" \
	    register "$1" localhost "$2" >"$tmp/account.log" 2>&1 ||
	    { cat "$tmp/account.log" >&2; die "no account for $1"; }
	say "    account $1@localhost"
}
account alice "$alice_password"
account bob "$bob_password"
wait_for 20 "Prosody" connects "$component"

# ---- passd -----------------------------------------------------------------

(umask 077 && printf '%s\n' "$component_secret" >"$tmp/secret")
cat >"$tmp/passd.conf" <<CONF
component "pass.localhost"
server 127.0.0.1 port $component
secret file "$tmp/secret"

ports $first:$last
rendezvous ports $rdv_first:$rdv_last
listen on 127.0.0.1 advertise 127.0.0.1

allow "localhost"
CONF
say "==> starting passd: ports $first to $last, rendezvous ports" \
    "$rdv_first to $rdv_last"
# shellcheck disable=SC2086 # words
setsid "$build/passd" -d -f "$tmp/passd.conf" -x "$build/passd-worker" \
    $as_passd </dev/null >"$tmp/passd.log" 2>&1 &
passd_pid=$!
wait_for 20 "passd" grep -q 'link up' "$tmp/passd.log"

# ---- alice and bob ---------------------------------------------------------

if [ -z "$file" ]; then
	file=$tmp/file
	say "==> making a file of 300 MB"
	head -c 300000000 /dev/urandom >"$file"
fi
say "==> alice, who can accept no connection, sends $file" \
    "($(wc -c <"$file") bytes) to bob"

# The processes, while there is a worker to be seen.
show_processes() {
	n=0
	while ! grep -q 'registered port=' "$tmp/passd.log"; do
		n=$((n + 1))
		[ $n -le 600 ] || return
		sleep 0.05
	done
	processes=$(ps -o user:10,pid,args --forest -s "$passd_pid")
	printf '==> passd now:\n%s\n' "$processes"
}
show_processes &
show_pid=$!

# client NAME ARGUMENT...: become passcat as that user.
client() {
	user=$1
	shift
	PASSCAT_PASSWORD=$(cat "$tmp/$user.password")
	HOME=$tmp
	export PASSCAT_PASSWORD HOME
	exec "$build/passcat" -j "$user@localhost" --host "127.0.0.1:$c2s" \
	    --ca-file "$tmp/ca.pem" -s pass.localhost "$@"
}
# as NAME: put the name before each line.
as() {
	sed -u -e 's/^passcat: //' -e "s/^/$1  /"
}
umask 077
printf '%s\n' "$alice_password" >"$tmp/alice.password"
printf '%s\n' "$bob_password" >"$tmp/bob.password"
umask 022
mkdir "$tmp/received"

(client bob receive --yes --decloak localhost "$tmp/received") \
    >"$tmp/bob.log" 2>&1 &
bob_pid=$!
tail -n +1 -s 0.1 --pid=$bob_pid -f "$tmp/bob.log" | as "bob:  " &
tail_pid=$!
wait_for 20 "bob" grep -q 'waiting for files' "$tmp/bob.log"
{
	(client alice send "$file" bob@localhost) 2>&1
	echo $? >"$tmp/alice.status"
} | as alice:
alice_status=$(cat "$tmp/alice.status")
wait $bob_pid
bob_status=$?
bob_pid=
wait $tail_pid $show_pid 2>/dev/null

wait_for 5 "the end of the relay" grep -q '^.*ended port=' "$tmp/passd.log"
say "==> passd's log:"
sed 's/^/    /' "$tmp/passd.log"

sent=$(sha256sum <"$file")
# One file, under its name unless that was one that no file should have.
received=$(cat "$tmp"/received/* | sha256sum)
say "==> SHA-256 of what alice sent:  ${sent%% *}"
say "    SHA-256 of what bob has got: ${received%% *}"
status=1
if [ "$sent" = "$received" ] && [ $alice_status -eq 0 ] &&
    [ $bob_status -eq 0 ]; then
	status=0
	say "    equal: the relay works"
else
	say "    NOT EQUAL, or a client failed: alice $alice_status," \
	    "bob $bob_status"
fi

# ---- --keep ----------------------------------------------------------------

if [ $keep = yes ]; then
	kept=yes
	cat >"$tmp/stop" <<STOP
#!/bin/sh
# Stop what etc/try.sh --keep has left running, and remove this directory.
kill $passd_pid $prosody_pid
n=0
while kill -0 $passd_pid 2>/dev/null || kill -0 $prosody_pid 2>/dev/null; do
	n=\$((n + 1))
	[ \$n -le 100 ] || { kill -9 $passd_pid $prosody_pid; break; }
	sleep 0.1
done
rm -rf "$tmp"
STOP
	cat <<KEEP

==> everything is left running

    XMPP server   127.0.0.1 port $c2s, certificate $tmp/ca.pem
    accounts      alice@localhost  password $alice_password
                  bob@localhost    password $bob_password
    passd         pass.localhost, configured by $tmp/passd.conf
                  log $tmp/passd.log, process $passd_pid
    Prosody       $server/prosody.cfg.lua, process $prosody_pid

    once more, in two terminals:
      export PASSCAT_PASSWORD=$bob_password
      $build/passcat -j bob@localhost --host 127.0.0.1:$c2s \\
        --ca-file $tmp/ca.pem receive --from alice@localhost /tmp

      export PASSCAT_PASSWORD=$alice_password
      $build/passcat -j alice@localhost --host 127.0.0.1:$c2s \\
        --ca-file $tmp/ca.pem send FILE bob@localhost

    what else passcat can do:     man $top/man/passcat.1
    read the configuration anew:  kill -HUP $passd_pid
    stop and remove everything:   sh $tmp/stop
KEEP
fi
exit $status
