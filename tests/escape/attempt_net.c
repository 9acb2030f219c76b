/* SPDX-License-Identifier: ISC */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "escape.h"
#include "msg.h"

#define FDS_MOST	253	/* SCM_MAX_FD */

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN	0x20000000
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD	77	/* Linux 6.5 */
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in	 sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(port);
	return (sin);
}

static int
connect_to(int fd, uint16_t port)
{
	struct sockaddr_in	 sin = loopback(port);

	return (attempt_result(syscall(SYS_connect, fd, &sin, sizeof(sin))));
}

/* ---- new sockets --------------------------------------------------------*/

static int
tcp_connect(const struct prey *p)
{
	long	 fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	return (fd == -1 ? errno : connect_to((int)fd, p->r.tcp));
}

static int
mptcp_connect(const struct prey *p)
{
	long	 fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	return (fd == -1 ? errno : connect_to((int)fd, p->r.mptcp));
}

static int
udp_send(const struct prey *p)
{
	struct sockaddr_in	 sin = loopback(p->r.udp);
	long			 fd;

	if ((fd = syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0)) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_sendto, (int)fd, "x", 1L, 0, &sin,
	    sizeof(sin))));
}

static socklen_t
unix_name(const struct prey *p, struct sockaddr_un *sun, int abstract)
{
	const char	*name = abstract ? p->r.dir :
	    attempt_path(p, "socket");
	size_t		 at = abstract ? 1 : 0, len = strlen(name);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path + at, name, len);
	return ((socklen_t)(offsetof(struct sockaddr_un, sun_path) + at +
	    len));
}

static int
unix_connect(const struct prey *p, int abstract)
{
	struct sockaddr_un	 sun;
	socklen_t		 len = unix_name(p, &sun, abstract);
	long			 fd;

	fd = syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 0);
	if (fd == -1)
		return (errno);
	return (attempt_result(syscall(SYS_connect, (int)fd, &sun, len)));
}

static int
unix_path(const struct prey *p)
{
	return (unix_connect(p, 0));
}

static int
unix_abstract(const struct prey *p)
{
	return (unix_connect(p, 1));
}

static int
new_pair(const struct prey *p)
{
	int	 fds[2];

	(void)p;
	return (attempt_result(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM,
	    0, fds)));
}

TRY(socket_dgram, SYS_socket, AF_UNIX, SOCK_DGRAM, 0)
TRY(socket_stream, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
TRY(socket_v6, SYS_socket, AF_INET6, SOCK_DGRAM, 0)
TRY(socket_raw, SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP)
TRY(socket_packet, SYS_socket, AF_PACKET, SOCK_RAW, 0)
TRY(socket_netlink, SYS_socket, AF_NETLINK, SOCK_RAW, 0)
TRY(socket_sctp, SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP)
TRY(socket_vsock, SYS_socket, AF_VSOCK, SOCK_STREAM, 0)
TRY(socket_alg, SYS_socket, AF_ALG, SOCK_SEQPACKET, 0)

/* ---- names and connections for the sockets that it has ------------------*/

static int
bind_new(const struct prey *p)
{
	struct sockaddr_in	 sin = loopback(0);
	long			 fd;

	(void)p;
	if ((fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0)) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_bind, (int)fd, &sin,
	    sizeof(sin))));
}

static int
listen_unbound(const struct prey *p)
{
	long	 fd;

	(void)p;
	if ((fd = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0)) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_listen, (int)fd, 1)));
}

static int
bind_channel(const struct prey *p)
{
	struct sockaddr_un	 sun;
	socklen_t		 len = unix_name(p, &sun, 1);

	sun.sun_path[len - offsetof(struct sockaddr_un, sun_path) - 1] = '!';
	return (attempt_result(syscall(SYS_bind, p->channel, &sun, len)));
}

static int
connect_channel(const struct prey *p)
{
	struct sockaddr_un	 sun;
	socklen_t		 len = unix_name(p, &sun, 0);

	return (attempt_result(syscall(SYS_connect, p->channel, &sun, len)));
}

static int
connect_shut(const struct prey *p)
{
	(void)shutdown(p->listener, SHUT_RDWR);
	return (connect_to(p->listener, p->r.tcp));
}

