//! Event queue: what happens to the node, on its way to the program that runs it.

use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use crate::event::NodeEvent;

/// Events that wait for a library program to read them; older ones make room for newer ones.
pub(crate) const EVENTS_MAX: usize = 1_024;

/// Events of viewers are left out while so many events wait.
pub(crate) const VIEWER_EVENTS_MAX: usize = EVENTS_MAX / 2;

/// A queue that its readers and writers share.
pub(crate) type EventQueue = Arc<ArrayQueue<NodeEvent>>;
