# SPDX-License-Identifier: ISC
# shellcheck shell=sh
# For etc/try.sh and tests/run.sh, which source this file: packages that are
# missing, a copy of the sources to build from, and an end without leftovers.

# What a build needs, on Debian 12.
LIB_BUILD_PACKAGES="gcc libc6-dev binutils make autoconf automake pkg-config
    bison libexpat1-dev libevent-dev libbsd-dev libmd-dev libidn-dev
    libseccomp-dev"

# And what the client takes in addition.
LIB_CLIENT_PACKAGES="libstrophe-dev libsodium-dev"

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# ---- an end without leftovers ----------------------------------------------

# at_exit COMMAND: run COMMAND when the script ends, however it ends; those
# that come last run first.
lib_exit=
at_exit() {
	lib_exit="$1
$lib_exit"
}

lib_finish() {
	lib_status=$?
	trap '' INT TERM HUP PIPE
	trap - EXIT
	eval "$lib_exit"
	exit "$lib_status"
}
trap lib_finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
# The reader of our output may leave: sh etc/try.sh | head
trap 'exit 141' PIPE

# ---- packages --------------------------------------------------------------

# missing_packages PACKAGE...: print those that are not installed.
missing_packages() {
	for lib_p; do
		# shellcheck disable=SC2016 # for dpkg-query, not for us
		case $(dpkg-query -W -f='${Status}' "$lib_p" 2>/dev/null) in
		*" ok installed") ;;
		*) printf '%s ' "$lib_p" ;;
		esac
	done
}

# Packages may bring services (prosody, ejabberd).  None is started: Debian's
# maintainer scripts ask this program, and 101 means no.  One that is there
# already is the administrator's and stays.
LIB_POLICY=/usr/sbin/policy-rc.d
lib_policy_ours=no
lib_no_services() {
	if [ -e "$LIB_POLICY" ] || [ -L "$LIB_POLICY" ]; then
		return 0
	fi
	lib_policy_ours=yes
	at_exit lib_services_again
	printf '#!/bin/sh\nexit 101\n' >"$LIB_POLICY" &&
	    chmod 755 "$LIB_POLICY"
}

lib_services_again() {
	[ $lib_policy_ours = no ] || rm -f "$LIB_POLICY"
	lib_policy_ours=no
}

# need_packages PACKAGE...: see that they are installed; as root install what
# is missing, else name the command that does.
need_packages() {
	if ! command -v dpkg-query >/dev/null 2>&1; then
		say "not a Debian system: configure will name what is missing"
		return 0
	fi
	# shellcheck disable=SC2086 # a list of words, here and below
	lib_missing=$(missing_packages "$@")
	lib_missing=${lib_missing% }
	[ -n "$lib_missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		say "These packages are missing; as root install them with:"
		say "  apt-get install --no-install-recommends $lib_missing"
		exit 1
	fi
	say "installing: $lib_missing"
	lib_no_services || die "cannot write $LIB_POLICY"
	export DEBIAN_FRONTEND=noninteractive
	# A fresh image has no package lists; an old one may have stale lists.
	# shellcheck disable=SC2086
	{
		lib_apt $lib_missing ||
		    { apt-get -q update && lib_apt $lib_missing; }
	} || die "apt-get could not install: $lib_missing"
	lib_services_again
}

lib_apt() {
	apt-get -q -y install --no-install-recommends "$@" </dev/null
}

# ---- sources ---------------------------------------------------------------

# copy_sources FROM TO: copy the tree without what git or an earlier build in
# it made, and make configure there: the original is never written to.
copy_sources() {
	mkdir -p "$2" || return 1
	(cd "$1" && tar -cf - --exclude=./.git --exclude=__pycache__ \
	    --exclude='*.o' --exclude='*.a' --exclude=.deps \
	    --exclude=./build-aux --exclude=./autom4te.cache \
	    --exclude=./config.status --exclude=./Makefile \
	    --exclude=./config.h --exclude=./master/parse.c .) |
	    (cd "$2" && tar -xf - --no-same-owner) || return 1
	(cd "$2" && ./autogen.sh >autogen.log 2>&1) && return 0
	cat "$2/autogen.log" >&2
	return 1
}
