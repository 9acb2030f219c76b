# SPDX-License-Identifier: ISC
# Files between two passcats, over any connected socket: only this part needs
# libsodium.

if HAVE_SODIUM
noinst_LIBRARIES += libtransfer.a
endif
libtransfer_a_SOURCES = \
	client/fname.c client/fname.h \
	client/proof.c client/proof.h \
	client/seal.c client/seal.h \
	client/store.c client/store.h \
	client/transfer.c client/transfer.h client/transfer_side.h \
	client/transfer_recv.c \
	client/transfer_send.c \
	client/walk.c client/walk.h \
	client/wire.c client/wire.h
libtransfer_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/client \
	$(SODIUM_CFLAGS)

# Two ends of a file transfer and somebody in between.
if HAVE_CRITERION
if HAVE_SODIUM
check_PROGRAMS += tests/unit/unit_transfer
TESTS += tests/unit/unit_transfer
endif
endif
tests_unit_unit_transfer_SOURCES = \
	tests/unit/test_fname.c \
	tests/unit/test_seal.c \
	tests/unit/test_transfer.c \
	tests/unit/test_transfer_rude.c \
	tests/unit/transfer_rig.c tests/unit/transfer_rig.h
tests_unit_unit_transfer_CPPFLAGS = $(libtransfer_a_CPPFLAGS) \
	$(CRITERION_CFLAGS)
tests_unit_unit_transfer_LDADD = libtransfer.a $(SODIUM_LIBS) \
	$(LIBBSD_LIBS) $(CRITERION_LIBS)
