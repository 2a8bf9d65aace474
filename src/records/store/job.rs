//! A change that is on disk or not done at all, and who gets what came of it.

use super::StoreError;
use super::tables::Writing;

/// What comes of a change: an error of the database undoes its transaction.
pub(super) type Changed<T> = Result<Result<T, StoreError>, redb::Error>;

pub(super) trait Change: Send {
    /// Does it, within a transaction.
    fn run(&mut self, writing: &mut Writing<'_, '_>) -> Result<(), redb::Error>;

    /// Says what came of it, when its transaction has ended, well or not.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

/// A change by `work`; `done` gets what came of it, on the store's thread.
pub(super) struct Asked<T, W, D> {
    pub(super) work: W,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) done: D,
}

impl<T, W, D> Change for Asked<T, W, D>
where
    T: Send,
    W: FnMut(&mut Writing<'_, '_>) -> Changed<T> + Send,
    D: FnOnce(Result<T, StoreError>) + Send,
{
    fn run(&mut self, writing: &mut Writing<'_, '_>) -> Result<(), redb::Error> {
        self.result = Some((self.work)(writing)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let not_tried = || Err(StoreError::Io("it was not tried".to_owned()));
        let failed = failure.map(|failure| Err(failure.clone()));
        (self.done)(failed.or(self.result).unwrap_or_else(not_tried));
    }
}
