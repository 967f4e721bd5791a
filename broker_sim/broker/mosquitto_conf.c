#include "broker_sim/broker/mosquitto_conf.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/files.h"

#include <string.h>
#include <unistd.h>

enum { CONF_MAX_BYTES = 64 * 1024, CONF_MODE = 0600 };

/*
 * Unlimited in flight: with the default of 20, and 1000 queued, 30 devices that send 3000 requests while the service pauses for a second
 * lose 1832 of them. The queue limit bounds what a stopped observer costs. 0 (no limit) must not be used: a PUBLISH that an ACL refuses
 * then ends its connection. Warnings are not logged: set_tcp_nodelay makes one for each connection on a Unix socket.
 */
static const char head[] = "per_listener_settings true\n"
                           "persistence false\n"
                           "sys_interval 0\n"
                           "max_inflight_messages 0\n"
                           "max_queued_messages 20000\n"
                           "set_tcp_nodelay true\n"
                           "log_dest stderr\n"
                           "log_type error\n"
                           "connection_messages false\n";

static const struct {
    const char *file;
    const char *text;
} access_lists[] = {
    {"device.acl", "pattern readwrite s/%c/#\n"},
    {"control.acl", "user control\ntopic readwrite dpsbench/v1/control/#\ntopic read dpsbench/v1/events/#\ntopic read s/#\n"},
    {"observer.acl", "pattern read s/#\npattern read dpsbench/v1/events/#\n"},
    {"hand.acl", "topic write s/#\n"},
};

static int append_unix_listener(struct bytes *text, const struct mosquitto_conf *conf, const char *socket_name, const char *acl)
{
    if (bytes_printf(text, "listener 0 %s/%s\nallow_anonymous true\nmax_qos 1\n", conf->dir, socket_name))
        return -1;
    return acl ? bytes_printf(text, "acl_file %s/%s\n", conf->dir, acl) : 0;
}

static int append_tls_listener(struct bytes *text, const struct mosquitto_conf *conf, uint16_t port, const char *acl)
{
    return bytes_printf(text,
                        "listener %u %s\nallow_anonymous false\nmax_qos 1\ncafile %s\ncertfile %s\nkeyfile %s\ntls_version tlsv1.2\n"
                        "require_certificate true\nuse_identity_as_username true\nacl_file %s/%s\n",
                        port, conf->address, conf->control_ca, conf->server_cert, conf->server_key, conf->dir, acl);
}

static int append_all(struct bytes *text, const struct mosquitto_conf *conf)
{
    /* As root Mosquitto would become user mosquitto, who cannot bind a socket in our 0700 folder. */
    if (bytes_append_text(text, head) || (geteuid() == 0 && bytes_append_text(text, "user root\n")))
        return -1;
    if (append_unix_listener(text, conf, MOSQUITTO_DEVICE_SOCKET, "device.acl") ||
        append_unix_listener(text, conf, MOSQUITTO_SERVICE_SOCKET, NULL))
        return -1;
    if (append_tls_listener(text, conf, conf->control_port, "control.acl") ||
        append_tls_listener(text, conf, conf->observer_port, "observer.acl"))
        return -1;
    return append_unix_listener(text, conf, MOSQUITTO_HAND_SOCKET, "hand.acl");
}

static int check_path(const char *path, struct error *error)
{
    if (strpbrk(path, "\r\n"))
        return error_set(error, ERROR_OWNER_FILE, ERROR_USAGE, "a path with a line end cannot stand in Mosquitto's configuration");
    return 0;
}

static int write_file(const char *dir, const char *name, const void *data, size_t length_bytes, struct error *error)
{
    CLEANUP_FREE char *path = path_join(dir, name);
    if (!path)
        return error_set_memory(error);
    return file_write_atomic(path, data, length_bytes, CONF_MODE, error);
}

int mosquitto_conf_write(const struct mosquitto_conf *conf, struct error *error)
{
    if (check_path(conf->dir, error) || check_path(conf->control_ca, error) || check_path(conf->server_cert, error) ||
        check_path(conf->server_key, error))
        return -1;
    for (size_t i = 0; i < ARRAY_COUNT(access_lists); i++)
        if (write_file(conf->dir, access_lists[i].file, access_lists[i].text, strlen(access_lists[i].text), error))
            return -1;
    CLEANUP(bytes_done) struct bytes text;
    bytes_init(&text, CONF_MAX_BYTES);
    if (append_all(&text, conf))
        return error_set(error, ERROR_OWNER_OURS, ERROR_LIMIT, "Mosquitto's configuration exceeds %d bytes", CONF_MAX_BYTES);
    return write_file(conf->dir, MOSQUITTO_CONF_FILE, text.data, text.length_bytes, error);
}
