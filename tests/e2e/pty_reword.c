/*
 * pty_reword PTY LINK WORDS - a device with other words: what a virtual DK's console would be if its application were another one
 *
 * Stands between the pty of a virtual DK and a pty of its own, to which it makes LINK. What the host sends goes through as it is; a line of the device
 * that an expression of WORDS matches is replaced ("EXPRESSION TAB REPLACEMENT", \1 to \9 for its groups, an empty replacement drops the line), every
 * other goes through. Runs until it is ended.
 */
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <string.h>
#include <termios.h>

enum { WORDS_MAX = 64, LINE_MAX_BYTES = 8192, WORDS_MAX_BYTES = 65536, GROUPS = 10 };

struct word {
    regex_t pattern;
    char *replacement;
};

struct reword {
    int host_fd;
    int device_fd;
    struct word words[WORDS_MAX];
    size_t word_count;
    struct bytes pending; /* of a line of the device that has not ended yet */
};

static int say(const char *what, const char *about)
{
    fprintf(stderr, "pty_reword: %s '%s'\n", what, about);
    return -1;
}

static int add_word(struct reword *reword, char *line)
{
    char *tab = strchr(line, '\t'), anchored[LINE_MAX_BYTES];
    if (!tab || reword->word_count == WORDS_MAX)
        return say("not EXPRESSION TAB REPLACEMENT, or too many:", line);
    *tab = 0;
    struct word *word = &reword->words[reword->word_count++];
    word->replacement = tab + 1;
    snprintf(anchored, sizeof anchored, "^(%s)$", line);
    return regcomp(&word->pattern, anchored, REG_EXTENDED) ? say("no expression:", line) : 0;
}

/* The texts stay in the file's memory until the program ends. */
static int read_words(struct reword *reword, const char *path)
{
    static struct bytes file;
    struct error error = ERROR_INIT;
    if (file_read(path, WORDS_MAX_BYTES, &file, &error))
        return say(error.text, path);
    char *rest = strdup(bytes_text(&file));
    for (char *line; rest && (line = strsep(&rest, "\n"));)
        if (*line && add_word(reword, line))
            return -1;
    return 0;
}

static int make_raw(int fd)
{
    struct termios mode;
    if (fd < 0 || tcgetattr(fd, &mode))
        return -1;
    cfmakeraw(&mode);
    return tcsetattr(fd, TCSANOW, &mode);
}

/* Our own end stays open too: without it a host that closes the port would look like a device that is gone. */
static int open_ports(struct reword *reword, const char *device, const char *link)
{
    reword->device_fd = open(device, O_RDWR | O_NOCTTY | O_CLOEXEC);
    reword->host_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (make_raw(reword->device_fd) || reword->host_fd < 0 || grantpt(reword->host_fd) || unlockpt(reword->host_fd))
        return say(strerror(errno), device);
    const char *name = ptsname(reword->host_fd);
    if (make_raw(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) || symlink(name, link))
        return say(strerror(errno), link);
    return 0;
}

static int write_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t put = write(fd, data, length);
        if (put < 0 && errno != EINTR)
            return say("cannot write", strerror(errno));
        data += put > 0 ? put : 0;
        length -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* Group 0 of a word is the anchored whole, group 1 the expression, so \1 is group 2. */
static int write_replacement(int fd, const struct word *word, const char *line, const regmatch_t *groups)
{
    char out[LINE_MAX_BYTES];
    size_t length = 0;
    for (const char *at = word->replacement; *at; at++) {
        bool is_group = at[0] == '\\' && at[1] >= '1' && at[1] < '9';
        const regmatch_t *group = is_group ? &groups[*++at - '0' + 1] : NULL;
        size_t part = group ? (size_t)(group->rm_eo - group->rm_so) : 1;
        if (length + part + 2 >= sizeof out)
            return say("too long:", line);
        memcpy(out + length, group ? line + group->rm_so : at, part);
        length += part;
    }
    memcpy(out + length, "\r\n", 2);
    return length ? write_all(fd, out, length + 2) : 0;
}

static void strip_colours(const char *text, size_t length, char *out)
{
    for (const char *at = text, *end = text + length; at < end; at++) {
        if (at[0] == '\033' && at + 1 < end && at[1] == '[') {
            at += 2 + strspn(at + 2, "0123456789;");
        } else if (*at != '\r') {
            *out++ = *at;
        }
    }
    *out = 0;
}

static int pass_line(struct reword *reword, const char *raw, size_t length)
{
    char line[LINE_MAX_BYTES];
    regmatch_t groups[GROUPS];
    if (length >= sizeof line)
        return say("a line is too long", "");
    strip_colours(raw, length - 1, line);
    for (size_t i = 0; i < reword->word_count; i++)
        if (!regexec(&reword->words[i].pattern, line, GROUPS, groups, 0))
            return write_replacement(reword->host_fd, &reword->words[i], line, groups);
    return write_all(reword->host_fd, raw, length);
}

static int take_device(struct reword *reword)
{
    char chunk[1024];
    ssize_t got = read(reword->device_fd, chunk, sizeof chunk);
    if (got <= 0 || bytes_append(&reword->pending, chunk, (size_t)got))
        return say("the device is gone", "");
    for (const char *start, *end; (start = bytes_text(&reword->pending), end = strchr(start, '\n'));) {
        size_t length = (size_t)(end - start) + 1;
        if (pass_line(reword, start, length))
            return -1;
        bytes_consume(&reword->pending, length);
    }
    return 0;
}

static int take_host(struct reword *reword)
{
    char chunk[1024];
    ssize_t got = read(reword->host_fd, chunk, sizeof chunk);
    return got > 0 ? write_all(reword->device_fd, chunk, (size_t)got) : say("the host's end is gone", "");
}

int main(int argc, char **argv)
{
    static struct reword reword;
    if (argc != 4)
        return 2;
    bytes_init(&reword.pending, (size_t)8 * LINE_MAX_BYTES);
    if (read_words(&reword, argv[3]) || open_ports(&reword, argv[1], argv[2]))
        return 1;
    for (int rc = 0; !rc;) {
        struct pollfd fds[] = {{.fd = reword.device_fd, .events = POLLIN}, {.fd = reword.host_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0)
            return 1;
        if (fds[0].revents)
            rc = take_device(&reword);
        if (!rc && fds[1].revents)
            rc = take_host(&reword);
    }
    return 1;
}
