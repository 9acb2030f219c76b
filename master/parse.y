/* SPDX-License-Identifier: ISC */
/*
 * The grammar of passd.conf(5).  Each statement is checked by itself where
 * it is read, all of them together by conf_check() at the end; an error
 * costs one line, and reading goes on with the next.  For bison and byacc.
 */
%{
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conf_source.h"

/* What yacc makes external gets this module's prefix. */
#define yyparse		conf_yyparse
#define yylval		conf_yylval
#define yyval		conf_yyval
#define yychar		conf_yychar
#define yynerrs		conf_yynerrs
#define yyerrflag	conf_yyerrflag
#define yydebug		conf_yydebug
#define YY_NO_LEAKS	1	/* byacc: free its stacks */

typedef struct conf_token YYSTYPE;
#define YYSTYPE_IS_DECLARED 1

#define TOKEN_MAX	4096	/* longer than any JID or path may be */

static int	 yylex(void);
static void	 yyerror(const char *);

static struct conf_source src;

static void	 lex_block(void);
%}

%token	ADMIN ADVERTISE ALL ALLOW ANSWER ANY BARE COMPONENT CONNECT CONTACT
%token	DEFAULT DENY DOMAIN FILENAME FULL HALFCLOSE IDLE IN LEG LENGTH LEVEL
%token	LIFETIME LISTEN LOGGING ON OWNER OWNERGONE PEER PENDING PER PORT
%token	PORTS QUOTA RENDEZVOUS SAMEPORT SECRET SERVER SESSION SESSIONS STOP
%token	TIMEOUT TOTAL
%token	FUTURE		/* a statement or limit of a later version */
%token	WORD STRING
%token	BAD		/* already reported by the lexer */

%%

grammar		: /* empty */
		| grammar '\n'
		| grammar statement '\n'
		| grammar badline
		;

statement	: COMPONENT string {
			conf_set_component(&src, $2);
		}
		| SERVER string	{
			conf_set_server(&src, $1, $2.text, NULL);
		}
		| SERVER string PORT WORD {
			conf_set_server(&src, $1, $2.text, $4.text);
		}
		| SECRET FILENAME string {
			conf_set_secret(&src, $1, $3.text);
		}
		| PORTS WORD {
			conf_set_ports(&src, $1, $2.text);
		}
		| RENDEZVOUS PORTS WORD {
			conf_set_rendezvous(&src, $1, $3.text);
		}
		| LISTEN ON string {
			conf_set_listen(&src, $1, $3.text, NULL);
		}
		| LISTEN ON string ADVERTISE string {
			conf_set_listen(&src, $1, $3.text, $5.text);
		}
		| OWNER LEG RENDEZVOUS {
			conf_set_owner_leg(&src, $1, LEG_RENDEZVOUS);
		}
		| OWNER LEG SAMEPORT {
			conf_set_owner_leg(&src, $1, LEG_SAME_PORT);
		}
		| OWNER BARE			{ conf_set_owner(&src, $1, 0); }
		| OWNER FULL			{ conf_set_owner(&src, $1, 1); }
		| ALLOW string {
			conf_add_acl(&src, $1, 0, $2.text);
		}
		| ALLOW ANY {
			conf_add_acl(&src, $1, 0, NULL);
		}
		| DENY string {
			conf_add_acl(&src, $1, 1, $2.text);
		}
		| DENY ANY {
			conf_add_acl(&src, $1, 1, NULL);
		}
		| CONTACT WORD string {
			conf_add_contact(&src, $1, $2.text, $3.text);
		}
		| CONTACT ADMIN string {
			conf_add_contact(&src, $1, $2.text, $3.text);
		}
		| LOGGING LEVEL WORD {
			conf_set_log_level(&src, $1, $3.text);
		}
		| QUOTA quotaname quotablock
		| TIMEOUT { conf_timeout_begin(&src, $1); } timeoutblock
		| ALLOW PEER rest {
			conf_not_enforced(&src, $1, "allow peer");
		}
		| DENY PEER rest {
			conf_not_enforced(&src, $1, "deny peer");
		}
		| ADMIN rest {
			conf_not_enforced(&src, $1, $1.text);
		}
		| FUTURE rest {
			conf_not_enforced(&src, $1, $1.text);
		}
		;

