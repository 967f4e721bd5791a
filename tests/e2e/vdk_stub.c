/*
 * tests/e2e/vdk_stub.c - a scripted TLS and MQTT server that does one step after the other, and nothing else
 *
 * Usage:    vdk_stub --cert FILE --key FILE [--tls13] [--client-ca FILE] SCRIPT
 *           SCRIPT is text, a step a line. Prints "port N" first, then a line for each packet that came.
 * Steps:    accept            take the next connection
 *           tls               TLS handshake; a failure ends the connection, and the script goes on behind the next accept
 *           expect TYPE       read packets until one of that type came: CONNECT SUBSCRIBE PUBLISH PUBACK DISCONNECT
 *           connack N         suback HEX[,HEX]...        puback       publish TOPIC [PAYLOAD]
 *           cork              hold what is sent from here on
 *           uncork            send it in one piece
 *           close             close_notify and FIN
 *           fin               FIN alone
 *           rst               TCP reset
 *           silence           read until the peer closes
 */
#include "base/bytes.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { PACKET_MAX_BYTES = 64 * 1024, STEP_MAX_BYTES = 4096, LIFE_MAX_S = 120 };
enum { CONNECT = 1, PUBLISH = 3, PUBACK = 4, SUBSCRIBE = 8, DISCONNECT = 14 };

struct stub {
    SSL_CTX *context;
    int listener_fd;
    int fd;
    SSL *ssl;
    uint8_t packet[PACKET_MAX_BYTES];
    size_t packet_bytes;
    uint16_t packet_id; /* of the last packet that had one */
    bool is_corked;
    struct bytes output;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static void drop(struct stub *stub)
{
    SSL_free(stub->ssl);
    stub->ssl = NULL;
    if (stub->fd >= 0)
        close(stub->fd);
    stub->fd = -1;
}

static int read_all(struct stub *stub, uint8_t *data, size_t length_bytes)
{
    for (size_t got = 0; got < length_bytes;) {
        int n = stub->ssl ? SSL_read(stub->ssl, data + got, (int)(length_bytes - got)) : -1;
        if (n <= 0)
            return -1;
        got += (size_t)n;
    }
    return 0;
}

static int read_length(struct stub *stub, size_t *ret_length_bytes)
{
    size_t length_bytes = 0;
    for (int shift = 0; shift < 28; shift += 7) {
        uint8_t byte = 0;
        if (read_all(stub, &byte, 1))
            return -1;
        length_bytes |= (size_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_length_bytes = length_bytes;
            return length_bytes <= PACKET_MAX_BYTES ? 0 : -1;
        }
    }
    return -1;
}

static void describe_connect(struct cursor body)
{
    cursor_take(&body, cursor_u16(&body));
    cursor_u8(&body);
    unsigned flags = cursor_u8(&body), keepalive_s = cursor_u16(&body);
    uint16_t id_bytes = cursor_u16(&body);
    const uint8_t *id = cursor_take(&body, id_bytes);
    uint16_t user_bytes = cursor_u16(&body);
    const uint8_t *user = cursor_take(&body, user_bytes);
    say("CONNECT flags 0x%02x keepalive %u id '%.*s' user '%.*s'", flags, keepalive_s, id ? id_bytes : 0, id ? (const char *)id : "",
        user ? user_bytes : 0, user ? (const char *)user : "");
}

static void describe_publish(struct stub *stub, unsigned qos, struct cursor body)
{
    uint16_t topic_bytes = cursor_u16(&body);
    const uint8_t *topic = cursor_take(&body, topic_bytes);
    if (qos)
        stub->packet_id = cursor_u16(&body);
    size_t left = cursor_left(&body);
    const uint8_t *payload = cursor_take(&body, left);
    say("PUBLISH qos %u topic '%.*s' payload '%.*s'", qos, topic ? topic_bytes : 0, topic ? (const char *)topic : "", (int)left,
        payload ? (const char *)payload : "");
}

static void describe_subscribe(struct stub *stub, struct cursor body)
{
    stub->packet_id = cursor_u16(&body);
    while (cursor_left(&body)) {
        uint16_t length_bytes = cursor_u16(&body);
        const uint8_t *filter = cursor_take(&body, length_bytes);
        say("SUBSCRIBE '%.*s' qos %u", filter ? length_bytes : 0, filter ? (const char *)filter : "", cursor_u8(&body));
    }
}

static int read_packet(struct stub *stub)
{
    uint8_t first = 0;
    if (read_all(stub, &first, 1) || read_length(stub, &stub->packet_bytes) || read_all(stub, stub->packet, stub->packet_bytes)) {
        ERR_clear_error();
        return -1;
    }
    struct cursor body = cursor_of(stub->packet, stub->packet_bytes);
    if (first >> 4 == CONNECT)
        describe_connect(body);
    else if (first >> 4 == PUBLISH)
        describe_publish(stub, first >> 1 & 3, body);
    else if (first >> 4 == SUBSCRIBE)
        describe_subscribe(stub, body);
    else
        say("%s", first >> 4 == DISCONNECT ? "DISCONNECT" : first >> 4 == PUBACK ? "PUBACK" : "other packet");
    return first >> 4;
}

static int type_of(const char *name)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {{"CONNECT", CONNECT}, {"SUBSCRIBE", SUBSCRIBE}, {"PUBLISH", PUBLISH}, {"PUBACK", PUBACK}, {"DISCONNECT", DISCONNECT}};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    }
    return -1;
}