static int
connect_again(const struct prey *p)
{
	struct sockaddr	 none = { .sa_family = AF_UNSPEC };

	(void)shutdown(p->peer, SHUT_RDWR);
	if (syscall(SYS_connect, p->peer, &none, sizeof(none)) == -1)
		return (errno);
	return (connect_to(p->peer, p->r.tcp));
}

static int
fastopen(int fd, uint16_t port)
{
	struct sockaddr_in	 sin = loopback(port);

	return (attempt_result(syscall(SYS_sendto, fd, "x", 1L,
	    MSG_FASTOPEN | MSG_NOSIGNAL, &sin, sizeof(sin))));
}

static int
fastopen_listener(const struct prey *p)
{
	(void)shutdown(p->listener, SHUT_RDWR);
	return (fastopen(p->listener, p->r.tcp));
}

static int
fastopen_peer(const struct prey *p)
{
	return (fastopen(p->peer, p->r.tcp));
}

static int
fastopen_by(const struct prey *p, int many)
{
	struct sockaddr_in	 sin = loopback(p->r.tcp);
	struct iovec		 iov = { (char[]){ 'x' }, 1 };
	struct mmsghdr		 m = { .msg_hdr = { .msg_name = &sin,
				    .msg_namelen = sizeof(sin),
				    .msg_iov = &iov, .msg_iovlen = 1 } };

	(void)shutdown(p->listener, SHUT_RDWR);
	return (attempt_result(many ?
	    syscall(SYS_sendmmsg, p->listener, &m, 1, MSG_FASTOPEN) :
	    syscall(SYS_sendmsg, p->listener, &m.msg_hdr, MSG_FASTOPEN)));
}

static int
fastopen_sendmsg(const struct prey *p)
{
	return (fastopen_by(p, 0));
}

static int
fastopen_sendmmsg(const struct prey *p)
{
	return (fastopen_by(p, 1));
}

/* Credentials of somebody else, on the channel. */
static int
forge_credentials(const struct prey *p)
{
	struct ucred		 cred = { p->r.parent, 0, 0 };
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(cred))];
	} ctl;
	struct iovec		 iov = { (char[]){ 'x' }, 1 };
	struct msghdr		 m = { .msg_iov = &iov, .msg_iovlen = 1,
				    .msg_control = ctl.buf,
				    .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr		*c = CMSG_FIRSTHDR(&m);

	memset(&ctl, 0, sizeof(ctl));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(c), &cred, sizeof(cred));
	return (attempt_result(syscall(SYS_sendmsg, p->channel, &m,
	    MSG_DONTWAIT | MSG_NOSIGNAL)));
}

/*
 * Descriptors for control that it has not asked for: one more of them than
 * its buffer has room for, or a few where none may be.
 */
