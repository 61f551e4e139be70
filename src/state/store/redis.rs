//! The store that several daemons may share: Redis 6 or later, by itself, behind TLS, or found by Sentinels.
//!
//! ```text
//! PREFIX:KIND:records     hash: id to bytes
//! PREFIX:KIND:revisions   hash: id to revision
//! PREFIX:KIND:deleted     sorted set: the ids that were deleted last, by the revision that they had then
//! PREFIX:changes          channel: `KIND ID` for each write, published by the script that writes
//! ```
//!
//! Reading, comparing and writing are one script each, so nobody comes in between. One connection carries calls and notices
//! (RESP3). It is made when it is needed and given up after any failure, so that a server that was restarted, or another one
//! that Sentinels have chosen, is found with the next call; who follows the notices is then told that something may have been
//! missed. Retrying is the caller's: [`super::keeper`].
//!
//! Addresses: `redis://[[user]:password@]host[:port][/database]`, `rediss://` for TLS, `unix:///path`,
//! `redis-sentinel://[[user]:password@]host[:port][,host[:port]...][/database]#master`, `rediss-sentinel://` for TLS. The
//! password is the server's; Sentinels are asked without one. Left out: Redis Cluster, client certificates.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisError, Script, TlsCertificates, TlsMode, Value,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::{Answer, Error, Found, Key, Kind, Notices, RECORD_LEN_MAX, RECORDS_MAX, Record, Store, Write, check_len};
use crate::base::{id::Id, secret::Secret};

/// How long a server may take to be connected to, and to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Deleted records of a kind that are remembered.
const DELETED_MAX: usize = 1024;
const SENTINEL_PORT: u16 = 26379;

const GET: &str = r"
local revision = redis.call('HGET', KEYS[2], ARGV[1])
local len = redis.call('HSTRLEN', KEYS[1], ARGV[1])
if revision and len > 0 then
    if len > tonumber(ARGV[2]) then return {'large', len} end
    return {'present', revision, redis.call('HGET', KEYS[1], ARGV[1])}
end
local deleted = redis.call('ZSCORE', KEYS[3], ARGV[1])
if deleted then return {'deleted', deleted} end
return {'missing'}
";
const PUT: &str = r"
local found = redis.call('HGET', KEYS[2], ARGV[1]) or ''
if found ~= ARGV[2] then return {'conflict', found} end
if found == '' and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return {'full'} end
local deleted = redis.call('ZSCORE', KEYS[3], ARGV[1]) or 0
local revision = math.max(tonumber(found) or 0, tonumber(deleted), tonumber(ARGV[3])) + 1
revision = string.format('%.0f', revision)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], revision)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('PUBLISH', ARGV[6], ARGV[7] .. ' ' .. ARGV[1])
return {'done', revision}
";
const DELETE: &str = r"
local found = redis.call('HGET', KEYS[2], ARGV[1])
if not found then return {'done'} end
if found ~= ARGV[2] then return {'conflict', found} end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], string.format('%.0f', tonumber(found) + 1), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[3]))
redis.call('PUBLISH', ARGV[4], ARGV[5] .. ' ' .. ARGV[1])
return {'done'}
";

/// How it is reached.
#[derive(Debug, Clone)]
pub struct Config {
    /// See the head of this file.
    pub url: Secret,
    /// What all keys begin with.
    pub prefix: String,
    /// Authorities that are trusted in place of the common ones, PEM.
    pub authorities: Option<Vec<u8>>,
}

/// The store in a Redis.
pub struct Redis {
    target: Mutex<Target>,
    connection: Mutex<Option<MultiplexedConnection>>,
    notices: Arc<Notices>,
    prefix: String,
    name: String,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("name", &self.name).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Who is asked for a connection.
enum Target {
    Server(Client),
    Sentinels(SentinelClient),
}

impl Redis {
    /// Makes it; nothing is connected to yet.
    pub fn new(config: &Config) -> Result<Self, Error> {
        // The library leaves the choice to the process, which has one candidate.
        static PROVIDER: OnceLock<()> = OnceLock::new();
        PROVIDER.get_or_init(|| drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default()));
        let (target, name) = target(config)?;
        Ok(Self {
            target: Mutex::new(target),
            connection: Mutex::default(),
            notices: Arc::default(),
            prefix: config.prefix.clone(),
            name,
        })
    }

    fn keys(&self, kind: Kind) -> [String; 3] {
        ["records", "revisions", "deleted"].map(|part| format!("{}:{}:{part}", self.prefix, kind.name()))
    }

    fn channel(&self) -> String {
        format!("{}:changes", self.prefix)
    }

    /// The connection, made where there is none.
    async fn connection(&self) -> Result<MultiplexedConnection, Error> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let connected = tokio::time::timeout(2 * PATIENCE, self.connect()).await;
        let connection = connected.map_err(|_| Error::unavailable("it does not answer"))?.map_err(unavailable)?;
        *held = Some(connection.clone());
        drop(held);
        self.notices.tell_everything();
        Ok(connection)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let (notices, channel) = (self.notices.clone(), self.channel());
        let heard = move |push: PushInfo| {
            hear(&notices, &channel, &push);
            Ok::<(), fmt::Error>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_push_sender(heard);
        let client = match &mut *self.target.lock().await {
            Target::Server(client) => client.clone(),
            Target::Sentinels(sentinels) => sentinels.async_get_client().await?,
        };
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(self.channel()).await?;
        Ok(connection)
    }

