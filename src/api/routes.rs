//! Every route, in one table, with who may use it: the router, the list of routes, what the guard asks for and the
//! description of the API are made of it.
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

use super::{
    App, as_run, assets,
    auth::Role::{Admin, Operator, Viewer},
    auth::policy::Need::{self, All, Any, Open, Stream},
    events, locks, ops, parts, preview, scenes, schedule, snapshots, sound, streams, transactions,
};

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
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// In lower case.
    pub method: &'static str,
    /// As axum and OpenAPI write it.
    pub path: &'static str,
    /// Who may use it.
    pub need: Need,
    /// Its handler, `module::name`.
    pub handler: &'static str,
}

/// The pages for people, which are open: they tell nothing of any stream.
pub const PAGES: &[&str] = &[
    "/",
    "/app.js",
    "/style.css",
    "/icon.svg",
    "/inter-regular.ttf",
    "/inter-semibold.ttf",
    "/docs",
    "/docs/",
    "/docs/{*file}",
];

macro_rules! routes {
    ($($method:ident $($path:literal)|+, $need:expr => $module:ident :: $handler:ident $(, $layer:expr)?;)+) => {
        /// All routes of the API.
        pub const ROUTES: &[Route] = &[$($(Route {
            method: stringify!($method),
            path: $path,
            need: $need,
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
                crate::state::At,
                crate::media::Kind,
                super::overlay::Overlay,
                super::transactions::DryRun,
                super::as_run::Format,
                super::as_run::Moment,
            ))
        )]
        pub(super) struct Described;
    };
}

