//! The document of an output: where a rendition of the stream goes.
//!
//! A stream key never leaves: it is read from `key` or from the end of the URL, kept apart, and not written back; a merge
//! patch that does not name it keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{document::default_true, rendition};
use crate::{
    base::{id::Id, secret::Secret},
    output::{Limits, Spec},
    rtmp::{self, Endpoint, auth::Credentials},
    scene::check::{self, Problem, Problems},
};

/// Most outputs of a stream.
pub const OUTPUTS_MAX: usize = 64;

/// One destination.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Unique in its stream.
    pub id: Id,
    /// `rtmp://host[:port]/app` or `rtmps://…`, without the key.
    pub url: String,
    /// The stream key, or `env:NAME` for the environment variable that holds it.
    #[serde(skip)]
    pub key: Secret,
    /// Who publishes, where the server asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password; like the key it may be `env:NAME`, and is never shown.
    #[serde(skip)]
    pub password: Option<Secret>,
    /// Which rendition it gets.
    pub rendition: Id,
    /// Whether it is published to.
    pub enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutputDocument {
    id: Id,
    url: String,
    key: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    #[serde(default = "rendition::main_id")]
    rendition: Id,
    #[serde(default = "default_true")]
    enabled: bool,
}

impl Output {
    /// Reads and checks an output's document.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let OutputDocument { id, url, key, username, password, rendition, enabled } = check::read(value)?;
        let at = |pointer: &str, message: String| Problems::from(Problem { pointer: pointer.into(), message });
        let (url, key) = match key {
            Some(key) => (url, key),
            None => {
                let inside = Endpoint::with_key_inside(&url).map_err(|error| at("/url", error.to_string()))?;
                (inside.tc_url, inside.stream_key)
            }
        };
        let output = Self { id, url, key, username, password, rendition, enabled };
        output.spec().map_err(|error| at(&error.pointer(), error.to_string()))?;
        Ok(output)
    }

    /// An output for a bare URL with its key inside, as the command line has it.
    pub fn from_url(id: Id, url: &str) -> Result<Self, Problems> {
        Self::read(serde_json::json!({ "id": id, "url": url }))
    }

    /// The document with this merge patch applied; a patch that does not name the key keeps it.
    ///
    /// A new address alone that could end with a key is refused: taken for a part of the app, the key would be shown.
    pub fn patched(&self, patch: &Value) -> Result<Self, Problems> {
        let new_url = patch.get("url").and_then(Value::as_str).filter(|url| *url != self.url);
        if patch.get("key").is_none() && new_url.is_some_and(|url| Endpoint::with_key_inside(url).is_ok()) {
            let message = "this address could end with a stream key: give `key` too, and the address without it".into();
            return Err(Problem { pointer: "/url".into(), message }.into());
        }
        let mut document = serde_json::json!({
            "id": self.id, "url": self.url, "key": self.key.expose(), "enabled": self.enabled,
            "rendition": self.rendition,
            "username": self.username, "password": self.password.as_ref().map(Secret::expose),
        });
        json_patch::merge(&mut document, patch);
        Self::read(document)
    }

    /// What the output floor needs.
    pub fn spec(&self) -> Result<Spec, InvalidOutput> {
        let key = resolve("key", &self.key)?;
        let destination = Endpoint::with_key_apart(&self.url, &key)?;
        let spec = Spec::new(self.id.clone(), destination, Limits::default());
        match (&self.username, &self.password) {
            (Some(user), Some(password)) => {
                let password = resolve("password", password)?;
                Ok(spec.with_credentials(Credentials::new(user, password)?))
            }
            (None, None) => Ok(spec),
            (Some(_), None) => Err(InvalidOutput::Incomplete { given: "username", missing: "password" }),
            (None, Some(_)) => Err(InvalidOutput::Incomplete { given: "password", missing: "username" }),
        }
    }
}