static int expect(struct stub *stub, const char *name)
{
    int type = 0;
    do {
        type = read_packet(stub);
    } while (type >= 0 && type != type_of(name));
    if (type < 0)
        say("closed while waiting for %s", name);
    return type < 0 ? -1 : 0;
}

static int flush(struct stub *stub)
{
    int n = stub->ssl ? SSL_write(stub->ssl, stub->output.data, (int)stub->output.length_bytes) : -1;
    bytes_clear(&stub->output);
    return n > 0 ? 0 : -1;
}

static int send_packet(struct stub *stub, uint8_t first, const struct bytes *body)
{
    bytes_append_byte(&stub->output, first);
    size_t left = body->length_bytes;
    do {
        bytes_append_byte(&stub->output, (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0)));
        left >>= 7;
    } while (left);
    bytes_append(&stub->output, body->data, body->length_bytes);
    return stub->is_corked ? 0 : flush(stub);
}

static void append_u16(struct bytes *bytes, size_t value)
{
    bytes_append_byte(bytes, (uint8_t)(value >> 8));
    bytes_append_byte(bytes, (uint8_t)value);
}

static void build_suback(struct stub *stub, char *codes, struct bytes *body)
{
    char *state = NULL;
    append_u16(body, stub->packet_id);
    for (char *code = strtok_r(codes, ",", &state); code; code = strtok_r(NULL, ",", &state))
        bytes_append_byte(body, (uint8_t)strtoul(code, NULL, 16));
}

static void build_publish(char *words, struct bytes *body)
{
    char *payload = strchr(words, ' ');
    size_t topic_bytes = payload ? (size_t)(payload - words) : strlen(words);
    append_u16(body, topic_bytes);
    bytes_append(body, words, topic_bytes);
    append_u16(body, 7);
    bytes_append_text(body, payload ? payload + 1 : "");
}

static int reply(struct stub *stub, const char *verb, char *rest)
{
    struct bytes body;
    uint8_t first = 0x40;
    bytes_init(&body, PACKET_MAX_BYTES);
    if (strcmp(verb, "connack") == 0) {
        first = 0x20;
        append_u16(&body, (size_t)atoi(rest));
    } else if (strcmp(verb, "suback") == 0) {
        first = 0x90;
        build_suback(stub, rest, &body);
    } else if (strcmp(verb, "publish") == 0) {
        first = 0x32;
        build_publish(rest, &body);
    } else {
        append_u16(&body, stub->packet_id);
    }
    int result = send_packet(stub, first, &body);
    bytes_done(&body);
    return result;
}

