//! `/docs`: a page that shows the API's description and lets it be tried. Swagger UI, compiled in: nothing is downloaded,
//! and no script stands in the page itself.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect},
};
use utoipa_swagger_ui::Config;

use super::{Answer, problem::Problem};

/// Where the description is.
const DESCRIPTION: &str = "/api/v1/openapi.json";

/// `GET /docs`
pub(super) async fn page() -> Redirect {
    Redirect::permanent("/docs/index.html")
}

/// `GET /docs/{file}`
pub(super) async fn file(Path(file): Path<String>) -> Answer {
    // Its own validator would send the description to somebody else's server.
    let config = Config::from(DESCRIPTION).validator_url("none").try_it_out_enabled(true);
    let internal = |detail: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
    let found = utoipa_swagger_ui::serve(&file, Arc::new(config)).map_err(|error| internal(error.to_string()))?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at /docs/{file}"));
    let found = found.ok_or_else(missing)?;
    let body = Body::from(found.bytes.into_owned());
    let kind = [(header::CONTENT_TYPE, found.content_type)];
    if found.gzpipped {
        return Ok((kind, [(header::CONTENT_ENCODING, "gzip")], body).into_response());
    }
    Ok((kind, body).into_response())
}
