//! A panic in one task ends that task only: glommio lets it take the whole executor down.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_lite::FutureExt;

/// Runs `task`; a panic inside it becomes `Err` with the panic's text.
///
/// # Errors
/// The text of the panic.
pub async fn guarded<T>(task: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(task).catch_unwind().await.map_err(|panic| panic_text(&*panic))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let broken = futures_lite::future::block_on(guarded(async { panic!("broken {}", 7) }));
        assert_eq!(broken, Err::<(), _>("broken 7".to_owned()));
        assert_eq!(futures_lite::future::block_on(guarded(async { 3 })), Ok(3));
    }
}