static int
send_fds(int channel, const void *m, size_t len, int fd, size_t n)
{
	union {
		struct cmsghdr	 align;
		unsigned char	 buf[CMSG_SPACE(sizeof(int) * FDS_MOST)];
	} ctl;
	struct iovec	 iov;
	struct msghdr	 mh;
	struct cmsghdr	*c;
	size_t		 i;

	memset(&mh, 0, sizeof(mh));
	memset(&ctl, 0, sizeof(ctl));
	memcpy(&iov.iov_base, &m, sizeof(m));
	iov.iov_len = len;
	mh.msg_iov = &iov;
	mh.msg_iovlen = 1;
	mh.msg_control = ctl.buf;
	mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	c = CMSG_FIRSTHDR(&mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
	return (attempt_result(syscall(SYS_sendmsg, channel, &mh,
	    MSG_DONTWAIT | MSG_NOSIGNAL)));
}

static int
send_ended(const struct prey *p, int fd, size_t n)
{
	struct msg_ended	 m;

	msg_init(&m, sizeof(m), MSG_ENDED, 0);
	return (send_fds(p->channel, &m, sizeof(m), fd, n));
}

static int
message_listener(const struct prey *p)
{
	return (send_ended(p, p->listener, 1));
}

static int
message_channel(const struct prey *p)
{
	return (send_ended(p, p->channel, 1));
}

static int
message_eight(const struct prey *p)
{
	return (send_ended(p, p->peer, 8));
}

static int
message_flood(const struct prey *p)
{
	return (send_ended(p, p->peer, FDS_MOST));
}

static int
message_only_fds(const struct prey *p)
{
	return (send_fds(p->channel, "", 1, p->peer, 3));
}

/* Of the kind that only control may send. */
static int
message_of_control(const struct prey *p)
{
	struct msg_session	 m;

	msg_init(&m, sizeof(m), MSG_RENDEZVOUS, 0);
	return (send_fds(p->channel, &m, sizeof(m), p->listener, 1));
}

/* ---- options ------------------------------------------------------------*/

static int
set(int fd, int level, int name, const void *v, size_t len)
{
	return (attempt_result(syscall(SYS_setsockopt, fd, level, name, v,
	    len)));
}

static int
set_int(int fd, int level, int name, int v)
{
	return (set(fd, level, name, &v, sizeof(v)));
}

static int
opt_fastopen_connect(const struct prey *p)
{
	(void)shutdown(p->listener, SHUT_RDWR);
	return (set_int(p->listener, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1));
}

static int
opt_fastopen(const struct prey *p)
{
	return (set_int(p->listener, IPPROTO_TCP, TCP_FASTOPEN, 5));
}

static int
opt_device(const struct prey *p)
{
	return (set(p->peer, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}

static int
opt_filter(const struct prey *p)
{
	struct sock_filter	 code = { BPF_RET | BPF_K, 0, 0, 0xffff };
	struct sock_fprog	 prog = { 1, &code };

	return (set(p->peer, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
	    sizeof(prog)));
}

static int
opt_mark(const struct prey *p)
{
	return (set_int(p->peer, SOL_SOCKET, SO_MARK, 1));
}

static int
opt_repair(const struct prey *p)
{
	return (set_int(p->peer, IPPROTO_TCP, TCP_REPAIR, 1));
}

static int
opt_congestion(const struct prey *p)
{
	return (set(p->peer, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
}

static int
opt_ulp(const struct prey *p)
{
	return (set(p->peer, IPPROTO_TCP, TCP_ULP, "tls", 3));
}

static int
opt_ip_options(const struct prey *p)
{
	return (set(p->peer, IPPROTO_IP, IP_OPTIONS, "\1\1\1", 4));
}

static int
opt_transparent(const struct prey *p)
{
	return (set_int(p->peer, IPPROTO_IP, IP_TRANSPARENT, 1));
}

static int
opt_reuseport(const struct prey *p)
{
	return (set_int(p->peer, SOL_SOCKET, SO_REUSEPORT, 1));
}

static int
opt_passcred(const struct prey *p)
{
	return (set_int(p->channel, SOL_SOCKET, SO_PASSCRED, 1));
}

static int
get(int fd, int level, int name)
{
	unsigned char	 buf[256];
	socklen_t	 len = sizeof(buf);

	return (attempt_result(syscall(SYS_getsockopt, fd, level, name, buf,
	    &len)));
}

static int
get_peercred(const struct prey *p)
{
	return (get(p->channel, SOL_SOCKET, SO_PEERCRED));
}

static int
get_peergroups(const struct prey *p)
{
	return (get(p->channel, SOL_SOCKET, SO_PEERGROUPS));
}

/* A handle of the process that made the channel: not to be had. */
static int
get_peerpidfd(const struct prey *p)
{
	return (get(p->channel, SOL_SOCKET, SO_PEERPIDFD));
}

/* ---- calls on what it has -----------------------------------------------*/

static int
splice_offset(const struct prey *p)
{
	int	 fds[2];
	loff_t	 off = 0;

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_splice, p->peer, NULL, fds[1],
	    &off, 1L, 0)));
}

static int
tee_pipes(const struct prey *p)
{
	int	 a[2], b[2];

	(void)p;
	if (pipe2(a, O_NONBLOCK | O_CLOEXEC) == -1 ||
	    pipe2(b, O_NONBLOCK | O_CLOEXEC) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_tee, a[0], b[1], 1L, 2)));
}

