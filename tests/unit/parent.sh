#!/bin/sh
# SPDX-License-Identifier: ISC
# The parent keeps its privileges and has no filter.  What stands in their
# place is that it parses nothing: what it reads from the other processes are
# the fixed structs of msg_recv(), and nothing comes from the network.  Looked
# at here: what its own objects call, and how long its source is.
#
# usage: parent.sh [OBJECT...]    (default: what make check names)
# With CC set the test first sees itself fail on calls that are forbidden.

set -u
nm=${NM:-nm}
srcdir=${srcdir:-.}
if [ $# -eq 0 ]; then
	# shellcheck disable=SC2086 # a list of files
	set -- ${PARENT_OBJECTS:?is set by make check}
fi
lines_max=600		# of parent.c (DESIGN.md, section 1)

# Whole names, extended regular expressions, with what they stand for in
# front.  Our own modules that parse are named by their prefix.
forbidden='
XML XML_.*|xml_.*|feeder_.*|stanza_.*|nsmap_.*|skip_.*
XMPP xmpp_.*|iq_.*|ask_.*|jid_.*|stringprep.*|outq_.*
configuration conf_.*|yy.*
registry registry_.*|port_.*|pool_.*|client_.*|listener_.*
database sqlite3_.*
addresses addr_.*|inet_.*|getsockname|getpeername
resolver getaddrinfo|freeaddrinfo|getnameinfo|gai_.*|gethostby.*|getservby.*|getprotoby.*|res_.*
stdio fopen|fopen64|fdopen|freopen|fread|fgets|fgetc|getc|getchar|getline|getdelim|ungetc|v?f?scanf|v?sscanf|__isoc.*scanf|fmemopen|popen
text strto[a-z]+|__isoc.*strto.*|ato[a-z]+|strtok.*|strsep|regcomp|regexec|fnmatch|glob|wordexp
network recv|recvfrom|recvmsg|recvmmsg|__recv.*|readv|preadv.*|bind|listen|accept|accept4|setsockopt|getsockopt|splice
files pread|pread64|__pread.*|mmap|mmap64|opendir|readdir.*|scandir
programs system|execl.*|execv|execvp.*|fexecve|posix_spawn.*|dlopen|dlsym
threads pthread_.*|.*setjmp|longjmp
locale setlocale|newlocale|iconv.*|strptime|mktime
'
# One place each: connect(2) for the UNIX socket of a server, execve(2) for
# our two programs and the one that takes our place, read(2) for pipes of
# signals and of the start and for what the program before this one kept.
only='
parent_open connect|socket
parent_proc|parent_upgrade execve
parent|parent_keep|parent_upgrade read|__read.*
'

look() {		# object: print the hits, return 1 if any
	undefined=$("$nm" -u "$1") || return 1
	undefined=$(printf '%s\n' "$undefined" |
	    awk '$1 == "U" || $1 == "w" { sub(/@.*/, "", $2); print $2 }')
	name=${1##*/}
	name=${name##*-}
	name=${name%.o}
	ok=0
	while read -r what regex; do
		[ -n "$regex" ] || continue
		case "|${what#only:}|" in
		*"|$name|"*) continue ;;
		esac
		hit=$(printf '%s\n' "$undefined" | grep -Ex "($regex)")
		[ -n "$hit" ] || continue
		# shellcheck disable=SC2086 # names, on one line
		echo "$1: $what:" $hit
		ok=1
	done <<-RULES
	$forbidden
	$(printf '%s\n' "$only" | sed '/./s/^/only:/')
	RULES
	return $ok
}

# One call of each kind has to be found, else a pass below says nothing.
selftest() {
	tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$tmp"' EXIT
	for call in XML_Parse conf_parse jid_parse inet_pton getaddrinfo fgets \
	    sscanf __isoc99_sscanf strtonum strtol recvmsg recv accept4 mmap \
	    posix_spawn read connect execve setjmp; do
		echo "extern int $call(); int f(void); int f(void)" \
		    "{ return $call(); }" >"$tmp/bad.c"
		$CC -fno-builtin -w -c "$tmp/bad.c" -o "$tmp/parent_bad.o" ||
		    exit 1
		if look "$tmp/parent_bad.o" >/dev/null; then
			echo "parent.sh: does not notice $call"
			exit 1
		fi
	done
	# What is allowed in one place is allowed there, and nowhere else.
	mv "$tmp/parent_bad.o" "$tmp/x-parent_proc.o"
	echo 'extern int execve(); int f(void); int f(void)' \
	    '{ return execve(); }' >"$tmp/bad.c"
	$CC -fno-builtin -w -c "$tmp/bad.c" -o "$tmp/x-parent_proc.o" || exit 1
	look "$tmp/x-parent_proc.o" || exit 1
	mv "$tmp/x-parent_proc.o" "$tmp/x-parent_open.o"
	if look "$tmp/x-parent_open.o" >/dev/null; then
		echo "parent.sh: allows execve everywhere"
		exit 1
	fi
}

[ -z "${CC:-}" ] || selftest

bad=0 looked=0
for object; do
	case ${object##*/} in
	*parent*.o) ;;
	*) continue ;;
	esac
	if [ ! -f "$object" ]; then
		echo "parent.sh: $object: no such file" >&2
		exit 1
	fi
	looked=$((looked + 1))
	look "$object" || bad=1
	"$nm" -u "$object" | grep -q 'U msg_recv$' && reads=1
done
if [ "$bad" -ne 0 ]; then
	echo "parent.sh: the parent's objects call what they may not"
	exit 1
fi
# These are the right objects: the parent does read messages.
if [ "${reads:-0}" -eq 0 ]; then
	echo "parent.sh: none of $looked objects calls msg_recv"
	exit 1
fi
lines=$(wc -l <"$srcdir/master/parent.c")
if [ "$lines" -ge $lines_max ]; then
	echo "parent.sh: parent.c has $lines lines, $lines_max are too many"
	exit 1
fi
echo "parent.sh: $looked objects of the parent, nothing forbidden;" \
    "parent.c has $((lines)) lines"