static int accept_next(struct stub *stub)
{
    int one = 1;
    drop(stub);
    stub->fd = accept(stub->listener_fd, NULL, NULL);
    setsockopt(stub->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    say("accepted");
    return stub->fd >= 0 ? 0 : -1;
}

static int handshake(struct stub *stub)
{
    stub->ssl = SSL_new(stub->context);
    SSL_set_fd(stub->ssl, stub->fd);
    int result = SSL_accept(stub->ssl);
    const char *sni = SSL_get_servername(stub->ssl, TLSEXT_NAMETYPE_host_name);
    if (result == 1)
        say("TLS up %s SNI '%s' chain of %d", SSL_get_version(stub->ssl), sni ? sni : "",
            sk_X509_num(SSL_get_peer_cert_chain(stub->ssl)) + (SSL_get0_peer_certificate(stub->ssl) ? 1 : 0));
    else
        say("TLS failed: %s", ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    return result == 1 ? 0 : -1;
}

static int end(struct stub *stub, const char *verb)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (strcmp(verb, "rst") == 0)
        setsockopt(stub->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (strcmp(verb, "close") == 0 && stub->ssl)
        SSL_shutdown(stub->ssl);
    drop(stub);
    return 0;
}

static int silence(struct stub *stub)
{
    while (stub->ssl && read_packet(stub) >= 0)
        ;
    say("the peer closed");
    drop(stub);
    return 0;
}

static int step(struct stub *stub, char *line)
{
    char *rest = strchr(line, ' ');
    if (rest)
        *rest++ = '\0';
    if (strcmp(line, "accept") == 0)
        return accept_next(stub);
    if (strcmp(line, "tls") == 0)
        return handshake(stub);
    if (strcmp(line, "expect") == 0)
        return expect(stub, rest ? rest : "");
    if (strcmp(line, "silence") == 0)
        return silence(stub);
    if (strcmp(line, "cork") == 0 || strcmp(line, "uncork") == 0) {
        stub->is_corked = line[0] == 'c';
        return stub->is_corked ? 0 : flush(stub);
    }
    if (strcmp(line, "close") == 0 || strcmp(line, "fin") == 0 || strcmp(line, "rst") == 0)
        return end(stub, line);
    return reply(stub, line, rest ? rest : (char[]){""});
}

/* A step that fails ends its connection: the script goes on at the next accept. */
static void play(struct stub *stub, char *script)
{
    char *state = NULL;
    bool is_skipping = false;
    for (char *line = strtok_r(script, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        char copy[STEP_MAX_BYTES];
        snprintf(copy, sizeof copy, "%s", line);
        is_skipping = is_skipping && strcmp(copy, "accept") != 0;
        if (!is_skipping)
            is_skipping = step(stub, copy) != 0;
    }
    drop(stub);
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length_bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8) ||
        getsockname(fd, (struct sockaddr *)&address, &length_bytes))
        return -1;
    say("port %u", ntohs(address.sin_port));
    return fd;
}

static int take_client_ca(SSL_CTX *context, const char *path)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SSL_CTX_load_verify_file(context, path) == 1 ? 0 : -1;
}

static int accept_any(int is_good, X509_STORE_CTX *store)
{
    (void)is_good;
    (void)store;
    return 1;
}

static int configure(SSL_CTX *context, int argc, char **argv)
{
    int version = TLS1_2_VERSION, result = 0;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
    for (int i = 1; i + 1 < argc && result == 0; i++) {
        if (strcmp(argv[i], "--tls13") == 0)
            version = TLS1_3_VERSION;
        else if (strcmp(argv[i], "--cert") == 0)
            result = SSL_CTX_use_certificate_chain_file(context, argv[++i]) == 1 ? 0 : -1;
        else if (strcmp(argv[i], "--key") == 0)
            result = SSL_CTX_use_PrivateKey_file(context, argv[++i], SSL_FILETYPE_PEM) == 1 ? 0 : -1;
        else if (strcmp(argv[i], "--client-ca") == 0)
            result = take_client_ca(context, argv[++i]);
    }
    return result || SSL_CTX_set_min_proto_version(context, version) != 1 || SSL_CTX_set_max_proto_version(context, version) != 1 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct stub *stub = calloc(1, sizeof *stub);
    signal(SIGPIPE, SIG_IGN);
    alarm(LIFE_MAX_S);
    if (!stub || argc < 2)
        return 2;
    stub->fd = -1;
    bytes_init(&stub->output, PACKET_MAX_BYTES);
    stub->context = SSL_CTX_new(TLS_server_method());
    if (!stub->context || configure(stub->context, argc, argv)) {
        ERR_print_errors_fp(stderr);
        return 2;
    }
    stub->listener_fd = listen_somewhere();
    if (stub->listener_fd >= 0)
        play(stub, argv[argc - 1]);
    close(stub->listener_fd);
    SSL_CTX_free(stub->context);
    bytes_done(&stub->output);
    free(stub);
    return 0;
}