static int
vmsplice_pipe(const struct prey *p)
{
	struct iovec	 iov = { (char[]){ 'x' }, 1 };
	int		 fds[2];

	(void)p;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1)
		return (errno);
	return (attempt_result(syscall(SYS_vmsplice, fds[1], &iov, 1L, 0)));
}

static int
pipe_plain(const struct prey *p)
{
	int	 fds[2];

	(void)p;
	return (attempt_result(syscall(SYS_pipe2, fds, 0)));
}

static int
ask_interfaces(const struct prey *p)
{
	struct ifreq	 req[4];
	struct ifconf	 conf = { .ifc_len = sizeof(req),
			    .ifc_ifcu = { .ifcu_req = req } };

	return (attempt_result(syscall(SYS_ioctl, p->peer, SIOCGIFCONF,
	    &conf)));
}

static int
own_by_ioctl(const struct prey *p)
{
	int	 pid = p->r.parent;

	return (attempt_result(syscall(SYS_ioctl, p->peer, FIOSETOWN,
	    &pid)));
}

static int
async_by_ioctl(const struct prey *p)
{
	int	 on = 1;

	return (attempt_result(syscall(SYS_ioctl, p->peer, FIOASYNC, &on)));
}

TRY(accept_plain, SYS_accept, p->listener, NULL, NULL)
TRY(accept_flags, SYS_accept4, p->listener, NULL, NULL, 0)
TRY(listen_more, SYS_listen, p->listener, 4096)
TRY(sendmmsg_none, SYS_sendmmsg, p->channel, NULL, 0, 0)
TRY(recvmmsg_none, SYS_recvmmsg, p->channel, NULL, 0, MSG_DONTWAIT, NULL)
TRY(type_ahead, SYS_ioctl, STDIN_FILENO, TIOCSTI, "x")
TRY(own_by_fcntl, SYS_fcntl, p->peer, F_SETOWN, (long)p->r.parent)
TRY(own_sig, SYS_fcntl, p->peer, F_SETSIG, 9L)
TRY(async_by_fcntl, SYS_fcntl, p->peer, F_SETFL, (long)(O_RDWR | O_ASYNC))
TRY(notify, SYS_fcntl, p->peer, F_NOTIFY, 1L)
TRY(lease, SYS_fcntl, p->peer, F_SETLEASE, (long)F_WRLCK)

#define W	A_WORKER
#define C	A_CONTROL
#define R	A_ROOT
#define K	A_KERNEL
#define M	A_MESSAGE
#define O	A_OPEN_CONTROL
#define L	A_LANDLOCK

