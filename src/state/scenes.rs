//! What changes of scenes answer, and the picture of the scene in preview.

use image::RgbaImage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Error, MEDIA_TIMEOUT, Streams};
use crate::{
    base::id::Id,
    pipeline::{Applied, CaptureError, offline},
};

/// What a take answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The scene that is on air, or on its way there.
    pub scene: Id,
    /// The scene in preview after it.
    pub preview: Option<Id>,
    /// The first frame that shows the scene alone; none while the stream is stopped or paused.
    pub end: Option<Applied>,
}

/// Which scene is in preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Its id, if there is one.
    pub scene: Option<Id>,
}

impl Streams {
    /// The scene in preview as it would look on air now. Rendered apart from the stream, a few at a time.
    pub async fn preview_picture(&self, id: &str) -> Result<RgbaImage, Error> {
        let (document, moment) = {
            let entry = self.entry(id)?;
            let current = entry.lock();
            (current.document(), self.moment(&current))
        };
        let scene = document.preview.as_ref().ok_or(Error::NoPreview)?;
        let _permit = self.previews.try_acquire().map_err(|_| CaptureError::Busy)?;
        let (devices, show) = (self.services.devices.clone(), document.show.showing(scene));
        let work = move || offline::picture(&devices, &show, moment, MEDIA_TIMEOUT);
        let picture = tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(picture.map_err(|error| CaptureError::Failed(error.to_string()))?)
    }
}
