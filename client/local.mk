# SPDX-License-Identifier: ISC
# passcat(1), the client.

libclient_a_SOURCES = \
	common/jid.c common/jid.h \
	common/log.c common/log.h \
	client/account.c client/account.h \
	client/child.c client/child.h \
	client/client.c client/client.h \
	client/cmd_connect.c \
	client/cmd_find.c \
	client/cmd_forward.c \
	client/cmd_list.c \
	client/cmd_listen.c \
	client/cmd_receive.c \
	client/cmd_send.c \
	client/commands.c \
	client/decloak.c client/decloak.h \
	client/dial.c client/dial.h \
	client/disco.c client/disco.h \
	client/door.c client/door.h \
	client/el.c client/el.h \
	client/gate.c client/gate.h \
	client/loop.c client/loop.h \
	client/move.c client/move.h \
	client/offer.c client/offer.h \
	client/options.c client/options.h \
	client/pass.c client/pass.h \
	client/proxy.c client/proxy.h \
	client/rc.c client/rc.h \
	client/relay.c client/relay.h \
	client/sandbox_client.h \
	client/session.c client/session.h \
	client/session_impl.h \
	client/session_log.c \
	client/stanzas.c \
	client/svc.c client/svc.h \
	client/ui.c client/ui.h \
	client/xalloc.c client/xalloc.h
if SANDBOX_LINUX
libclient_a_SOURCES += client/sandbox_client_linux.c
else
if SANDBOX_PLEDGE
libclient_a_SOURCES += client/sandbox_client_openbsd.c
else
libclient_a_SOURCES += client/sandbox_client_none.c
endif
endif
EXTRA_libclient_a_SOURCES = client/sandbox_client_linux.c \
	client/sandbox_client_none.c client/sandbox_client_openbsd.c
libclient_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/client \
	$(STROPHE_CFLAGS) $(IDN_CFLAGS) $(SECCOMP_CFLAGS) $(SODIUM_CFLAGS)
CLIENT_LIBS = $(STROPHE_LIBS) $(IDN_LIBS) $(LIBBSD_LIBS) $(SECCOMP_LIBS) \
	$(SODIUM_LIBS)

passcat_SOURCES = client/passcat.c
if SANITIZERS
passcat_SOURCES += common/sanitize.c
endif
EXTRA_passcat_SOURCES = common/sanitize.c
passcat_CPPFLAGS = $(libclient_a_CPPFLAGS)
passcat_LDADD = libclient.a libtransfer.a libcommon.a $(CLIENT_LIBS)

# bash finds a completion by the name of its file.
if PASSCAT
noinst_LIBRARIES += libclient.a
bin_PROGRAMS += passcat
man1_MANS = man/passcat.1
bashcompdir = $(datadir)/bash-completion/completions
bashcomp_DATA = etc/bash/passcat
endif
EXTRA_DIST += man/passcat.1 etc/bash/passcat
EXTRA_LIBRARIES = libclient.a
EXTRA_PROGRAMS = passcat

# passcat without its session: what it reads, and its relay.
if PASSCAT
if HAVE_CRITERION
check_PROGRAMS += tests/unit/unit_passcat
TESTS += tests/unit/unit_passcat
endif
endif
tests_unit_unit_passcat_SOURCES = \
	tests/unit/test_options.c tests/unit/test_relay.c
tests_unit_unit_passcat_CPPFLAGS = $(libclient_a_CPPFLAGS) \
	$(CRITERION_CFLAGS)
tests_unit_unit_passcat_LDADD = libclient.a libtransfer.a libcommon.a \
	$(CLIENT_LIBS) $(CRITERION_LIBS)