string		: STRING
		| WORD
		;

/* What may follow a statement that is refused anyway. */
rest		: /* empty */
		| rest restword
		;

restword	: STRING
		| WORD
		| PER
		| LENGTH
		| ON
		| ANY
		;

open		: '{'				{ lex_block(); }
		;

newlines	: /* empty */
		| newlines '\n'
		;

/*
 * A rule of its own, so that yyerrok comes before the next token: else an
 * error there would be taken for a part of this one and not be reported.
 */
badline		: error '\n'			{ yyerrok; }
		;

quotaname	: DEFAULT	{ conf_quota_begin(&src, $1, NULL); }
		| string	{ conf_quota_begin(&src, $1, $1.text); }
		| TOTAL		{ conf_quota_waste(&src, $1, "quota total"); }
		| DOMAIN DEFAULT { conf_quota_waste(&src, $1, "quota domain"); }
		| DOMAIN string	{ conf_quota_waste(&src, $1, "quota domain"); }
		;

quotablock	: open newlines quotaitems '}'
		| open newlines quotaitems error '}'	{ yyerrok; }
		;

quotaitems	: /* empty */
		| quotaitems quotaitem newlines
		| quotaitems badline newlines
		;

quotaitem	: PORTS WORD {
			conf_quota_ports(&src, $1, $2.text);
		}
		| SESSIONS WORD PER PORT {
			conf_quota_sessions(&src, $1, $2.text, NULL);
		}
		| SESSIONS WORD PER PORT ',' WORD IN ALL {
			conf_quota_sessions(&src, $1, $2.text, $6.text);
		}
		| PENDING WORD PER PORT {
			conf_quota_pending(&src, $1, $2.text);
		}
		| LIFETIME WORD {
			conf_quota_lifetime(&src, $1, $2.text);
		}
		| SESSION LENGTH rest {
			conf_not_enforced(&src, $1, "session length");
		}
		| FUTURE rest {
			conf_not_enforced(&src, $1, $1.text);
		}
		;

timeoutblock	: open newlines timeoutitems '}'
		| open newlines timeoutitems error '}'	{ yyerrok; }
		;

timeoutitems	: /* empty */
		| timeoutitems timeoutitem newlines
		| timeoutitems badline newlines
		;

timeoutitem	: ANSWER WORD {
			conf_set_timeout(&src, $1, STMT_ANSWER, $2.text);
		}
		| CONNECT WORD {
			conf_set_timeout(&src, $1, STMT_CONNECT, $2.text);
		}
		| IDLE WORD {
			conf_set_timeout(&src, $1, STMT_IDLE, $2.text);
		}
		| HALFCLOSE WORD {
			conf_set_timeout(&src, $1, STMT_HALF_CLOSE, $2.text);
		}
		| OWNERGONE WORD {
			conf_set_timeout(&src, $1, STMT_OWNER_GONE, $2.text);
		}
		| STOP WORD {
			conf_set_timeout(&src, $1, STMT_STOP, $2.text);
		}
		;

%%

/*
 * Lexer.  The whole file, bounded by CONF_FILE_MAX, is in memory.  Token
 * texts are copied into one buffer that is freed at the end: yacc drops
 * tokens when it recovers from an error, and nobody could free them one by
 * one.
 */
static struct {
	char		*file;		/* len bytes and a NUL */
	size_t		 len;
	size_t		 pos;
	unsigned int	 line;
	char		*text;		/* 2 * len + 1 bytes; see lex_keep() */
	size_t		 text_used;
	int		 token;		/* the last one; 0: end of file */
	int		 first;		/* it began a statement */
	int		 fresh;		/* the next one will */
	unsigned int	 depth;		/* braces that are open */
	unsigned int	 block_line;	/* of the outermost of them */
	int		 in_block;	/* ... and the grammar knows it */
} lex;

struct keyword {
	const char	*name;
	int		 token;
};

