/* peer: the original library as a test peer.
 *
 * Reads commands, one a line, and answers each with lines that end in "."
 *
 *   open NAME ro|rw     open a mailbox as session number 0, 1, ... (answer: session N)
 *   use N               make session N current
 *   dump                uid|flags|internal date|size|fnv1a-64 of the text, one line a message
 *   flag SEQ FLAGS      set flags;  unflag SEQ FLAGS  clear them
 *   expunge             expunge the current session
 *   ping | check | close
 *   append NAME FLAGS|DATE|TEXT      TEXT with \r \n \\ escapes
 *   flood NAME COUNT TAG             COUNT appends of small messages with subject TAG-n
 *   quit
 *
 * Built by the tests with: cc peer.c -lc-client
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include <c-client/c-client.h>

static char logged[8192];

void mm_searched(MAILSTREAM *s, unsigned long n) {}
void mm_exists(MAILSTREAM *s, unsigned long n) {}
void mm_expunged(MAILSTREAM *s, unsigned long n) {}
void mm_flags(MAILSTREAM *s, unsigned long n) {}
void mm_notify(MAILSTREAM *s, char *t, long e) {}
void mm_list(MAILSTREAM *s, int d, char *n, long a) {}
void mm_lsub(MAILSTREAM *s, int d, char *n, long a) {}
void mm_status(MAILSTREAM *s, char *m, MAILSTATUS *st) {}
void mm_log(char *t, long e) {
  if (e == ERROR || e == WARN)
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "log %ld %s\n", e, t);
}
void mm_dlog(char *t) {}
void mm_login(NETMBX *mb, char *u, char *p, long trial) { *u = *p = 0; }
void mm_critical(MAILSTREAM *s) {}
void mm_nocritical(MAILSTREAM *s) {}
long mm_diskerror(MAILSTREAM *s, long e, long serious) { return T; }
void mm_fatal(char *t) { printf("fatal %s\n", t); fflush(stdout); }

static unsigned long long fnv(unsigned long long h, const char *p, unsigned long n) {
  while (n--) { h ^= (unsigned char)*p++; h *= 1099511628211ULL; }
  return h;
}

static void dump(MAILSTREAM *s) {
  char date[64];
  for (unsigned long i = 1; i <= s->nmsgs; i++) {
    unsigned long hl = 0, tl = 0;
    unsigned long long h = 14695981039346656037ULL;
    char *t = mail_fetch_header(s, i, NIL, NIL, &hl, FT_PEEK);
    h = fnv(h, t, hl);
    t = mail_fetch_text(s, i, NIL, &tl, FT_PEEK);
    h = fnv(h, t, tl);
    MESSAGECACHE *e = mail_elt(s, i);
    printf("%lu|", mail_uid(s, i));
    if (e->seen) printf("\\Seen ");
    if (e->answered) printf("\\Answered ");
    if (e->flagged) printf("\\Flagged ");
    if (e->deleted) printf("\\Deleted ");
    if (e->draft) printf("\\Draft ");
    for (int k = 0; k < NUSERFLAGS; k++)
      if ((e->user_flags & (1UL << k)) && s->user_flags[k]) printf("%s ", s->user_flags[k]);
    printf("|%s|%lu|%016llx\n", mail_date(date, e), hl + tl, h);
  }
  printf("uidvalidity %lu uidlast %lu\n", s->uid_validity, s->uid_last);
}

static void unescape(char *p) {
  char *o = p;
  for (; *p; p++) {
    if (*p == '\\' && p[1]) {
      p++;
      *o++ = *p == 'r' ? '\r' : *p == 'n' ? '\n' : *p;
    } else *o++ = *p;
  }
  *o = 0;
}

static long append(char *box, char *flags, char *date, char *text) {
  STRING st;
  INIT(&st, mail_string, text, strlen(text));
  return mail_append_full(NIL, box, *flags ? flags : NIL, *date ? date : NIL, &st);
}

int main(void) {
  static char line[1 << 20];
  MAILSTREAM *sessions[64] = {0}, *s = NIL;
  int count = 0, cur = 0;
  signal(SIGUSR2, SIG_IGN);
#include <c-client/linkage.c>
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *cmd = strtok(line, " "), *rest = strtok(NULL, "");
    logged[0] = 0;
    if (!cmd || !strcmp(cmd, "quit")) break;
    if (!strcmp(cmd, "open")) {
      char *mode = strrchr(rest, ' ');
      *mode++ = 0;
      s = mail_open(NIL, rest, strcmp(mode, "ro") ? NIL : OP_READONLY);
      if (s) {
        sessions[cur = count++] = s;
        printf("session %d %lu messages %s\n", cur, s->nmsgs, s->rdonly ? "readonly" : "readwrite");
      } else printf("failed\n");
    } else if (!strcmp(cmd, "use")) {
      s = sessions[cur = atoi(rest)];
    } else if (!strcmp(cmd, "append")) {
      char *bar = strchr(rest, ' ');
      *bar++ = 0;
      char *date = strchr(bar, '|');
      *date++ = 0;
      char *text = strchr(date, '|');
      *text++ = 0;
      unescape(text);
      printf("%s\n", append(rest, bar, date, text) ? "ok" : "failed");
    } else if (!strcmp(cmd, "flood")) {
      char box[512], tag[64], text[512];
      int n, bad = 0;
      sscanf(rest, "%500s %d %60s", box, &n, tag);
      for (int i = 0; i < n; i++) {
        sprintf(text, "From: %s@example.com\r\nSubject: %s-%d\r\n\r\nbody of %s-%d\r\n", tag, tag, i, tag, i);
        /* It refuses now and then when lock files come and go, also among its
           own kind; as a mail system would, we try again. */
        int tries = 0;
        while (!append(box, "", "", text) && ++tries < 20) {
          logged[0] = 0;
          usleep(20000);
        }
        if (tries == 20) bad++;
      }
      printf("%d failed\n", bad);
    } else if (!s) printf("no session\n");
    else if (!strcmp(cmd, "dump")) dump(s);
    else if (!strcmp(cmd, "flag") || !strcmp(cmd, "unflag")) {
      char *flags = strchr(rest, ' ');
      *flags++ = 0;
      mail_flag(s, rest, flags, *cmd == 'f' ? ST_SET : NIL);
    } else if (!strcmp(cmd, "expunge")) mail_expunge(s);
    else if (!strcmp(cmd, "ping")) printf("%s %lu\n", mail_ping(s) ? "alive" : "dead", s->nmsgs);
    else if (!strcmp(cmd, "check")) mail_check(s);
    else if (!strcmp(cmd, "close")) { mail_close(s); sessions[cur] = s = NIL; }
    printf("%s.\n", logged);
    fflush(stdout);
  }
  return 0;
}
