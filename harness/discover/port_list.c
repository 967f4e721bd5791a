#include "harness/discover/port_list.h"

#include "base/cleanup.h"
#include "base/files.h"
#include "base/ready.h"

#include <ctype.h>
#include <errno.h>
#include <libserialport.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VIRTUAL_DK "dpsbench-vdk"
/* A tty stands at most so deep below its USB device: interface, a converter's own tty, and hubs do not count. */
enum { CLIMB_MAX = 6, NAME_BYTES = 256 };

static const char *root(void)
{
    const char *root = getenv("DPSBENCH_PORTS_ROOT");
    return root && *root ? root : "";
}

char *port_root_path(const char *path)
{
    char *full = NULL;
    return asprintf(&full, "%s%s", root(), path) < 0 ? NULL : full;
}

DEFINE_CLEANUP(char **, names_free)

/* ---- the list ---- */

static struct port_info *add(struct port_list *list, struct error *error)
{
    if (list->count == PORTS_MAX) {
        error_set(error, ERROR_OWNER_FILE, ERROR_LIMIT, "more than %d ports", PORTS_MAX);
        return NULL;
    }
    struct port_info *grown = realloc(list->items, (list->count + 1) * sizeof *grown);
    if (!grown) {
        error_set_memory(error);
        return NULL;
    }
    list->items = grown;
    grown[list->count] = (struct port_info){.interface_number = PORT_UNKNOWN, .vcom = PORT_UNKNOWN};
    return &grown[list->count++];
}

void port_list_done(struct port_list *list)
{
    if (!list)
        return;
    free(list->items);
    *list = (struct port_list){0};
}

static bool is_same_device(const char *path, const struct stat *wanted)
{
    struct stat status;
    return !stat(path, &status) && S_ISCHR(status.st_mode) && status.st_rdev == wanted->st_rdev;
}

const struct port_info *port_list_find(const struct port_list *list, const char *path)
{
    struct stat wanted;
    if (stat(path, &wanted) || !S_ISCHR(wanted.st_mode))
        return NULL;
    for (size_t i = 0; i < list->count; i++)
        if (is_same_device(list->items[i].path, &wanted))
            return &list->items[i];
    return NULL;
}

bool port_is_same_board(const struct port_info *a, const struct port_info *b)
{
    if (!a->is_usb || !b->is_usb)
        return a == b;
    return strcmp(a->location, b->location) == 0;
}

const char *port_name(const struct port_info *port)
{
    return *port->by_id ? port->by_id : port->path;
}

/* ---- /sys ---- */

static bool read_attribute(const char *directory, const char *name, char *text, size_t size)
{
    CLEANUP_FREE char *path = path_join(directory, name);
    CLEANUP_FILE FILE *file = path ? fopen(path, "re") : NULL;
    if (!file || !fgets(text, (int)size, file))
        return false;
    text[strcspn(text, "\n")] = 0;
    for (char *at = text; *at; at++)
        if (!isascii((unsigned char)*at) || !isprint((unsigned char)*at))
            *at = '?';
    return true;
}

static unsigned int read_hex(const char *directory, const char *name)
{
    char text[16];
    return read_attribute(directory, name, text, sizeof text) ? (unsigned int)strtoul(text, NULL, 16) & 0xffff : 0;
}

static void read_device(const char *directory, struct port_info *port)
{
    port->is_usb = true;
    port->vendor_id = read_hex(directory, "idVendor");
    port->product_id = read_hex(directory, "idProduct");
    read_attribute(directory, "serial", port->usb_serial, sizeof port->usb_serial);
    read_attribute(directory, "manufacturer", port->manufacturer, sizeof port->manufacturer);
    read_attribute(directory, "product", port->product, sizeof port->product);
    snprintf(port->location, sizeof port->location, "%s", strrchr(directory, '/') + 1);
    port->kind = board_kind_of(port->usb_serial);
}

/* `directory`: where the tty's `device` leads. The interface and the device are above it. */
static void climb(char *directory, struct port_info *port)
{
    for (int i = 0; i < CLIMB_MAX && *directory; i++) {
        char text[16];
        if (read_attribute(directory, "idVendor", text, sizeof text)) {
            read_device(directory, port);
            return;
        }
        if (read_attribute(directory, "bInterfaceNumber", text, sizeof text))
            port->interface_number = (int)strtol(text, NULL, 16) & 0xff;
        char *slash = strrchr(directory, '/');
        *(slash ? slash : directory) = 0;
    }
}

static int read_tty(const char *name, struct port_list *list, struct error *error)
{
    CLEANUP_FREE char *link = NULL, *directory = NULL;
    struct port_info found = {.interface_number = PORT_UNKNOWN, .vcom = PORT_UNKNOWN};
    if (asprintf(&link, "%s/sys/class/tty/%s/device", root(), name) < 0)
        return error_set_memory(error);
    directory = realpath(link, NULL);
    if (!directory)
        return 0;
    climb(directory, &found);
    snprintf(found.path, sizeof found.path, "%s/dev/%s", root(), name);
    struct port_info *port = found.is_usb && path_exists(found.path) ? add(list, error) : NULL;
    if (port)
        *port = found;
    return found.is_usb && !port && list->count == PORTS_MAX ? -1 : 0;
}