    /// Calls a script about one record.
    async fn call(&self, code: &str, key: &Key, arguments: &[&[u8]]) -> Result<Vec<Value>, Error> {
        let script = Script::new(code);
        let mut call = script.prepare_invoke();
        for name in self.keys(key.kind) {
            call.key(name);
        }
        call.arg(key.id.as_str());
        for argument in arguments {
            call.arg(*argument);
        }
        let mut connection = self.connection().await?;
        let answered = call.invoke_async(&mut connection).await;
        self.judge(answered).await
    }

    /// A connection on which something failed is not used again.
    async fn judge<T>(&self, answered: Result<T, RedisError>) -> Result<T, Error> {
        if answered.is_err() {
            *self.connection.lock().await = None;
        }
        answered.map_err(unavailable)
    }

    async fn ids(&self, kind: Kind) -> Result<Vec<String>, Error> {
        let [_, revisions, _] = self.keys(kind);
        let mut connection = self.connection().await?;
        let count: usize = self.judge(redis::cmd("HLEN").arg(&revisions).query_async(&mut connection).await).await?;
        if count > RECORDS_MAX {
            return Err(Error::TooMany);
        }
        self.judge(redis::cmd("HKEYS").arg(&revisions).query_async(&mut connection).await).await
    }

    async fn get_one(&self, key: Key) -> Result<Found, Error> {
        let limit = RECORD_LEN_MAX.to_string();
        let answer = self.call(GET, &key, &[limit.as_bytes()]).await?;
        let number = || answer.get(1).and_then(number_in);
        match (answer.first().and_then(text_in).as_deref(), number()) {
            (Some("present"), Some(revision)) => match answer.into_iter().nth(2) {
                Some(Value::BulkString(bytes)) => {
                    Ok(Found::Present(Record { id: key.id, revision, bytes: Bytes::from(bytes) }))
                }
                _ => Err(not_understood()),
            },
            (Some("large"), Some(len)) => Err(Error::TooLarge { key, len: len as usize }),
            (Some("deleted"), Some(revision)) => Ok(Found::Deleted { revision }),
            (Some("missing"), _) => Ok(Found::Missing),
            _ => Err(not_understood()),
        }
    }
}

fn unavailable(error: RedisError) -> Error {
    Error::unavailable(error)
}

fn not_understood() -> Error {
    Error::unavailable("its answer is not understood")
}

fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

fn number_in(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Double(number) if *number >= 0.0 => Some(*number as u64),
        value => text_in(value)?.parse().ok(),
    }
}

/// What a script that writes has answered.
fn written(answer: &[Value]) -> Result<Option<u64>, Error> {
    let number = answer.get(1).and_then(number_in);
    match answer.first().and_then(text_in).as_deref() {
        Some("done") => Ok(number),
        Some("conflict") => Err(Error::Conflict { found: number }),
        Some("full") => Err(Error::TooMany),
        _ => Err(not_understood()),
    }
}

fn hear(notices: &Notices, channel: &str, push: &PushInfo) {
    match push.kind {
        PushKind::Message => {
            let mut texts = push.data.iter().map(text_in);
            if texts.next().flatten().as_deref() != Some(channel) {
                return;
            }
            let key = texts.next().flatten().and_then(|text| {
                let (kind, id) = text.split_once(' ')?;
                Some(Key::new(Kind::of_name(kind)?, Id::new(id).ok()?))
            });
            // What is not understood may be of a later version, of something that this one does not have.
            key.into_iter().for_each(|key| notices.tell(key));
        }
        PushKind::Disconnection => notices.tell_everything(),
        _ => {}
    }
}

impl Store for Redis {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn load(&self, kind: Kind) -> Answer<'_, Vec<Record>> {
        Box::pin(async move {
            let mut records = Vec::new();
            for id in self.ids(kind).await? {
                let Ok(id) = Id::new(&id) else {
                    tracing::error!(kind = kind.name(), "a record whose id is none is left out");
                    continue;
                };
                match self.get_one(Key::new(kind, id)).await {
                    Ok(Found::Present(record)) => records.push(record),
                    Ok(_) => {}
                    Err(error @ Error::TooLarge { .. }) => tracing::error!(%error, "a record is left out"),
                    Err(error) => return Err(error),
                }
            }
            records.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(records)
        })
    }

    fn get(&self, key: Key) -> Answer<'_, Found> {
        Box::pin(self.get_one(key))
    }

    fn put(&self, write: Write) -> Answer<'_, u64> {
        Box::pin(async move {
            check_len(&write)?;
            let Write { key, expected, above, bytes } = write;
            let expected = expected.map_or(String::new(), |revision| revision.to_string());
            let (above, limit, channel) = (above.to_string(), RECORDS_MAX.to_string(), self.channel());
            let arguments = [
                expected.as_bytes(),
                above.as_bytes(),
                &bytes,
                limit.as_bytes(),
                channel.as_bytes(),
                key.kind.name().as_bytes(),
            ];
            written(&self.call(PUT, &key, &arguments).await?)?.ok_or_else(not_understood)
        })
    }

    fn delete(&self, key: Key, expected: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let (expected, limit, channel) = (expected.to_string(), DELETED_MAX.to_string(), self.channel());
            let arguments = [expected.as_bytes(), limit.as_bytes(), channel.as_bytes(), key.kind.name().as_bytes()];
            written(&self.call(DELETE, &key, &arguments).await?).map(drop)
        })
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            self.judge(redis::cmd("PING").query_async::<Value>(&mut connection).await).await.map(drop)
        })
    }

    fn notices(&self) -> Option<&Notices> {
        Some(&self.notices)
    }
}