/* Sorted, for bsearch(3). */
static const struct keyword keywords[] = {
	{ "admin",		ADMIN },
	{ "advertise",		ADVERTISE },
	{ "all",		ALL },
	{ "allow",		ALLOW },
	{ "answer",		ANSWER },
	{ "any",		ANY },
	{ "bandwidth",		FUTURE },
	{ "bare",		BARE },
	{ "component",		COMPONENT },
	{ "connect",		CONNECT },
	{ "connections",	FUTURE },
	{ "contact",		CONTACT },
	{ "decloak",		FUTURE },
	{ "default",		DEFAULT },
	{ "deny",		DENY },
	{ "domain",		DOMAIN },
	{ "file",		FILENAME },
	{ "full",		FULL },
	{ "half-close",		HALFCLOSE },
	{ "history",		FUTURE },
	{ "idle",		IDLE },
	{ "in",			IN },
	{ "leg",		LEG },
	{ "length",		LENGTH },
	{ "level",		LEVEL },
	{ "lifetime",		LIFETIME },
	{ "listen",		LISTEN },
	{ "log",		LOGGING },
	{ "on",			ON },
	{ "owner",		OWNER },
	{ "owner-gone",		OWNERGONE },
	{ "peer",		PEER },
	{ "pending",		PENDING },
	{ "per",		PER },
	{ "port",		PORT },
	{ "ports",		PORTS },
	{ "quota",		QUOTA },
	{ "registrations",	FUTURE },
	{ "rendezvous",		RENDEZVOUS },
	{ "same-port",		SAMEPORT },
	{ "secret",		SECRET },
	{ "server",		SERVER },
	{ "session",		SESSION },
	{ "sessions",		SESSIONS },
	{ "stop",		STOP },
	{ "timeout",		TIMEOUT },
	{ "total",		TOTAL },
	{ "transfer",		FUTURE },
};

static int
keyword_cmp(const void *name, const void *k)
{
	return (strcmp(name, ((const struct keyword *)k)->name));
}

/*
 * Keep the last ${len} bytes written behind text_used as a token's text.
 * They and their NUL always fit: a token of n bytes takes up n bytes of
 * the file at least, and there is room for twice the file.
 */
static void
lex_keep(size_t len)
{
	conf_yylval.text = lex.text + lex.text_used;
	lex.text[lex.text_used + len] = '\0';
	lex.text_used += len + 1;
}

static int
is_word_char(char ch)
{
	unsigned char	 c = (unsigned char)ch;

	return (c >= 0x80 || (c >= '0' && c <= '9') ||
	    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c != '\0' && strchr(".:-_/@+%*", c) != NULL));
}

/* Blanks, comments and a backslash before the end of a line. */
static void
lex_skip_blanks(void)
{
	const char	*p;

	for (;;) {
		p = lex.file + lex.pos;
		if (*p == ' ' || *p == '\t' || (*p == '\r' && p[1] == '\n'))
			lex.pos++;
		else if (*p == '\\' && (p[1] == '\n' ||
		    (p[1] == '\r' && p[2] == '\n'))) {
			lex.pos += p[1] == '\n' ? 2 : 3;
			lex.line++;
		} else if (*p == '#')
			lex.pos += strcspn(p, "\n");
		else
			return;
	}
}

/* A string, at its opening quote.  \" and \\ stand for the second byte. */
static int
lex_string(void)
{
	char	*to = lex.text + lex.text_used;
	size_t	 len = 0;
	char	 c;

	for (lex.pos++; (c = lex.file[lex.pos]) != '"'; lex.pos++) {
		if (c == '\n' || c == '\0') {
			conf_error(&src, lex.line, "no quote at the end of "
			    "the string");
			return (BAD);
		}
		if (c == '\\' && (lex.file[lex.pos + 1] == '"' ||
		    lex.file[lex.pos + 1] == '\\'))
			c = lex.file[++lex.pos];
		if ((unsigned char)c < 0x20 || c == 0x7f) {
			conf_error(&src, lex.line, "control character in a "
			    "string");
			lex.pos += strcspn(lex.file + lex.pos, "\"\n");
			if (lex.file[lex.pos] == '"')
				lex.pos++;
			return (BAD);
		}
		to[len++] = c;
	}
	lex.pos++;
	lex_keep(len);
	if (len > TOKEN_MAX) {
		conf_error(&src, lex.line, "string of more than %d bytes",
		    TOKEN_MAX);
		return (BAD);
	}
	return (STRING);
}