routes! {
    get "/healthz", Open => ops::healthz;
    // Load balancers have no token; the reasons are for who has one.
    get "/readyz", Open => ops::readyz;
    get "/metrics", All(Viewer) => ops::metrics;
    get "/api/v1/openapi.json", Open => ops::openapi;
    get "/api/v1/audit", All(Admin) => ops::audit;
    get "/api/v1/events", Any(Viewer) => events::open;

    get "/api/v1/streams", Any(Viewer) => streams::list;
    post "/api/v1/streams", All(Admin) => streams::create;
    get "/api/v1/streams/{id}", Stream(Viewer) => streams::get;
    patch "/api/v1/streams/{id}", Stream(Operator) => streams::patch;
    delete "/api/v1/streams/{id}", Stream(Admin) => streams::delete;
    post "/api/v1/streams/{id}/{action}", Stream(Operator) => streams::act;
    get "/api/v1/streams/{id}/status", Stream(Viewer) => streams::status;
    get "/api/v1/streams/{id}/program.png", Stream(Viewer) => streams::program_png;
    get "/api/v1/streams/{id}/program.jpg", Stream(Viewer) => preview::program_jpg;
    get "/api/v1/streams/{id}/program.mjpeg", Stream(Viewer) => preview::program_mjpeg;

    // Of the scene on air, or of any.
    get "/api/v1/streams/{id}/layers" | "/api/v1/streams/{id}/scenes/{sceneId}/layers", Stream(Viewer) => parts::list_layers;
    post "/api/v1/streams/{id}/layers" | "/api/v1/streams/{id}/scenes/{sceneId}/layers", Stream(Operator) => parts::create_layer;
    get "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}", Stream(Viewer) => parts::get_layer;
    put "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}", Stream(Operator) => parts::put_layer;
    patch "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}", Stream(Operator) => parts::patch_layer;
    delete "/api/v1/streams/{id}/layers/{layerId}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}", Stream(Operator) => parts::delete_layer;
    post "/api/v1/streams/{id}/layers/{layerId}/actions/{action}" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}/actions/{action}", Stream(Operator) => parts::act_on_layer;

    // An operator may release a lock of their own; breaking one takes an admin.
    get "/api/v1/streams/{id}/layers/{layerId}/lock" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}/lock", Stream(Viewer) => locks::get;
    put "/api/v1/streams/{id}/layers/{layerId}/lock" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}/lock", Stream(Operator) => locks::put;
    delete "/api/v1/streams/{id}/layers/{layerId}/lock" | "/api/v1/streams/{id}/scenes/{sceneId}/layers/{layerId}/lock", Stream(Operator) => locks::delete;

    get "/api/v1/streams/{id}/scenes", Stream(Viewer) => scenes::list;
    post "/api/v1/streams/{id}/scenes", Stream(Operator) => scenes::create;
    get "/api/v1/streams/{id}/scenes/{sceneId}", Stream(Viewer) => scenes::get;
    put "/api/v1/streams/{id}/scenes/{sceneId}", Stream(Operator) => scenes::put;
    patch "/api/v1/streams/{id}/scenes/{sceneId}", Stream(Operator) => scenes::patch;
    delete "/api/v1/streams/{id}/scenes/{sceneId}", Stream(Operator) => scenes::delete;
    post "/api/v1/streams/{id}/take", Stream(Operator) => scenes::take;
    get "/api/v1/streams/{id}/preview", Stream(Viewer) => scenes::get_preview;
    put "/api/v1/streams/{id}/preview", Stream(Operator) => scenes::put_preview;
    get "/api/v1/streams/{id}/preview.png", Stream(Viewer) => scenes::preview_png;

    get "/api/v1/streams/{id}/as-run", Stream(Viewer) => as_run::get;
    // Transactions ask for more where an op does; a step back may lead over a change of outputs.
    post "/api/v1/streams/{id}/transactions", Stream(Operator) => transactions::create;
    get "/api/v1/streams/{id}/schedule", Stream(Viewer) => schedule::list;
    get "/api/v1/streams/{id}/schedule/{scheduledId}", Stream(Viewer) => schedule::get;
    delete "/api/v1/streams/{id}/schedule/{scheduledId}", Stream(Operator) => schedule::cancel;
    post "/api/v1/streams/{id}/undo", Stream(Admin) => transactions::undo;
    post "/api/v1/streams/{id}/redo", Stream(Admin) => transactions::redo;
    get "/api/v1/streams/{id}/history", Stream(Viewer) => transactions::history;
    get "/api/v1/streams/{id}/diff", Stream(Viewer) => snapshots::diff;
    get "/api/v1/streams/{id}/snapshots", Stream(Viewer) => snapshots::list;
    post "/api/v1/streams/{id}/snapshots", Stream(Operator) => snapshots::create;
    get "/api/v1/streams/{id}/snapshots/{name}", Stream(Viewer) => snapshots::get;
    delete "/api/v1/streams/{id}/snapshots/{name}", Stream(Admin) => snapshots::delete;
    post "/api/v1/streams/{id}/snapshots/{name}/restore", Stream(Admin) => snapshots::restore;

    get "/api/v1/streams/{id}/audio", Stream(Viewer) => sound::get;
    patch "/api/v1/streams/{id}/audio", Stream(Operator) => sound::patch;
    post "/api/v1/streams/{id}/audio/actions/{action}", Stream(Operator) => sound::act;
    get "/api/v1/streams/{id}/audio/sources", Stream(Viewer) => sound::list;
    post "/api/v1/streams/{id}/audio/sources", Stream(Operator) => sound::create;
    get "/api/v1/streams/{id}/audio/sources/{sourceId}", Stream(Viewer) => sound::get_source;
    put "/api/v1/streams/{id}/audio/sources/{sourceId}", Stream(Operator) => sound::put_source;
    patch "/api/v1/streams/{id}/audio/sources/{sourceId}", Stream(Operator) => sound::patch_source;
    delete "/api/v1/streams/{id}/audio/sources/{sourceId}", Stream(Operator) => sound::delete_source;

    // Where a stream goes, and with which key, is no operator's choice.
    get "/api/v1/streams/{id}/outputs", Stream(Viewer) => parts::list_outputs;
    post "/api/v1/streams/{id}/outputs", Stream(Admin) => parts::create_output;
    get "/api/v1/streams/{id}/outputs/{outputId}", Stream(Viewer) => parts::get_output;
    patch "/api/v1/streams/{id}/outputs/{outputId}", Stream(Admin) => parts::patch_output;
    delete "/api/v1/streams/{id}/outputs/{outputId}", Stream(Admin) => parts::delete_output;
    post "/api/v1/streams/{id}/outputs/{outputId}/{action}", Stream(Operator) => parts::act_on_output;

    // Assets are shared by all streams. The bodies of uploads have limits of their own.
    get "/api/v1/assets", Any(Viewer) => assets::list;
    post "/api/v1/assets", Any(Operator) => assets::create, DefaultBodyLimit::disable();
    get "/api/v1/assets/{assetId}", Any(Viewer) => assets::get;
    put "/api/v1/assets/{assetId}", Any(Operator) => assets::put, DefaultBodyLimit::disable();
    patch "/api/v1/assets/{assetId}", Any(Operator) => assets::patch;
    delete "/api/v1/assets/{assetId}", All(Admin) => assets::delete;
    get "/api/v1/assets/{assetId}/content", Any(Viewer) => assets::content;
    get "/api/v1/assets/{assetId}/thumbnail", Any(Viewer) => assets::thumbnail;
    post "/api/v1/assets/collect", All(Admin) => assets::collect;
}
