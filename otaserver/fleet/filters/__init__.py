"""The filter language: which vehicles of a tenant a dynamic group is.

    attribute.region = "EU" and not (ecu.hardware_id in ("gw-1", "gw-2") or blocked = True)
    ecu(hardware_id = "engine" and installed != "supplier/engine-2.0") and last_contact > "2026-06-01"

Fields: `vehicle_id`, `time_zone` (text); `enrolled`, `last_contact`, `confirmed` (time; None: never); `blocked`
(boolean); `attribute.<name>` (of its declared type; None: no value); `group` (a static group's name); `ecu.serial`,
`ecu.hardware_id`, `ecu.installed`, `ecu.package`, `ecu.version` (text; each says "some ECU of the vehicle …";
`installed` is a target name, None until the first manifest; `package` and `version` are those of the tenant's package
that it is, None where it is none), and `ecu(…)`, in which all of these speak of one and the same ECU.

Operators: `=`, `!=`, `in (…)`, `not in (…)` on all but booleans, which have the first two; `~` (contains), `!~`,
`startswith`, `endswith` and their `not` forms on text, without regard to case; `<`, `<=`, `>`, `>=` on numbers and
times. Then `not`, `and`, `or`, which bind in this order, and parentheses. Text and times are quoted; times are
ISO 8601, in UTC unless they say otherwise.

A negative operator is exactly the complement of its positive one: a vehicle without a value of `attribute.x` matches
`attribute.x != "a"`.
"""

from otaserver.fleet.filters.compiler import compile_filter, filters_met, groups_named

__all__ = ["compile_filter", "filters_met", "groups_named"]
