#!/bin/sh
# SPDX-License-Identifier: ISC
# The boundary of passd-worker: what its own objects may not call.  A
# static-pie program contains stdio whether we use it or not, so our objects
# are looked at, not the program (DESIGN.md, Hazards).
#
# usage: symbols.sh [OBJECT...]    (default: what make check names)
# With CC set the test first sees itself fail on calls that are forbidden.

set -u
nm=${NM:-nm}
if [ $# -eq 0 ]; then
	# shellcheck disable=SC2086 # a list of files
	set -- ${WORKER_OBJECTS:?is set by make check}
fi

# Of worker/ and common/: names are whole symbols, extended regular
# expressions, with what they stand for in front.
forbidden='
XML XML_.*
stdio f?printf|v?f?printf|d?printf|vd?printf|v?s?n?printf|v?asprintf|f?puts|putchar|f?putc|putc_unlocked|fopen|fopen64|fdopen|freopen|fclose|fread|fwrite|fgets|fgetc|getc|getline|getdelim|fflush|fseek.*|ftell.*|rewind|setv?buf|perror|v?f?scanf|v?sscanf|__isoc.*scanf|stdin|stdout|stderr|popen|pclose|tmpfile|open_memstream|fmemopen
stdio __(v?f|v?d|v|v?s|v?sn|v?as)?printf_chk
err.h v?(err|warn)(x|c)?|error
resolver getaddrinfo|freeaddrinfo|getnameinfo|gai_.*|gethostby.*|getservby.*|getprotoby.*|res_.*|inet_addr
time-zones localtime.*|gmtime.*|strftime.*|strptime.*|tzset|mktime|timegm|ctime.*|asctime.*
syslog syslog|__v?syslog.*|vsyslog|openlog|closelog
exec exec.*|fexecve|posix_spawn.*|system
accounts getpw.*|getgr(nam|gid|ent).*|getlogin.*|initgroups
files open|open64|openat.*|__open.*|creat|stat|lstat|fstatat|unlink.*|rename.*|mkdir.*|opendir|chmod
locale setlocale|newlocale|iconv.*|nl_langinfo
loader dlopen|dlsym
sockets socket|connect|bind|listen
'
# Of worker/ alone: nothing is allocated, every table has its size at start.
# The spawner, which sees no stranger's byte, may let its list of workers grow.
# setjmp and threads have no place there either.
forbidden_worker='
memory malloc|calloc|realloc|reallocarray|recallocarray|free|strdup|strndup|asprintf|aligned_alloc|posix_memalign|mmap|brk|sbrk
threads pthread_.*|.*setjmp|longjmp
'

look() {		# object, rules: print the hits, return 1 if any
	undefined=$("$nm" -u "$1") || return 1
	undefined=$(printf '%s\n' "$undefined" |
	    awk '$1 == "U" || $1 == "w" { sub(/@.*/, "", $2); print $2 }')
	ok=0
	while read -r what regex; do
		[ -n "$regex" ] || continue
		hit=$(printf '%s\n' "$undefined" | grep -Ex "($regex)")
		[ -n "$hit" ] || continue
		# shellcheck disable=SC2086 # names, on one line
		echo "$1: $what:" $hit
		ok=1
	done <<-RULES
	$2
	RULES
	return $ok
}

check() {		# object
	case $1 in
	*worker/spawner.o) look "$1" "$forbidden" ;;
	*worker/*) look "$1" "$forbidden$forbidden_worker" ;;
	*) look "$1" "$forbidden" ;;
	esac
}

# One call of each kind has to be found, else a pass below says nothing.
selftest() {
	tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$tmp"' EXIT
	mkdir "$tmp/worker"
	for call in XML_Parse printf snprintf getaddrinfo localtime_r syslog \
	    execve getpwnam open socket malloc err; do
		echo "extern int $call(); int f(void); int f(void)" \
		    "{ return $call(); }" >"$tmp/bad.c"
		$CC -fno-builtin -w -c "$tmp/bad.c" -o "$tmp/worker/bad.o" ||
		    exit 1
		if check "$tmp/worker/bad.o" >/dev/null; then
			echo "symbols.sh: does not notice $call"
			exit 1
		fi
	done
}

[ -z "${CC:-}" ] || selftest

bad=0
for object; do
	if [ ! -f "$object" ]; then
		echo "symbols.sh: $object: no such file" >&2
		exit 1
	fi
	check "$object" || bad=1
done
if [ "$bad" -ne 0 ]; then
	echo "symbols.sh: passd-worker's objects call what they may not"
	exit 1
fi
echo "symbols.sh: $# objects of passd-worker, nothing forbidden"
