/*
 * harness/rig/rig_read.h - how the parts of a rig file are read; for the modules of this folder alone
 */
#ifndef HARNESS_RIG_RIG_READ_H
#define HARNESS_RIG_RIG_READ_H

#include "base/yaml.h"
#include "harness/rig/rig.h"

/* malloc'ed; nothing there or null: a copy of `fallback`, which may be NULL. */
int rig_read_optional(struct yaml_node map, const char *key, const char *fallback, char **ret_text, struct error *error);
/* A list of at most `max` texts into `items`, which ends with a NULL; nothing there or null: none. */
int rig_read_words(struct yaml_node list, size_t max, char **items, size_t *ret_count, struct error *error);
/* A port's name or address, malloc'ed; nothing there or null: NULL. An rfc2217:// or tcp:// address must be one. */
int rig_read_port_name(struct yaml_node map, const char *key, char **ret_name, struct error *error);
/* The text as the IMEI of a device; `node` is its place. */
int rig_set_imei(struct rig_device *device, struct yaml_node node, const char *text, struct error *error);
/* The mapping `hooks` of a device whose id and platform are known. */
int rig_read_hooks(struct rig_device *device, struct yaml_node map, struct error *error);
/* `kind`, and for a program what belongs to it. */
int rig_read_exec(struct rig_device *device, struct yaml_node map, struct error *error);
/*
 * Fill `command` with what the preset does for this hook.
 *
 * preset   "nrfutil"; `parameters` is its mapping, for the values and for the place of a complaint.
 * error    SYNTAX (file): no such preset, it cannot do this, or a parameter is missing or not one of its own.
 */
int hook_preset_expand(struct yaml_node parameters, const char *preset, enum rig_hook hook, const struct rig_device *device,
                       struct rig_command *command, struct error *error);
/* The preset of Twister's `runner` ("nrfutil", "nrfjprog", "jlink") that can reset with the device's id alone; NULL: none. */
const char *hook_preset_of_runner(const char *runner);
/*
 * The boards of a hardware map: `list` is the document. needs_identity: a connected board without registration ID, ID scope or sec tag is an error, and so is
 * a map in which none is connected.
 */
int hardware_map_read(struct rig *rig, struct yaml_node list, bool needs_identity, struct error *error);
void rig_drop_last_device(struct rig *rig);

#endif