static int read_usb_ports(struct port_list *list, struct error *error)
{
    CLEANUP_FREE char *directory = port_root_path("/sys/class/tty");
    CLEANUP(names_free_cleanup) char **names = NULL;
    if (!directory)
        return error_set_memory(error);
    if (dir_list(directory, "", &names, error))
        return -1;
    for (char **name = names; name && *name; name++)
        if (read_tty(*name, list, error))
            return -1;
    return 0;
}

/* UARTs of the machine itself: libserialport knows which of them have hardware behind them. */
static int read_other_ports(struct port_list *list, struct error *error)
{
    struct sp_port **ports = NULL;
    int result = 0;
    if (*root() || sp_list_ports(&ports) != SP_OK)
        return 0;
    for (struct sp_port **at = ports; *at && !result; at++) {
        const char *name = sp_get_port_name(*at);
        struct port_info *port = NULL;
        if (!name || sp_get_port_transport(*at) == SP_TRANSPORT_USB || port_list_find(list, name))
            continue;
        port = add(list, error);
        if (port)
            snprintf(port->path, sizeof port->path, "%s", name);
        result = port ? 0 : -1;
    }
    sp_free_port_list(ports);
    return result;
}

/* ---- /dev/serial/by-id ---- */

static void set_by_id(struct port_list *list, const char *directory, const char *name)
{
    CLEANUP_FREE char *path = path_join(directory, name);
    const struct port_info *port = path ? port_list_find(list, path) : NULL;
    if (port)
        snprintf(list->items[port - list->items].by_id, PORT_PATH_BYTES, "%s", path);
}

static int read_by_id(struct port_list *list, struct error *error)
{
    CLEANUP_FREE char *directory = port_root_path("/dev/serial/by-id");
    CLEANUP(names_free_cleanup) char **names = NULL;
    if (!directory)
        return error_set_memory(error);
    if (dir_list(directory, "", &names, error))
        return -1;
    for (char **name = names; name && *name; name++)
        set_by_id(list, directory, *name);
    return 0;
}

/* ---- order ---- */

static int compare(const void *a, const void *b)
{
    const struct port_info *left = a, *right = b;
    if (left->is_usb != right->is_usb)
        return left->is_usb ? -1 : 1;
    int order = left->is_usb ? strcmp(left->location, right->location) : 0;
    if (order == 0 && left->is_usb)
        order = left->interface_number - right->interface_number;
    return order ? order : strverscmp(left->path, right->path);
}

static void number_vcoms(struct port_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct port_info *port = &list->items[i];
        if (port->is_usb)
            port->vcom = i > 0 && port_is_same_board(port, port - 1) ? port[-1].vcom + 1 : 0;
    }
}

int port_list_read(struct port_list *ret_list, struct error *error)
{
    CLEANUP(port_list_done) struct port_list list = {0};
    if (read_usb_ports(&list, error) || read_other_ports(&list, error) || read_by_id(&list, error))
        return -1;
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, compare);
    number_vcoms(&list);
    *ret_list = list;
    list = (struct port_list){0};
    return 0;
}

/* ---- by hand ---- */

static int add_virtual(struct port_list *list, const char *state, struct error *error)
{
    CLEANUP_JSON cJSON *ready = NULL;
    if (ready_read(state, VIRTUAL_DK, &ready, error))
        return -1;
    const char *pty = json_string(ready, "pty", "");
    const struct port_info *known = port_list_find(list, pty);
    struct port_info *port = known ? &list->items[known - list->items] : add(list, error);
    if (!port)
        return -1;
    snprintf(port->state, sizeof port->state, "%s", state);
    if (known)
        return 0;
    snprintf(port->path, sizeof port->path, "%s", pty);
    snprintf(port->product, sizeof port->product, "virtual DK");
    return 0;
}

/* What is in a folder and no state folder of a virtual DK that runs is nobody's matter. */
static int add_folders_in(struct port_list *list, const char *path, size_t *count, struct error *error)
{
    CLEANUP(names_free_cleanup) char **names = NULL;
    if (dir_list(path, "", &names, error))
        return -1;
    for (char **name = names; name && *name; name++) {
        CLEANUP_FREE char *state = path_join(path, *name);
        struct error reason = ERROR_INIT;
        if (state && add_virtual(list, state, &reason) == 0)
            (*count)++;
        else if (reason.code == ERROR_LIMIT)
            return error_set(error, reason.owner, reason.code, "%s", reason.text);
    }
    return 0;
}

/* A folder with a ready record, or with folders that have one. */
static int add_folder(struct port_list *list, const char *path, struct error *error)
{
    struct error reason = ERROR_INIT;
    size_t count = 0;
    if (add_virtual(list, path, &reason) == 0)
        return 0;
    if (reason.code != ERROR_NOT_FOUND)
        return error_set(error, reason.owner, reason.code, "%s", reason.text);
    if (add_folders_in(list, path, &count, error))
        return -1;
    return count ? 0 : error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "no virtual DK runs on '%s': %s", path, reason.text);
}

int port_list_add(struct port_list *list, const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status))
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "'%s': %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return add_folder(list, path, error);
    if (!S_ISCHR(status.st_mode))
        return error_set(error, ERROR_OWNER_FILE, ERROR_NOT_FOUND, "'%s' is neither a serial port nor a folder", path);
    if (port_list_find(list, path))
        return 0;
    struct port_info *port = add(list, error);
    if (!port)
        return -1;
    snprintf(port->path, sizeof port->path, "%s", path);
    return 0;
}
