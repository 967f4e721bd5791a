#include "certs/dps_state.h"

static const struct {
    const char *name;
    const char *folder;
    const char *id_member;
    const char *text;
} kinds[] = {
#define X(id, kind_name, kind_folder, kind_id_member, kind_text) [DPS_##id] = {kind_name, kind_folder, kind_id_member, kind_text},
    DPS_KINDS(X)
#undef X
};

const char *dps_kind_name(enum dps_kind kind)
{
    return kinds[kind].name;
}

const char *dps_kind_folder(enum dps_kind kind)
{
    return kinds[kind].folder;
}

const char *dps_kind_id_member(enum dps_kind kind)
{
    return kinds[kind].id_member;
}

const char *dps_kind_text(enum dps_kind kind)
{
    return kinds[kind].text;
}