/// Who is meant by an address, and how that is told to people.
fn target(config: &Config) -> Result<(Target, String), Error> {
    let url = config.url.expose();
    let certificates = config.authorities.clone();
    let certificates = certificates.map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem) });
    match url.split_once("-sentinel://") {
        Some((scheme @ ("redis" | "rediss"), rest)) => sentinels(scheme, rest, certificates),
        _ => {
            let info = connection_info(url)?;
            let name = info.addr().to_string();
            let client = match certificates {
                Some(certificates) => Client::build_with_tls(info, certificates),
                None => Client::open(info),
            };
            Ok((Target::Server(client.map_err(|error| address(&error))?), name))
        }
    }
}

/// What the library makes of an address. Its errors do not repeat it.
fn connection_info(url: &str) -> Result<ConnectionInfo, Error> {
    let info = url.into_connection_info().map_err(|error| address(&error))?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings))
}

fn address(error: &RedisError) -> Error {
    let reason = format!(
        "{error}: use redis://[[user]:password@]host[:port][/database], rediss:// for TLS, unix:///path, \
         or redis-sentinel://host[,host...]#master"
    );
    Error::Address { reason }
}

fn sentinels(scheme: &str, rest: &str, certificates: Option<TlsCertificates>) -> Result<(Target, String), Error> {
    let wrong = |reason: &str| Error::Address { reason: reason.into() };
    let (rest, master) = rest.split_once('#').ok_or_else(|| wrong("Sentinels are asked for a master: add #NAME"))?;
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = hosts.rsplit_once('@').map_or(("", hosts), |(login, hosts)| (login, hosts));
    // Login and database are read as in the address of a server.
    let at = if login.is_empty() { String::new() } else { format!("{login}@") };
    let server = connection_info(&format!("redis://{at}localhost/{database}"))?;
    let addresses = hosts.split(',').map(|host| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_default = |port: u16| if has_port { port } else { SENTINEL_PORT };
        match connection_info(&format!("{scheme}://{host}"))?.addr().clone() {
            ConnectionAddr::Tcp(name, port) => Ok(ConnectionAddr::Tcp(name, with_default(port))),
            ConnectionAddr::TcpTls { host, port, insecure, tls_params } => {
                Ok(ConnectionAddr::TcpTls { host, port: with_default(port), insecure, tls_params })
            }
            _ => Err(wrong("a Sentinel has a host and a port")),
        }
    });
    let addresses = addresses.collect::<Result<Vec<_>, Error>>()?;
    let built = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master).and_then(|builder| {
        let settings = server.redis_settings();
        let mut builder =
            builder.set_client_to_redis_protocol(ProtocolVersion::RESP3).set_client_to_redis_db(settings.db());
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if scheme == "rediss" {
            builder =
                builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        builder.build()
    });
    let client = built.map_err(|error| address(&error))?;
    Ok((Target::Sentinels(client), format!("{master}, by the Sentinels {hosts}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(url: &str) -> Result<Redis, Error> {
        Redis::new(&Config { url: Secret::new(url), prefix: "test".into(), authorities: None })
    }

    #[test]
    fn every_form_of_an_address_is_taken_and_no_password_is_shown() {
        for (url, name) in [
            ("redis://localhost", "localhost:6379"),
            ("redis://:hidden@10.0.0.1:7000/3", "10.0.0.1:7000"),
            ("rediss://user:hidden@redis.example.net", "redis.example.net:6379"),
            ("unix:///run/redis.sock?pass=hidden", "/run/redis.sock"),
            ("redis-sentinel://user:hidden@a,b:7001/2#main", "main, by the Sentinels a,b:7001"),
            ("rediss-sentinel://:hidden@a#main", "main, by the Sentinels a"),
        ] {
            let redis = redis(url).unwrap();
            assert_eq!(redis.name(), name);
            assert!(!format!("{redis:?}").contains("hidden"));
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_repeated() {
        for url in
            ["http://user:hidden@host", "hidden", "redis://", "redis://host/hidden", "redis-sentinel://:hidden@a"]
        {
            let error = redis(url).unwrap_err().to_string();
            assert!(error.starts_with("redis.url: ") && !error.contains("hidden"), "{error}");
        }
    }
}