/// Why an output cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutput {
    /// The address is wrong.
    #[error(transparent)]
    Address(#[from] rtmp::url::Error),
    /// The user name is none.
    #[error(transparent)]
    User(#[from] rtmp::auth::InvalidUser),
    /// Half of what authentication takes.
    #[error("{given} without {missing}: a server that asks wants both")]
    Incomplete {
        /// What there is.
        given: &'static str,
        /// What there is not.
        missing: &'static str,
    },
    /// The variable is not one that such a secret may come from.
    #[error("env:{name} is refused: the name of a variable with a {field} ends with {}", field.to_uppercase())]
    VariableName {
        /// Which secret.
        field: &'static str,
        /// The refused name.
        name: String,
    },
    /// The variable is not set.
    #[error("env:{name}: this variable is not set in the daemon's environment")]
    VariableMissing {
        /// Which secret.
        field: &'static str,
        /// Its name.
        name: String,
    },
}

impl InvalidOutput {
    fn pointer(&self) -> String {
        match self {
            Self::Address(_) => "/url".into(),
            Self::User(_) => "/username".into(),
            Self::Incomplete { given: field, .. }
            | Self::VariableName { field, .. }
            | Self::VariableMissing { field, .. } => format!("/{field}"),
        }
    }
}

/// The secret itself, or what `env:NAME` refers to. Only variables whose name says that they hold such a secret can be
/// named, so that a client of the API cannot have others of the daemon's sent to a server of its choice.
fn resolve(field: &'static str, secret: &Secret) -> Result<Secret, InvalidOutput> {
    let Some(name) = secret.expose().strip_prefix("env:") else { return Ok(secret.clone()) };
    if !name.ends_with(&field.to_uppercase()) {
        return Err(InvalidOutput::VariableName { field, name: name.into() });
    }
    std::env::var(name).map(Secret::new).map_err(|_| InvalidOutput::VariableMissing { field, name: name.into() })
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
        if outputs.iter().any(|other| other.id == output.id) {
            let message = format!("`{}` is another output's id already", output.id);
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

    #[test]
    fn a_key_never_leaves() {
        for output in [
            json!({ "id": "o", "url": "rtmp://host/app/live_secret" }),
            json!({ "id": "o", "url": "rtmp://host/app", "key": "live_secret" }),
        ] {
            let output = Output::read(output).unwrap();
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
        let output = Output::read(json!({ "id": "o", "url": "rtmp://host/app/one" })).unwrap();
        let moved = output.patched(&json!({ "url": "rtmp://other/app" })).unwrap();
        assert_eq!((moved.url.as_str(), moved.key.expose()), ("rtmp://other/app", "one"));
        assert_eq!(output.patched(&json!({ "key": "two" })).unwrap().key.expose(), "two");
        let ambiguous = output.patched(&json!({ "url": "rtmp://other/app/two" })).unwrap_err();
        assert_eq!(ambiguous.0[0].pointer, "/url");
        assert!(!ambiguous.to_string().contains("two"), "{ambiguous}");
        let apart = output.patched(&json!({ "url": "rtmp://other/app/instance", "key": "two" })).unwrap();
        assert_eq!((apart.url.as_str(), apart.key.expose()), ("rtmp://other/app/instance", "two"));
        let written = serde_json::to_value(&output).unwrap();
        assert_eq!(output.patched(&written).unwrap(), output, "what was read may be written back");
    }

    #[test]
    fn other_secrets_of_the_daemon_cannot_be_named() {
        let output = |key: &str| Output::read(json!({ "id": "o", "url": "rtmp://host/app", "key": key }));
        assert!(output("env:PATH").unwrap_err().to_string().contains("ends with KEY"));
        let missing = output("env:NO_SUCH_STREAM_KEY").unwrap_err();
        assert_eq!(missing.0[0].pointer, "/key");
        assert!(missing.to_string().contains("not set"), "{missing}");
    }
}
