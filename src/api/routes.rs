//! Every route, in one table: the router, the list of routes and the description of the API are made of it.
//!
//! A handler's `#[utoipa::path]` says what it takes and answers; `openapi` adds what all have in common, and a test holds
//! that table and description name the same routes. Pages for people (`/`, `/docs`) are beside the table: they are no part
//! of the API.

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    routing::{delete, get, patch, post, put},
};
use utoipa::OpenApi;

use super::{App, as_run, assets, events, ops, parts, preview, scenes, snapshots, sound, streams, transactions};

/// What the router's handlers may ask for.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    app: App,
    hub: events::Hub,
}

impl Shared {
    pub(super) fn new(app: App) -> Self {
        Self { hub: events::Hub::new(app.clone()), app }
    }
}

impl FromRef<Shared> for App {
    fn from_ref(shared: &Shared) -> Self {
        shared.app.clone()
    }
}

impl FromRef<Shared> for events::Hub {
    fn from_ref(shared: &Shared) -> Self {
        shared.hub.clone()
    }
}

/// A route as the table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// In lower case.
    pub method: &'static str,
    /// As axum and OpenAPI write it.
    pub path: &'static str,
    /// Its handler, `module::name`.
    pub handler: &'static str,
}

macro_rules! routes {
    ($($method:ident $($path:literal)|+ => $module:ident :: $handler:ident $(, $layer:expr)?;)+) => {
        /// All routes of the API.
        pub const ROUTES: &[Route] = &[$($(Route {
            method: stringify!($method),
            path: $path,
            handler: concat!(stringify!($module), "::", stringify!($handler)),
        }),+),+];

        /// The router of the table.
        pub(super) fn router() -> Router<Shared> {
            let mut router = Router::new();
            $(
                let handler = || $method($module::$handler)$(.layer($layer))?;
                $(router = router.route($path, handler());)+
            )+
            router
        }

        /// What the handlers say of themselves.
        #[derive(Debug, OpenApi)]
        #[openapi(
            paths($($module::$handler),+),
            components(schemas(
                crate::state::Document,
                crate::state::output::Output,
                crate::scene::transition::Transition,
                crate::scene::Scene,
                crate::scene::Layer,
                crate::audio::Strip,
                crate::state::Preview,
                crate::media::Kind,
                super::overlay::Overlay,
            ))
        )]
        pub(super) struct Described;
    };
}

routes! {
    get "/healthz" => ops::healthz;
    get "/readyz" => ops::readyz;
    get "/metrics" => ops::metrics;
    get "/api/v1/openapi.json" => ops::openapi;
    get "/api/v1/audit" => ops::audit;
    get "/api/v1/events" => events::open;

    get "/api/v1/streams" => streams::list;
    post "/api/v1/streams" => streams::create;
    get "/api/v1/streams/{id}" => streams::get;
    patch "/api/v1/streams/{id}" => streams::patch;
    delete "/api/v1/streams/{id}" => streams::delete;
    post "/api/v1/streams/{id}/{action}" => streams::act;
    get "/api/v1/streams/{id}/status" => streams::status;
    get "/api/v1/streams/{id}/program.png" => streams::program_png;
    get "/api/v1/streams/{id}/program.jpg" => preview::program_jpg;
    get "/api/v1/streams/{id}/program.mjpeg" => preview::program_mjpeg;

    // Of the scene on air, or of any.
    get "/api/v1/streams/{id}/layers" | "/api/v1/streams/{id}/scenes/{sceneId}/layers" => parts::list_layers;
    post "/api/v1/streams/{id}/layers" | "/api/v1/streams/{id}/scenes/{sceneId}/layers" => parts::create_layer;
    get "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}" => parts::get_layer;
    put "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}" => parts::put_layer;
    patch "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}" => parts::patch_layer;
    delete "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}" => parts::delete_layer;
    post "/api/v1/streams/{id}/layers/{layerId}/actions/{action}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}/actions/{action}" => parts::act_on_layer;

    get "/api/v1/streams/{id}/scenes" => scenes::list;
    post "/api/v1/streams/{id}/scenes" => scenes::create;
    get "/api/v1/streams/{id}/scenes/{sceneId}" => scenes::get;
    put "/api/v1/streams/{id}/scenes/{sceneId}" => scenes::put;
    patch "/api/v1/streams/{id}/scenes/{sceneId}" => scenes::patch;
    delete "/api/v1/streams/{id}/scenes/{sceneId}" => scenes::delete;
    post "/api/v1/streams/{id}/take" => scenes::take;
    get "/api/v1/streams/{id}/preview" => scenes::get_preview;
    put "/api/v1/streams/{id}/preview" => scenes::put_preview;
    get "/api/v1/streams/{id}/preview.png" => scenes::preview_png;

    get "/api/v1/streams/{id}/as-run" => as_run::get;
    post "/api/v1/streams/{id}/transactions" => transactions::create;
    post "/api/v1/streams/{id}/undo" => transactions::undo;
    post "/api/v1/streams/{id}/redo" => transactions::redo;
    get "/api/v1/streams/{id}/history" => transactions::history;
    get "/api/v1/streams/{id}/diff" => snapshots::diff;
    get "/api/v1/streams/{id}/snapshots" => snapshots::list;
    post "/api/v1/streams/{id}/snapshots" => snapshots::create;
    get "/api/v1/streams/{id}/snapshots/{name}" => snapshots::get;
    delete "/api/v1/streams/{id}/snapshots/{name}" => snapshots::delete;
    post "/api/v1/streams/{id}/snapshots/{name}/restore" => snapshots::restore;

    get "/api/v1/streams/{id}/audio" => sound::get;
    patch "/api/v1/streams/{id}/audio" => sound::patch;
    post "/api/v1/streams/{id}/audio/actions/{action}" => sound::act;
    get "/api/v1/streams/{id}/audio/sources" => sound::list;
    post "/api/v1/streams/{id}/audio/sources" => sound::create;
    get "/api/v1/streams/{id}/audio/sources/{sourceId}" => sound::get_source;
    put "/api/v1/streams/{id}/audio/sources/{sourceId}" => sound::put_source;
    patch "/api/v1/streams/{id}/audio/sources/{sourceId}" => sound::patch_source;
    delete "/api/v1/streams/{id}/audio/sources/{sourceId}" => sound::delete_source;

    get "/api/v1/streams/{id}/outputs" => parts::list_outputs;
    post "/api/v1/streams/{id}/outputs" => parts::create_output;
    get "/api/v1/streams/{id}/outputs/{outputId}" => parts::get_output;
    patch "/api/v1/streams/{id}/outputs/{outputId}" => parts::patch_output;
    delete "/api/v1/streams/{id}/outputs/{outputId}" => parts::delete_output;
    post "/api/v1/streams/{id}/outputs/{outputId}/{action}" => parts::act_on_output;

    // The bodies of uploads have limits of their own.
    get "/api/v1/assets" => assets::list;
    post "/api/v1/assets" => assets::create, DefaultBodyLimit::disable();
    get "/api/v1/assets/{assetId}" => assets::get;
    put "/api/v1/assets/{assetId}" => assets::put, DefaultBodyLimit::disable();
    patch "/api/v1/assets/{assetId}" => assets::patch;
    delete "/api/v1/assets/{assetId}" => assets::delete;
    get "/api/v1/assets/{assetId}/content" => assets::content;
    get "/api/v1/assets/{assetId}/thumbnail" => assets::thumbnail;
    post "/api/v1/assets/collect" => assets::collect;
}
