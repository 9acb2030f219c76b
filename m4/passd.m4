dnl SPDX-License-Identifier: ISC
dnl Checks that configure.ac uses more than once.

# PASSD_CFLAG(FLAG, [IF-NOT])
# Append FLAG to PASSD_CFLAGS if the compiler takes it without a warning in
# the presence of the user's own flags, which stay untouched.  The program
# includes a libc header and the check links, because some flags show only
# there that they do not work (_FORTIFY_SOURCE, for instance).
AC_DEFUN([PASSD_CFLAG], [
AS_VAR_PUSHDEF([cache], [passd_cv_cflag_$1])dnl
AC_CACHE_CHECK([whether $CC accepts $1], [cache], [
	passd_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $PASSD_CFLAGS -Werror $1"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]],
	    [[char b[8]; memset(b, 0, sizeof(b)); return b[0];]])],
	    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
	CFLAGS=$passd_save_CFLAGS
])
AS_VAR_IF([cache], [yes], [PASSD_CFLAGS="$PASSD_CFLAGS $1"], [$2])
AS_VAR_POPDEF([cache])dnl
])

# PASSD_LDFLAG(FLAG)
# The same for PASSD_LDFLAGS and the linker.
AC_DEFUN([PASSD_LDFLAG], [
AS_VAR_PUSHDEF([cache], [passd_cv_ldflag_$1])dnl
AC_CACHE_CHECK([whether the linker accepts $1], [cache], [
	passd_save_CFLAGS=$CFLAGS
	passd_save_LDFLAGS=$LDFLAGS
	CFLAGS="$CFLAGS $PASSD_CFLAGS -Werror"
	LDFLAGS="$LDFLAGS $PASSD_LDFLAGS $1"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
	    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
	CFLAGS=$passd_save_CFLAGS
	LDFLAGS=$passd_save_LDFLAGS
])
AS_VAR_IF([cache], [yes], [PASSD_LDFLAGS="$PASSD_LDFLAGS $1"])
AS_VAR_POPDEF([cache])dnl
])

# PASSD_NEED(WHAT, DEBIAN-PACKAGE, OPENBSD-PACKAGE)
# Remember that WHAT is missing; PASSD_MISSING names everything at once.
AC_DEFUN([PASSD_NEED], [
passd_missing="$passd_missing
  $1	Debian: $2	OpenBSD: $3"
passd_debian="$passd_debian $2"
])

# PASSD_LIB(VAR, MODULE, HEADER, FUNCTION, LIB, DEBIAN, OPENBSD)
# Find a library by pkg-config, else by a plain link against -lLIB (the base
# system of OpenBSD has some without a .pc file).  Sets VAR_CFLAGS and
# VAR_LIBS; what is not found is remembered by PASSD_NEED.
AC_DEFUN([PASSD_LIB], [
PKG_CHECK_MODULES([$1], [$2], [], [
	AC_MSG_CHECKING([for $4 in -l$5])
	passd_save_LIBS=$LIBS
	LIBS="-l$5 $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <sys/types.h>
#include <sys/time.h>
#include <stdint.h>
#include <$3>]],
	    [[return (void *)&$4 == (void *)0;]])],
	    [AC_MSG_RESULT([yes])
	     $1_CFLAGS=; $1_LIBS="-l$5"],
	    [AC_MSG_RESULT([no])
	     PASSD_NEED([$2], [$6], [$7])])
	LIBS=$passd_save_LIBS
])
])

# PASSD_MISSING
# Stop and name everything that PASSD_NEED was told.
AC_DEFUN([PASSD_MISSING], [
AS_IF([test -n "$passd_missing"], [
	AC_MSG_ERROR([these are missing:
$passd_missing

On Debian and its relatives: apt-get install$passd_debian])
])
])
