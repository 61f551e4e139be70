//! The document of an output: where a rendition of the stream goes, to a server or into files.
//!
//! A stream key never leaves: it is read from `key` or from the end of the URL, kept apart, and not written back; a merge
//! patch that does not name it keeps it. The same holds for the key of a backup address and for a password. Where one is
//! a reference (`secrets.rs`), that is what is kept: what it leads to is asked for whenever a server is to be told it.
//! Which kind of output it is, `type` says; those into files are in `recording.rs`.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{PartialSchema, ToSchema};

use super::{
    document::default_true,
    recording::{self, Recording},
    rendition,
    secrets::{self, NoSecret, Secrets},
};
use crate::{
    base::{
        id::Id,
        schema::{self, type_schema_name},
        secret::Secret,
    },
    output::{Limits, Recordings, Spec, Target, Use},
    rtmp::{self, Endpoint, auth::Credentials},
    scene::check::{self, Problem, Problems},
};

/// Most outputs of a stream.
pub const OUTPUTS_MAX: usize = 64;
/// What `type` may be.
const RTMP: &str = "rtmp";
const RECORDING: &str = "recording";

/// One destination.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Output {
    /// A server. It is one where a document has no `type`.
    Rtmp(Rtmp),
    /// Files on the daemon's machine.
    Recording(Recording),
}

/// A server that is published to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rtmp {
    /// Unique in its stream.
    pub id: Id,
    /// `rtmp://host[:port]/app` or `rtmps://…`, without the key.
    pub url: String,
    /// The stream key, or `env:NAME` or `file:PATH` for the variable or the file that holds it.
    #[serde(skip)]
    pub key: Secret,
    /// An address that stands in for the first, without its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_url: Option<String>,
    /// The key there, like the first; none: the very same.
    #[serde(skip)]
    pub backup_key: Option<Secret>,
    /// Who publishes, where the server asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password; like the key it may be a reference, and is never shown.
    #[serde(skip)]
    pub password: Option<Secret>,
    /// Which rendition it gets.
    pub rendition: Id,
    /// Whether the bitrate follows it where it follows primary outputs alone.
    #[serde(rename = "primary")]
    pub is_primary: bool,
    /// Whether it is published to.
    pub enabled: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RtmpDocument {
    id: Id,
    url: String,
    key: Option<Secret>,
    backup_url: Option<String>,
    backup_key: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    #[serde(default = "rendition::main_id")]
    rendition: Id,
    #[serde(default)]
    primary: bool,
    #[serde(default = "default_true")]
    enabled: bool,
}

impl PartialSchema for Output {
    fn schema() -> schema::Written {
        let types = [RTMP, RECORDING].map(|name| (type_schema_name(name, "Output"), name));
        schema::one_of("Where a rendition goes: to a server, unless `type` says otherwise, or into files.", &types)
    }
}

impl ToSchema for Output {
    fn name() -> Cow<'static, str> {
        "Output".into()
    }

    fn schemas(schemas: &mut schema::Named) {
        let mut rtmp = schema::tagged(RTMP, RtmpDocument::schema());
        rtmp.required.retain(|field| field != "type");
        schema::push_type::<RtmpDocument>(schemas, type_schema_name(RTMP, "Output"), rtmp);
        let recording = schema::tagged(RECORDING, recording::Raw::schema());
        schema::push_type::<recording::Raw>(schemas, type_schema_name(RECORDING, "Output"), recording);
    }
}

impl Output {
    /// Reads and checks an output's document.
    pub fn read(mut value: Value) -> Result<Self, Problems> {
        let type_name = value.as_object_mut().and_then(|fields| fields.remove("type"));
        match type_name.as_ref().map_or(Some(RTMP), Value::as_str) {
            Some(RTMP) => Rtmp::read(value).map(Self::Rtmp),
            Some(RECORDING) => Recording::read(value).map(Self::Recording),
            _ => {
                let message = format!("this is no type of output: use {RTMP} or {RECORDING}");
                Err(Problem { pointer: "/type".into(), message }.into())
            }
        }
    }

    /// An output for a bare URL with its key inside, as the command line has it.
    pub fn from_url(id: Id, url: &str) -> Result<Self, Problems> {
        Self::read(serde_json::json!({ "id": id, "url": url }))
    }

