//! Work of handlers that waits for the disk, on a thread that may.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::problem::Problem;

/// What `work` gives that is done with a folder.
pub(super) async fn on_disk<F, T, E>(
    folder: &Arc<F>,
    work: impl FnOnce(&F) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem>
where
    F: Send + Sync + 'static,
    T: Send + 'static,
    E: Into<Problem> + Send + 'static,
{
    let folder = Arc::clone(folder);
    let done = spawn_blocking(move || work(&folder)).await;
    done.map_err(|_| Problem::unavailable("the node could not finish it"))?.map_err(Into::into)
}
