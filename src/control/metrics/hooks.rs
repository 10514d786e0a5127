//! Families about webhooks and the journal; only on nodes that have any.

use std::fmt;

use super::page::Page;
use crate::stats::{Delivery, HookDecision, Snapshot};

/// Writes what is told of them.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    if !snapshot.hooks.is_empty() {
        hooks(page, snapshot)?;
    }
    let Some(journal) = snapshot.journal else { return Ok(()) };
    page.counter("journal_lines_total", "Lines of the journal, by what became of them", |family| {
        family.each("result", Delivery::ALL.map(Delivery::label), journal)
    })
}

fn hooks(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let hooks = &snapshot.hooks;
    page.counter("hook_decisions_total", "Answers of deciding webhooks", |family| {
        for hook in hooks {
            let decisions = HookDecision::ALL.into_iter().zip(hook.figures.decisions);
            for (decision, count) in decisions {
                let labels = [("hook", hook.name.as_str()), ("decision", decision.label())];
                family.sample(&labels, count)?;
            }
        }
        Ok(())
    })?;
    let name = "hook_events_total";
    page.counter(name, "Events for webhooks, by what became of them", |family| {
        for hook in hooks {
            for (delivery, count) in Delivery::ALL.into_iter().zip(hook.figures.events) {
                let labels = [("hook", hook.name.as_str()), ("result", delivery.label())];
                family.sample(&labels, count)?;
            }
        }
        Ok(())
    })?;
    page.counter("hook_retries_total", "Events that were sent to a webhook again", |family| {
        hooks.iter().try_for_each(|h| family.sample(&[("hook", &h.name)], h.figures.retries))
    })?;
    page.gauge("hook_queue_size", "Events that wait for a webhook", |family| {
        hooks.iter().try_for_each(|h| family.sample(&[("hook", &h.name)], h.figures.waiting))
    })
}