    /// The document with this merge patch applied; a patch that does not name a secret keeps it.
    pub fn patched(&self, patch: &Value) -> Result<Self, Problems> {
        let (type_name, mut document) = match self {
            Self::Rtmp(rtmp) => (RTMP, rtmp.to_be_patched(patch)?),
            Self::Recording(recording) => {
                let as_value =
                    |error: serde_json::Error| Problem { pointer: String::new(), message: error.to_string() };
                (RECORDING, serde_json::to_value(recording).map_err(as_value)?)
            }
        };
        document["type"] = type_name.into();
        json_patch::merge(&mut document, patch);
        if document["type"] != type_name {
            let message = format!("the type of an output does not change: it is {type_name}; add another output");
            return Err(Problem { pointer: "/type".into(), message }.into());
        }
        Self::read(document)
    }

    /// The document with all that is never shown, from which [`Self::read`] makes the same output. For stores alone.
    pub(super) fn with_secrets(&self) -> Value {
        match self {
            Self::Rtmp(rtmp) => rtmp.with_secrets(),
            // It has none, and what is made of strings and finite numbers is always written.
            Self::Recording(_) => serde_json::to_value(self).unwrap_or_default(),
        }
    }

    /// Unique in its stream.
    pub fn id(&self) -> &Id {
        match self {
            Self::Rtmp(rtmp) => &rtmp.id,
            Self::Recording(recording) => &recording.id,
        }
    }

    /// Which rendition it gets.
    pub fn rendition(&self) -> &Id {
        match self {
            Self::Rtmp(rtmp) => &rtmp.rendition,
            Self::Recording(recording) => &recording.rendition,
        }
    }

    /// Whether it runs while the stream does.
    pub fn is_enabled(&self) -> bool {
        match self {
            Self::Rtmp(rtmp) => rtmp.enabled,
            Self::Recording(recording) => recording.enabled,
        }
    }

    /// What the output floor needs for an output of `stream`, which looks up references itself. Files are put into
    /// `recordings`, where that is configured.
    pub fn target(
        &self,
        stream: &Id,
        secrets: &Secrets,
        recordings: Option<&Recordings>,
    ) -> Result<Target, InvalidOutput> {
        match self {
            Self::Rtmp(rtmp) => Ok(rtmp.addressed()?.with_keyring(Arc::new(secrets.clone())).into()),
            Self::Recording(recording) => {
                let recordings = recordings.ok_or(InvalidOutput::NoRecordings)?;
                Ok(Target::Record(recording.spec(stream), recordings.clone()))
            }
        }
    }

    /// Whether all that its references lead to is there now.
    pub fn check_secrets(&self, secrets: &Secrets) -> Result<(), InvalidOutput> {
        match self {
            Self::Rtmp(rtmp) => rtmp.each_secret(|what, secret| secrets.resolve(what, secret).map(drop)),
            Self::Recording(_) => Ok(()),
        }
    }
}

impl Rtmp {
    fn read(value: Value) -> Result<Self, Problems> {
        let raw: RtmpDocument = check::read(value)?;
        let RtmpDocument { id, url, key, backup_url, backup_key, username, password, rendition, primary, enabled } =
            raw;
        let (url, key) = match key {
            Some(key) => (url, key),
            None => key_inside(&url).map_err(InvalidOutput::at("url", "key"))?,
        };
        let (backup_url, backup_key) = read_backup(backup_url, backup_key)?;
        let output =
            Self { id, url, key, backup_url, backup_key, username, password, rendition, is_primary: primary, enabled };
        output.each_secret(secrets::check)?;
        output.addressed()?;
        Ok(output)
    }

    /// The whole document, secrets included, for a merge patch.
    ///
    /// A new address alone that could end with a key is refused: taken for a part of the app, the key would be shown.
    fn to_be_patched(&self, patch: &Value) -> Result<Value, Problems> {
        let is_kept = |key: &str| patch.get(key).is_none();
        for (field, key, is_kept, url) in [
            ("url", "key", is_kept("key"), Some(&self.url)),
            ("backupUrl", "backupKey", is_kept("backupKey") && self.backup_key.is_some(), self.backup_url.as_ref()),
        ] {
            let new_url = patch.get(field).and_then(Value::as_str).filter(|new| url.is_none_or(|url| new != url));
            if is_kept && new_url.is_some_and(|url| Endpoint::with_key_inside(url).is_ok()) {
                let message =
                    format!("this address could end with a stream key: give `{key}` too, and the address without it");
                return Err(Problem { pointer: format!("/{field}"), message }.into());
            }
        }
        let mut document = self.with_secrets();
        // An address that goes takes its key along.
        if patch.get("backupUrl").is_some_and(Value::is_null) {
            document["backupKey"] = Value::Null;
        }
        Ok(document)
    }

