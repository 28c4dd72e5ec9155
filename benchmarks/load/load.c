/* load HOST-PORT CONNECTIONS SECONDS FOLDER: each connection asks its own question and wants its own answer, to the last byte.

FOLDER holds question0, answer0, question1, ...: a whole request, and the body that answers it. Connection i begins with question
i and goes on with the next, so that no two connections wait for the same one as long as there are more questions than
connections. An answer handed to the wrong connection is a wrong answer. Prints one line of JSON; exits 2 where it could not
look: no server, no questions, an answer whose length is not told.

One thread, epoll; a connection sends when its answer is complete.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, PATIENCE_MS = 5000 };

typedef struct {
  char *bytes;
  size_t size;
} Text;

typedef struct {
  int socket;
  size_t question, sent, got, head, body;
  int status;
  uint64_t asked_ns;
  char *buffer;
} Connection;

static Text *questions, *answers;
static size_t count, room;
static uint64_t *taken_ns;
static size_t taken, taken_room;
static long wrong, refused, broken;
static struct sockaddr_in server = {.sin_family = AF_INET};

static void give_up(const char *form, ...) {
  va_list list;
  va_start(list, form);
  vfprintf(stderr, form, list);
  va_end(list);
  fputc('\n', stderr);
  exit(2);
}

static uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void *grown(void *old, size_t size) {
  void *place = realloc(old, size);
  if (!place) give_up("no memory for %zu bytes", size);
  return place;
}

static int read_text(const char *folder, const char *name, size_t number, Text *text) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s%zu", folder, name, number);
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  fseek(file, 0, SEEK_END);
  text->size = (size_t)ftell(file);
  rewind(file);
  text->bytes = grown(NULL, text->size + 1);
  if (fread(text->bytes, 1, text->size, file) != text->size) give_up("%s: cannot be read whole", path);
  fclose(file);
  return 1;
}

static void read_all(const char *folder) {
  Text question, answer;
  while (read_text(folder, "question", count, &question)) {
    if (!read_text(folder, "answer", count, &answer)) give_up("%s: question%zu has no answer", folder, count);
    questions = grown(questions, (count + 1) * sizeof *questions);
    answers = grown(answers, (count + 1) * sizeof *answers);
    questions[count] = question;
    answers[count++] = answer;
    if (answer.size > room) room = answer.size;
  }
  if (!count) give_up("%s: no questions", folder);
  /* A wrong answer may be longer than any right one; beyond this it is taken for broken. */
  room = 2 * room + 2 * HEAD_MAX;
}

static void watch(int poll, Connection *one, uint32_t events, int how) {
  struct epoll_event event = {.events = events, .data.ptr = one};
  epoll_ctl(poll, how, one->socket, &event);
}

static void send_rest(int poll, Connection *one) {
  Text *question = &questions[one->question];
  while (one->sent < question->size) {
    ssize_t size = send(one->socket, question->bytes + one->sent, question->size - one->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size > 0) {
      one->sent += (size_t)size;
    } else {
      /* Full: on when there is space. Broken: the reader hears it. */
      watch(poll, one, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
      return;
    }
  }
}

static void ask(int poll, Connection *one) {
  one->sent = one->got = one->head = 0;
  one->asked_ns = now_ns();
  send_rest(poll, one);
}

static void open_one(int poll, Connection *one) {
  int yes = 1;
  one->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (one->socket < 0 || connect(one->socket, (struct sockaddr *)&server, sizeof server))
    give_up("127.0.0.1:%d: %s", ntohs(server.sin_port), strerror(errno));
  setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  watch(poll, one, EPOLLIN, EPOLL_CTL_ADD);
  ask(poll, one);
}

/* The head: status and Content-Length. 0 while it is not whole. */
static int read_head(Connection *one) {
  char *end = memmem(one->buffer, one->got, "\r\n\r\n", 4);
  if (!end) return 0;
  one->head = (size_t)(end - one->buffer) + 4;
  *end = 0;
  one->status = strlen(one->buffer) > 12 ? atoi(one->buffer + 9) : 0;
  char *line = strcasestr(one->buffer, "\r\ncontent-length:");
  if (!line) give_up("an answer without Content-Length: %.200s", one->buffer);
  one->body = strtoull(line + 17, NULL, 10);
  return 1;
}

static void judge(Connection *one) {
  Text *answer = &answers[one->question];
  if (one->status != 200)
    refused++;
  else if (one->body != answer->size || memcmp(one->buffer + one->head, answer->bytes, answer->size))
    wrong++;
  if (taken == taken_room) taken_ns = grown(taken_ns, (taken_room = 2 * taken_room + 65536) * sizeof *taken_ns);
  taken_ns[taken++] = now_ns() - one->asked_ns;
  one->question = (one->question + 1) % count;
}

static void reopen(int poll, Connection *one) {
  broken++;
  close(one->socket);
  one->question = (one->question + 1) % count;
  open_one(poll, one);
}

static void receive(int poll, Connection *one) {
  ssize_t size = recv(one->socket, one->buffer + one->got, room - one->got, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) {
    reopen(poll, one);
    return;
  }
  one->got += (size_t)size;
  if (!one->head && !read_head(one)) return;
  if (one->got < one->head + one->body) {
    if (one->got == room) reopen(poll, one);
    return;
  }
  /* More than the answer is somebody else's. */
  if (one->got > one->head + one->body) wrong++;
  judge(one);
  ask(poll, one);
}

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static double us_at(double part) { return taken ? (double)taken_ns[(size_t)(part * (double)(taken - 1))] / 1e3 : 0; }

int main(int argc, char **argv) {
  if (argc != 5) give_up("usage: load PORT CONNECTIONS SECONDS FOLDER");
  size_t size = strtoul(argv[2], NULL, 10);
  double seconds = strtod(argv[3], NULL);
  server.sin_port = htons((uint16_t)atoi(argv[1]));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  read_all(argv[4]);

  int poll = epoll_create1(EPOLL_CLOEXEC);
  Connection *connections = calloc(size, sizeof *connections);
  struct epoll_event *events = calloc(size, sizeof *events);
  if (poll < 0 || !connections || !events) give_up("no memory for %zu connections", size);
  uint64_t begun = now_ns(), end = begun + (uint64_t)(seconds * 1e9);
  for (size_t i = 0; i < size; i++) {
    connections[i].buffer = grown(NULL, room);
    connections[i].question = i % count;
    open_one(poll, &connections[i]);
  }
  while (now_ns() < end) {
    int ready = epoll_wait(poll, events, (int)size, PATIENCE_MS);
    if (!ready) give_up("no answer in %d ms", PATIENCE_MS);
    for (int i = 0; i < ready; i++) {
      Connection *one = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) {
        watch(poll, one, EPOLLIN, EPOLL_CTL_MOD);
        send_rest(poll, one);
      }
      if (events[i].events & ~(uint32_t)EPOLLOUT) receive(poll, one);
    }
  }
  double took = (double)(now_ns() - begun) / 1e9;
  qsort(taken_ns, taken, sizeof *taken_ns, by_size);
  printf("{\"requests\":%zu,\"seconds\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"broken\":%ld,\"refused\":%ld,\"wrong\":%ld}\n", taken,
         took, us_at(0.5), us_at(0.99), broken, refused, wrong);
  return 0;
}
