//! Limits of each attempt, cut at the operator's ceilings.

use super::{Ceiling, Lowering, show_plain};
use crate::host_file::Ceilings;
use crate::node::Table;
use crate::units::show_size;
use fusebox_core::policy::Limits;

/// Takes the limits that `table` has, and cuts them.
pub(super) fn read(cx: &mut Lowering<'_>, table: &Table, limits: &mut Limits, ceilings: &Ceilings) {
    const AT: &str = "limits";
    cx.put(table, AT, "memory", Table::number, &mut limits.memory);
    cx.put(table, AT, "table-elements", Table::number, &mut limits.table_elements);
    cx.put(table, AT, "instances", Table::count, &mut limits.instances);
    cx.put(table, AT, "fuel", Table::number_or_none, &mut limits.fuel);
    cx.put(table, AT, "output", Table::number, &mut limits.output);
    cx.put(table, AT, "log", Table::number, &mut limits.log);
    cx.put(table, AT, "host-memory", Table::number, &mut limits.host_memory);
    cx.put(table, AT, "concurrency", Table::count, &mut limits.concurrency);

    cx.clamp("limits.memory", &mut limits.memory, ceilings.memory.as_ref(), show_size);
    cx.clamp(
        "limits.table-elements",
        &mut limits.table_elements,
        ceilings.table_elements.as_ref(),
        show_plain,
    );
    cx.clamp(
        "limits.instances",
        &mut limits.instances,
        ceilings.instances.as_ref(),
        show_plain,
    );
    cx.clamp("limits.output", &mut limits.output, ceilings.output.as_ref(), show_size);
    cx.clamp("limits.log", &mut limits.log, ceilings.log.as_ref(), show_size);
    cx.clamp(
        "limits.host-memory",
        &mut limits.host_memory,
        ceilings.host_memory.as_ref(),
        show_size,
    );
    cx.clamp(
        "limits.concurrency",
        &mut limits.concurrency,
        ceilings.concurrency.as_ref(),
        show_plain,
    );
    fuel(cx, &mut limits.fuel, ceilings.fuel.as_ref());
}

/// No fuel limit is more than any ceiling.
fn fuel(cx: &mut Lowering<'_>, fuel: &mut Option<u64>, ceiling: Option<&Ceiling<u64>>) {
    let Some(ceiling) = ceiling.filter(|ceiling| fuel.is_none_or(|fuel| fuel > ceiling.value)) else {
        return;
    };
    let asked = show_fuel(*fuel);
    *fuel = Some(ceiling.value);
    cx.clamped("limits.fuel", asked, &ceiling.value.to_string(), &ceiling.by);
}

/// Fuel as the manifest writes it.
pub(crate) fn show_fuel(fuel: Option<u64>) -> String {
    fuel.map_or_else(|| "none".to_owned(), show_plain)
}