    /// The document with all that is never shown, from which [`Output::read`] makes the same output.
    fn with_secrets(&self) -> Value {
        serde_json::json!({
            "id": self.id, "url": self.url, "key": self.key.expose(), "enabled": self.enabled,
            "backupUrl": self.backup_url, "backupKey": self.backup_key.as_ref().map(Secret::expose),
            "rendition": self.rendition, "primary": self.is_primary,
            "username": self.username, "password": self.password.as_ref().map(Secret::expose),
        })
    }

    fn each_secret(&self, check: impl Fn(Use, &Secret) -> Result<(), NoSecret>) -> Result<(), InvalidOutput> {
        let (key, backup_key, password) = (Some(&self.key), self.backup_key.as_ref(), self.password.as_ref());
        for (field, what, secret) in
            [("key", Use::Key, key), ("backupKey", Use::Key, backup_key), ("password", Use::Password, password)]
        {
            let checked = secret.map_or(Ok(()), |secret| check(what, secret));
            checked.map_err(|source| InvalidOutput::Secret { field, source })?;
        }
        Ok(())
    }

    /// What the output floor needs, but for who opens secrets.
    fn addressed(&self) -> Result<Spec, InvalidOutput> {
        let destination = Endpoint::with_key_apart(&self.url, &self.key).map_err(InvalidOutput::at("url", "key"))?;
        let mut spec = Spec::new(self.id.clone(), destination, Limits::default()).primary(self.is_primary);
        if let Some(url) = &self.backup_url {
            let key = self.backup_key.as_ref().unwrap_or(&self.key);
            let backup = Endpoint::with_key_apart(url, key).map_err(InvalidOutput::at("backupUrl", "backupKey"))?;
            spec = spec.with_backup(backup);
        }
        match (&self.username, &self.password) {
            (Some(user), Some(password)) => Ok(spec.with_credentials(Credentials::new(user, password.clone())?)),
            (None, None) => Ok(spec),
            (Some(_), None) => Err(InvalidOutput::Incomplete { given: "username", missing: "password" }),
            (None, Some(_)) => Err(InvalidOutput::Incomplete { given: "password", missing: "username" }),
        }
    }
}

/// An address and the key at its end.
fn key_inside(url: &str) -> Result<(String, Secret), rtmp::url::Error> {
    Endpoint::with_key_inside(url).map(|inside| (inside.tc_url, inside.stream_key))
}

/// A backup address and the key apart from it; one that is given without a key and has none at its end is for the first
/// address's key.
fn read_backup(url: Option<String>, key: Option<Secret>) -> Result<(Option<String>, Option<Secret>), InvalidOutput> {
    match (url, key) {
        (Some(url), None) => match key_inside(&url) {
            Ok((url, key)) => Ok((Some(url), Some(key))),
            Err(rtmp::url::Error::NoKey) => Ok((Some(url), None)),
            Err(error) => Err(InvalidOutput::at("backupUrl", "backupKey")(error)),
        },
        (None, Some(_)) => Err(InvalidOutput::Incomplete { given: "backupKey", missing: "backupUrl" }),
        given => Ok(given),
    }
}

/// Why an output cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutput {
    /// An address or its key is wrong.
    #[error("{source}")]
    Address {
        /// Which field it is.
        field: &'static str,
        /// What is wrong.
        source: rtmp::url::Error,
    },
    /// The user name is none.
    #[error(transparent)]
    User(#[from] rtmp::auth::InvalidUser),
    /// Half of what belongs together.
    #[error("{given} without {missing}: they go together")]
    Incomplete {
        /// What there is.
        given: &'static str,
        /// What there is not.
        missing: &'static str,
    },
    /// A reference leads to no secret.
    #[error("{source}")]
    Secret {
        /// Which secret.
        field: &'static str,
        /// Why.
        source: NoSecret,
    },
    /// There is no place for files.
    #[error("this daemon has no place for recordings: set recordings_dir in its configuration")]
    NoRecordings,
}

impl InvalidOutput {
    /// What is wrong with an address in the field `url` or with its key in the field `key`.
    fn at(url: &'static str, key: &'static str) -> impl Fn(rtmp::url::Error) -> Self {
        move |source| Self::Address { field: if source.is_about_key() { key } else { url }, source }
    }

    fn field(&self) -> &'static str {
        match self {
            Self::User(_) => "username",
            Self::NoRecordings => "type",
            Self::Address { field, .. } | Self::Incomplete { given: field, .. } | Self::Secret { field, .. } => field,
        }
    }
}