static int
lex_word(void)
{
	const struct keyword	*k;
	size_t			 len = 0;

	while (is_word_char(lex.file[lex.pos + len]))
		len++;
	memcpy(lex.text + lex.text_used, lex.file + lex.pos, len);
	lex.pos += len;
	lex_keep(len);
	if (len > TOKEN_MAX) {
		conf_error(&src, lex.line, "word of more than %d bytes",
		    TOKEN_MAX);
		return (BAD);
	}
	k = bsearch(conf_yylval.text, keywords,
	    sizeof(keywords) / sizeof(keywords[0]), sizeof(keywords[0]),
	    keyword_cmp);
	return (k != NULL ? k->token : WORD);
}

/*
 * Braces.  Inside a block that the grammar has not opened (its first line
 * was in error) no newline is reported, so that the error costs the whole
 * block; a block inside a block is skipped here for the same reason.
 */
static int
lex_brace(char c)
{
	unsigned int	 depth;

	if (c == '}') {
		if (lex.depth > 0 && --lex.depth == 0)
			lex.in_block = 0;
		return (c);
	}
	if (!lex.in_block) {
		if (lex.depth++ == 0)
			lex.block_line = lex.line;
		return (c);
	}
	conf_error(&src, lex.line, "a block inside a block (is the \"}\" of "
	    "line %u missing?)", lex.block_line);
	for (depth = 1; depth > 0 && lex.file[lex.pos] != '\0'; lex.pos++) {
		if (lex.file[lex.pos] == '{')
			depth++;
		else if (lex.file[lex.pos] == '}')
			depth--;
		else if (lex.file[lex.pos] == '\n')
			lex.line++;
	}
	return (BAD);
}

/* The grammar is in the block whose brace was the last token but one. */
static void
lex_block(void)
{
	lex.in_block = lex.depth > 0;
}

/* Note which needed statement was begun, whatever becomes of it. */
static void
lex_tried(int token)
{
	switch (token) {
	case COMPONENT:
		src.tried[STMT_COMPONENT] = 1;
		break;
	case SERVER:
		src.tried[STMT_SERVER] = 1;
		break;
	case SECRET:
		src.tried[STMT_SECRET] = 1;
		break;
	case PORTS:
		src.tried[STMT_PORTS] = 1;
		break;
	case RENDEZVOUS:
		src.tried[STMT_RENDEZVOUS] = 1;
		break;
	case LISTEN:
		src.tried[STMT_LISTEN4] = 1;
		break;
	}
}

static int
lex_token(void)
{
	char	 c;

	for (;;) {
		lex_skip_blanks();
		conf_yylval.line = lex.line;
		conf_yylval.text = "";
		c = lex.file[lex.pos];
		if (c == '\n') {
			lex.pos++;
			lex.line++;
			if (lex.depth == 0 || lex.in_block)
				return ('\n');
		} else
			break;
	}
	if (c == '\0') {
		/* The last line may lack its newline. */
		if (lex.token == '\n' || lex.token == 0)
			return (0);
		return ('\n');
	}
	if (c == '"')
		return (lex_string());
	if (is_word_char(c))
		return (lex_word());
	lex.text[lex.text_used] = c;
	lex_keep(1);
	lex.pos++;
	if (c == '{' || c == '}')
		return (lex_brace(c));
	return (c);
}

static int
yylex(void)
{
	if (src.errors > CONF_ERRORS_MAX)
		return (0);
	lex.first = lex.fresh;
	lex.token = lex_token();
	lex.fresh = lex.token == '\n' && lex.depth == 0;
	if (lex.first)
		lex_tried(lex.token);
	return (lex.token);
}

