/*
 * broker_sim/front_door/alert.h - the names of TLS alerts
 *
 * Source:   RFC 8446 section 6 and RFC 5246 section 7.2: AlertDescription, as written there.
 */
#ifndef BROKER_SIM_FRONT_DOOR_ALERT_H
#define BROKER_SIM_FRONT_DOOR_ALERT_H

enum { ALERT_CLOSE_NOTIFY = 0, ALERT_LEVEL_FATAL = 2 };

/* "unknown_ca"; "unassigned" for a number without a name. Never NULL. */
const char *alert_name(int number);
/* -1 for a name that none has. */
int alert_number(const char *name);

#endif