impl From<InvalidOutput> for Problems {
    fn from(error: InvalidOutput) -> Self {
        Problem { pointer: format!("/{}", error.field()), message: error.to_string() }.into()
    }
}

/// Reads and checks all outputs of a stream.
pub(super) fn read_all(values: Vec<Value>) -> Result<Vec<Output>, Problems> {
    if values.len() > OUTPUTS_MAX {
        let message = format!("{} outputs are too many: {OUTPUTS_MAX} at most", values.len());
        return Err(Problem { pointer: String::new(), message }.into());
    }
    let mut outputs: Vec<Output> = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        let output = Output::read(value).map_err(|problems| problems.under(&format!("/{i}")))?;
        if outputs.iter().any(|other| other.id() == output.id()) {
            let message = format!("`{}` is another output's id already", output.id());
            return Err(Problem { pointer: format!("/{i}/id"), message }.into());
        }
        outputs.push(output);
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rtmp(value: Value) -> Rtmp {
        match Output::read(value).unwrap() {
            Output::Rtmp(rtmp) => rtmp,
            recording => panic!("{recording:?}"),
        }
    }

    fn patched(rtmp: &Rtmp, patch: &Value) -> Result<Rtmp, Problems> {
        match Output::Rtmp(rtmp.clone()).patched(patch)? {
            Output::Rtmp(rtmp) => Ok(rtmp),
            recording => panic!("{recording:?}"),
        }
    }

    #[test]
    fn an_output_without_a_type_is_a_server() {
        let bare = Output::read(json!({ "id": "o", "url": "rtmp://host/app/key" })).unwrap();
        let typed = Output::read(json!({ "id": "o", "type": "rtmp", "url": "rtmp://host/app/key" })).unwrap();
        assert_eq!(bare, typed);
        let written = serde_json::to_value(&bare).unwrap();
        assert_eq!(written["type"], "rtmp");
        assert_eq!(bare.patched(&written).unwrap(), bare, "what was read may be written back");
        for wrong in [json!("file"), json!(1), json!(null)] {
            let error = Output::read(json!({ "id": "o", "type": wrong })).unwrap_err();
            assert_eq!(error.0[0].pointer, "/type");
            assert!(error.to_string().contains("use rtmp or recording"), "{error}");
        }
        for wrong in [json!("recording"), json!(null)] {
            let error = bare.patched(&json!({ "type": wrong })).unwrap_err();
            assert_eq!(error.0[0].pointer, "/type");
        }
    }

    #[test]
    fn a_key_never_leaves() {
        for output in [
            json!({ "id": "o", "url": "rtmp://host/app/live_secret" }),
            json!({ "id": "o", "url": "rtmp://host/app", "key": "live_secret" }),
        ] {
            let output = rtmp(output);
            assert_eq!(output.key.expose(), "live_secret");
            assert_eq!(output.url, "rtmp://host/app");
            let shown = format!("{} {output:?}", serde_json::to_string(&output).unwrap());
            assert!(!shown.contains("live_secret"), "{shown}");
        }
        let error = Output::read(json!({ "id": "o", "url": "ftp://host/app/live_secret" })).unwrap_err();
        assert!(!error.to_string().contains("live_secret"), "{error}");
    }

    #[test]
    fn a_patch_keeps_the_key_unless_it_names_it() {
        let output = rtmp(json!({ "id": "o", "url": "rtmp://host/app/one" }));
        let moved = patched(&output, &json!({ "url": "rtmp://other/app" })).unwrap();
        assert_eq!((moved.url.as_str(), moved.key.expose()), ("rtmp://other/app", "one"));
        assert_eq!(patched(&output, &json!({ "key": "two" })).unwrap().key.expose(), "two");
        let ambiguous = patched(&output, &json!({ "url": "rtmp://other/app/two" })).unwrap_err();
        assert_eq!(ambiguous.0[0].pointer, "/url");
        assert!(!ambiguous.to_string().contains("two"), "{ambiguous}");
        let apart = patched(&output, &json!({ "url": "rtmp://other/app/instance", "key": "two" })).unwrap();
        assert_eq!((apart.url.as_str(), apart.key.expose()), ("rtmp://other/app/instance", "two"));
        let written = serde_json::to_value(&output).unwrap();
        assert_eq!(patched(&output, &written).unwrap(), output, "what was read may be written back");
    }

    #[test]
    fn a_backup_has_its_own_key_or_the_first_ones() {
        let backup = |url: &str, key: Option<&str>| {
            let document = json!({ "id": "o", "url": "rtmp://host/app/one", "backupUrl": url, "backupKey": key });
            let output = rtmp(document);
            (output.backup_url.unwrap(), output.backup_key.map(|key| key.expose().to_owned()))
        };
        let (one, two) = ("rtmp://b/app".to_owned(), Some("two".to_owned()));
        assert_eq!(backup("rtmp://b/app/two", None), (one.clone(), two.clone()));
        assert_eq!(backup("rtmp://b/app", Some("two")), (one.clone(), two.clone()));
        assert_eq!(backup("rtmp://b/app/two", Some("two")), ("rtmp://b/app/two".into(), two));
        assert_eq!(backup("rtmp://b/app", None), (one, None));
        assert_eq!(backup("rtmp://b/live2?backup=1", None), ("rtmp://b/live2?backup=1".into(), None));
        let refused = |fields: Value| {
            let mut document = json!({ "id": "o", "url": "rtmp://host/app/one" });
            json_patch::merge(&mut document, &fields);
            Output::read(document).unwrap_err().0.remove(0)
        };
        assert_eq!(refused(json!({ "backupKey": "two" })).pointer, "/backupKey");
        assert_eq!(refused(json!({ "backupUrl": "http://b/app" })).pointer, "/backupUrl");
        assert_eq!(refused(json!({ "backupUrl": "rtmp://b" })).pointer, "/backupUrl");
        assert_eq!(refused(json!({ "backupUrl": "rtmp://b/app", "backupKey": "t o" })).pointer, "/backupKey");
        assert_eq!(refused(json!({ "backupUrl": "rtmp://b/app", "backupKey": "env:PATH" })).pointer, "/backupKey");
    }

    #[test]
    fn a_patch_keeps_the_backups_key_unless_it_names_it_or_takes_the_address_away() {
        let document = json!({ "id": "o", "url": "rtmp://host/app/one", "backupUrl": "rtmp://b/app/two" });
        let output = rtmp(document);
        let shown = serde_json::to_string(&output).unwrap();
        assert!(shown.contains("rtmp://b/app") && !shown.contains("two"), "{shown}");
        assert_eq!(patched(&output, &serde_json::from_str(&shown).unwrap()).unwrap(), output);
        let key = |patch: Value| {
            let patched = patched(&output, &patch).unwrap();
            assert_eq!(patched.key.expose(), "one");
            (patched.backup_url, patched.backup_key.map(|key| key.expose().to_owned()))
        };
        assert_eq!(key(json!({ "enabled": false })), (Some("rtmp://b/app".into()), Some("two".into())));
        assert_eq!(key(json!({ "backupUrl": "rtmp://c/app" })), (Some("rtmp://c/app".into()), Some("two".into())));
        assert_eq!(key(json!({ "backupKey": "three" })).1, Some("three".into()));
        assert_eq!(key(json!({ "backupUrl": null })), (None, None));
        let ambiguous = patched(&output, &json!({ "backupUrl": "rtmp://c/app/three" })).unwrap_err();
        assert_eq!(ambiguous.0[0].pointer, "/backupUrl");
        assert!(!ambiguous.to_string().contains("three"), "{ambiguous}");
        let bare = patched(&output, &json!({ "backupUrl": null })).unwrap();
        let again = patched(&bare, &json!({ "backupUrl": "rtmp://c/app/three" })).unwrap();
        assert_eq!(again.backup_key.unwrap().expose(), "three", "where there was none, it is read as at first");
    }

    #[test]
    fn references_are_kept_as_they_are_and_looked_up_later() {
        let output = |key: &str| Output::read(json!({ "id": "o", "url": "rtmp://host/app", "key": key }));
        assert!(output("env:PATH").unwrap_err().to_string().contains("ends with KEY"));
        assert_eq!(output("file:../token").unwrap_err().0[0].pointer, "/key");
        for reference in ["env:NO_SUCH_STREAM_KEY", "file:no-such-file"] {
            let output = output(reference).unwrap();
            let Output::Rtmp(Rtmp { key, .. }) = &output else { panic!("{output:?}") };
            assert_eq!(key.expose(), reference);
            let missing = Problems::from(output.check_secrets(&Secrets::default()).unwrap_err());
            assert_eq!(missing.0[0].pointer, "/key");
            assert!(missing.to_string().contains(reference), "{missing}");
        }
        assert_eq!(output("live").unwrap().check_secrets(&Secrets::default()), Ok(()));
    }
}