const struct attempt	 net_attempts[] = {
	{ "TCP: socket, connect", tcp_connect, W | C | L, 0, NULL },
	{ "TCP: socket, bind", bind_new, W | C | L, 0, NULL },
	{ "TCP: listen, never bound", listen_unbound, W | C | O, 0,
	    "Landlock does not see it; no accept" },
	{ "MPTCP: socket, connect", mptcp_connect, W | C | K, 0, NULL },
	{ "SCTP: socket", socket_sctp, W | K, 0, NULL },
	{ "UDP: socket, sendto", udp_send, W | C, 0, NULL },
	{ "UDP over IPv6: socket", socket_v6, W | K, 0, NULL },
	{ "UNIX: socket, connect path", unix_path, W | C, 0, NULL },
	{ "UNIX: socket, connect abstract", unix_abstract, W, 0, NULL },
	{ "UNIX: datagram socket", socket_dgram, W, 0, NULL },
	{ "UNIX: stream socket", socket_stream, W, 0, NULL },
	{ "UNIX: socketpair, stream", new_pair, W | C, 0, NULL },
	{ "raw socket", socket_raw, W | R, 0, NULL },
	{ "packet socket", socket_packet, W | R, 0, NULL },
	{ "netlink socket", socket_netlink, W | C, 0, NULL },
	{ "vsock socket", socket_vsock, W | K, 0, NULL },
	{ "crypto socket", socket_alg, W | K, 0, NULL },
	{ "channel: bind abstract name", bind_channel, W | C | O, 0,
	    "a name without a listener" },
	{ "channel: connect again", connect_channel, W | C | O, EISCONN,
	    "it is connected for good" },
	{ "channel: forged credentials", forge_credentials, W | R, 0, NULL },
	{ "message: a listener", message_listener, W | M, 0, NULL },
	{ "message: the channel", message_channel, W | M, 0, NULL },
	{ "message: 8 descriptors", message_eight, W | M, 0, NULL },
	{ "message: 253 descriptors", message_flood, W | M, 0, NULL },
	{ "message: descriptors, no header", message_only_fds, W | M, 0,
	    NULL },
	{ "message: as from control", message_of_control, W | M, 0, NULL },
	{ "listener: shutdown, connect", connect_shut, W | C | L, 0,
	    NULL },
	{ "peer: AF_UNSPEC, connect", connect_again, W | C | L, 0, NULL },
	{ "listener: sendto FASTOPEN", fastopen_listener, W | C | K, 0, NULL },
	{ "listener: sendmsg FASTOPEN", fastopen_sendmsg, W | C | K, 0, NULL },
	{ "listener: sendmmsg FASTOPEN", fastopen_sendmmsg, W | K, 0, NULL },
	{ "listener: FASTOPEN_CONNECT", opt_fastopen_connect, W | C | K, 0,
	    NULL },
	{ "listener: TCP_FASTOPEN", opt_fastopen, W | K, 0, NULL },
	{ "listener: listen, longer queue", listen_more, W, 0, NULL },
	{ "listener: accept", accept_plain, W | C, 0, NULL },
	{ "listener: accept4, no flags", accept_flags, W, 0, NULL },
	{ "peer: sendto FASTOPEN", fastopen_peer, W | K, EISCONN, NULL },
	{ "peer: SO_BINDTODEVICE", opt_device, W | K, 0, NULL },
	{ "peer: SO_ATTACH_FILTER", opt_filter, W | R | K, 0, NULL },
	{ "peer: SO_MARK", opt_mark, W | R, 0, NULL },
	{ "peer: TCP_REPAIR", opt_repair, W | R, 0, NULL },
	{ "peer: TCP_CONGESTION", opt_congestion, W | K, 0, NULL },
	{ "peer: TCP_ULP", opt_ulp, W | K, 0, NULL },
	{ "peer: IP_OPTIONS", opt_ip_options, W, 0, NULL },
	{ "peer: IP_TRANSPARENT", opt_transparent, W | R, 0, NULL },
	{ "peer: SO_REUSEPORT", opt_reuseport, W, 0, NULL },
	{ "channel: SO_PASSCRED", opt_passcred, W, 0, NULL },
	{ "channel: SO_PEERCRED", get_peercred, W, 0, NULL },
	{ "channel: SO_PEERGROUPS", get_peergroups, W | K, 0, NULL },
	{ "channel: SO_PEERPIDFD", get_peerpidfd, W | C | K, 0, NULL },
	{ "peer: ioctl SIOCGIFCONF", ask_interfaces, W | C, 0, NULL },
	{ "peer: ioctl FIOSETOWN parent", own_by_ioctl, W | C, 0, NULL },
	{ "peer: ioctl FIOASYNC", async_by_ioctl, W | C, 0, NULL },
	{ "stdin: ioctl TIOCSTI", type_ahead, W | C, ENOTTY, NULL },
	{ "peer: F_SETOWN parent", own_by_fcntl, W | C, 0, NULL },
	{ "peer: F_SETSIG", own_sig, W, 0, NULL },
	{ "peer: F_SETFL O_ASYNC", async_by_fcntl, W | C, 0, NULL },
	{ "peer: F_NOTIFY", notify, W, ENOTDIR, NULL },
	{ "peer: F_SETLEASE", lease, W, EINVAL, NULL },
	{ "splice with an offset", splice_offset, W, ESPIPE, NULL },
	{ "tee", tee_pipes, W, 0, NULL },
	{ "vmsplice", vmsplice_pipe, W, 0, NULL },
	{ "pipe2, no flags", pipe_plain, W, 0, NULL },
	{ "sendmmsg", sendmmsg_none, W, 0, NULL },
	{ "recvmmsg", recvmmsg_none, W, 0, NULL },
	{ NULL, NULL, 0, 0, NULL }
};