/* Called by yacc with a fixed text, for the token that yylex() returned. */
static void
yyerror(const char *msg)
{
	if (strcmp(msg, "syntax error") != 0) {
		conf_error(&src, conf_yylval.line, "%s", msg);
		return;
	}
	switch (lex.token) {
	case BAD:
		break;
	case 0:
		if (src.errors <= CONF_ERRORS_MAX)
			conf_error(&src, lex.block_line, "the block that "
			    "begins here has no \"}\"");
		break;
	case '\n':
		conf_error(&src, conf_yylval.line, "syntax error at the end "
		    "of the line");
		break;
	case WORD:
	case STRING:
		if (lex.first) {
			conf_error(&src, conf_yylval.line,
			    "unknown statement \"%s\"",
			    conf_show(conf_yylval.text));
			break;
		}
		/* FALLTHROUGH */
	default:
		conf_error(&src, conf_yylval.line, "syntax error near \"%s\"",
		    conf_show(conf_yylval.text));
		break;
	}
}

/*
 * The file.
 */

/* The bytes of ${f} into lex.file; -1 after an error was reported. */
static int
read_file(FILE *f)
{
	size_t	 n;

	/* One byte more, to see that there is more, and the NUL. */
	if ((lex.file = malloc(CONF_FILE_MAX + 2)) == NULL) {
		conf_error(&src, 1, "%s", strerror(errno));
		return (-1);
	}
	errno = 0;
	do {
		n = fread(lex.file + lex.len, 1, CONF_FILE_MAX + 1 - lex.len,
		    f);
		lex.len += n;
	} while (n > 0 && lex.len <= CONF_FILE_MAX);
	if (ferror(f)) {
		conf_error(&src, 1, "%s", strerror(errno));
		return (-1);
	}
	if (lex.len > CONF_FILE_MAX) {
		conf_error(&src, 1, "more than %u bytes", CONF_FILE_MAX);
		return (-1);
	}
	lex.file[lex.len] = '\0';
	if ((lex.text = malloc(2 * lex.len + 1)) == NULL) {
		conf_error(&src, 1, "%s", strerror(errno));
		return (-1);
	}
	return (0);
}

/*
 * Report what is not text, once a line, and put a letter in its place: the
 * lexer meets neither a NUL before the end nor broken UTF-8, and the line
 * is mostly not reported a second time.
 */
static void
check_text(void)
{
	unsigned int	 line = 1, bad = 0;
	size_t		 i, n;
	const char	*what;

	if (lex.len >= 3 && memcmp(lex.file, "\xef\xbb\xbf", 3) == 0) {
		conf_error(&src, 1, "the file begins with a byte order mark");
		lex.pos = 3;
	}
	for (i = 0; i < lex.len; i += n) {
		if (lex.file[i] == '\n')
			line++;
		n = jid_utf8_len(lex.file + i);
		if (n > 0 && lex.file[i] != '\0')
			continue;
		what = n == 0 ? "not UTF-8" : "a NUL byte";
		if (bad != line)
			conf_error(&src, line, "%s", what);
		bad = line;
		lex.file[i] = 'x';
		n = 1;
	}
	/* A last newline ends a line and begins none. */
	src.end = lex.len > 0 && lex.file[lex.len - 1] == '\n' ? line - 1 :
	    line;
}

struct conf *
conf_parse(FILE *f, const char *name, conf_error_fn err, void *arg)
{
	struct conf	*conf;

	memset(&src, 0, sizeof(src));
	src.name = name;
	src.err = err;
	src.arg = arg;
	src.end = 1;
	memset(&lex, 0, sizeof(lex));
	lex.line = 1;
	lex.fresh = 1;
	src.quota = &src.waste;

	if ((conf = conf_new()) == NULL) {
		conf_error(&src, 1, "%s", strerror(errno));
		return (NULL);
	}
	src.conf = conf;
	if (read_file(f) == 0) {
		check_text();
		if (conf_yyparse() != 0 && src.errors == 0)
			conf_error(&src, lex.line, "cannot be parsed");
		conf_check(conf, &src);
	}
	free(lex.file);
	free(lex.text);
	lex.file = lex.text = NULL;
	src.conf = NULL;
	if (src.errors > 0) {
		conf_free(conf);
		return (NULL);
	}
	return (conf);
}
