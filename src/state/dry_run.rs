//! Dry runs: the picture that a transaction would give, rendered apart from the stream, which is not touched.

use std::time::Duration;

use image::RgbaImage;

use super::{
    Error, MEDIA_TIMEOUT, Streams, Transaction,
    draft::apply,
    transaction::{expect_free, first_locked, in_op},
};
use crate::{
    pipeline::{CaptureError, offline},
    scene::Moment,
};

impl Streams {
    /// The picture that this transaction would give, made now and looked at so long after it. What would refuse it refuses
    /// the picture. A few are rendered at the same time, previews included; more are refused.
    pub async fn dry_run(&self, id: &str, transaction: &Transaction, after: Duration) -> Result<RgbaImage, Error> {
        let Transaction { ops, by, .. } = transaction;
        let entry = self.entry(id)?;
        by.expect(entry.lock().revision)?;
        let (before, time) = self.now(&entry);
        let of_op = |(index, error)| in_op(ops, index, error);
        let draft = apply(&before, ops, time).map_err(of_op)?;
        expect_free(&entry, by, &before, &draft)
            .map_err(|error| of_op((first_locked(&entry, by, ops, &before, time), error)))?;
        let _permit = self.previews.try_acquire().map_err(|_| CaptureError::Busy)?;
        self.admit(&draft, time.moment).await.map_err(of_op)?;
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let moment = Moment {
            elapsed: time.moment.elapsed.saturating_add(after),
            utc_ms: time.moment.utc_ms.saturating_add(after_ms),
        };
        let (devices, show) = (self.services.devices.clone(), draft.document.show);
        let work = move || offline::picture(&devices, &show, moment, MEDIA_TIMEOUT);
        let picture = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(picture.map_err(|error| CaptureError::Failed(error.to_string()))?)
    }
}
