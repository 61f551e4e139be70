//! AMF 0: the values inside RTMP commands and FLV script data.
//!
//! ```text
//! marker  body                                     marker  body
//! 00      number: f64, big endian                  08      ECMA array: u32 count (a hint), then as an object
//! 01      boolean: u8                              0A      strict array: u32 count, values
//! 02      string: u16 length, UTF-8                0B      date: f64 ms since 1970, i16 zone
//! 03      object: (u16 length, name, value)*       0C      long string: u32 length, UTF-8
//!         then 00 00 09                            05, 06  null, undefined
//! ```
//!
//! Encoding is for our own values and cannot fail. Decoding is for a stranger's bytes: depth and number of values are
//! limited, no length is believed before the bytes are there, and every error names its offset. Text that is not UTF-8
//! is repaired rather than refused, because servers put localised descriptions into errors we want to read.
//!
//! Spec: Adobe, *AMF 0* (2007), section 2. Left out, and refused with [`Error::Marker`]: movie clip, reference,
//! unsupported, record set, XML document, typed object and the switch to AMF 3; no RTMP server needs them.

use bytes::BufMut;

/// Deepest nesting that is decoded: objects within objects.
pub const DEPTH_MAX: usize = 16;
/// Most values that one [`Decoder`] hands out, nested ones counted.
pub const VALUES_MAX: usize = 4096;

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0A;
const DATE: u8 = 0x0B;
const LONG_STRING: u8 = 0x0C;

/// Name and value pairs in the order of the wire.
pub type Properties = Vec<(String, Value)>;

/// One AMF 0 value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The only kind of number there is.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text; written as a string up to 65,535 bytes and as a long string beyond.
    String(String),
    /// Named values in order.
    Object(Properties),
    /// Nothing, said explicitly.
    Null,
    /// Nothing at all.
    Undefined,
    /// Named values that call themselves an array; metadata uses it.
    EcmaArray(Properties),
    /// Values without names.
    StrictArray(Vec<Self>),
    /// A moment.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        unix_ms: f64,
        /// Minutes; the spec says to write 0 and to ignore what is read.
        zone: i16,
    },
}

impl Value {
    /// The number, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The property of that name, if this is an object or an ECMA array that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => {
                properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Appends the value to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.put_u8(NUMBER);
                out.put_f64(*number);
            }
            Self::Boolean(is_true) => out.put_slice(&[BOOLEAN, u8::from(*is_true)]),
            Self::String(text) => encode_text(text, out),
            Self::Object(properties) => {
                out.put_u8(OBJECT);
                encode_properties(properties, out);
            }
            Self::Null => out.put_u8(NULL),
            Self::Undefined => out.put_u8(UNDEFINED),
            Self::EcmaArray(properties) => {
                out.put_u8(ECMA_ARRAY);
                out.put_u32(count(properties.len()));
                encode_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.put_u8(STRICT_ARRAY);
                out.put_u32(count(values.len()));
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Date { unix_ms, zone } => {
                out.put_u8(DATE);
                out.put_f64(*unix_ms);
                out.put_i16(*zone);
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl From<bool> for Value {
    fn from(is_true: bool) -> Self {
        Self::Boolean(is_true)
    }
}

/// Encodes `values` one after the other, as a command or a data message carries them.
pub fn encode_all<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    values.into_iter().for_each(|value| value.encode(&mut out));
    out
}

/// What fits a `u32` count field; nothing we build comes near its end.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    match u16::try_from(text.len()) {
        Ok(len) => {
            out.put_u8(STRING);
            out.put_u16(len);
        }
        Err(_) => {
            out.put_u8(LONG_STRING);
            out.put_u32(count(text.len()));
        }
    }
    out.put_slice(text.as_bytes());
}

fn encode_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        // A name has a 16-bit length and no long form, so a longer one is cut; ours have a dozen letters.
        let name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
        out.put_u16(name.len() as u16);
        out.put_slice(name.as_bytes());
        value.encode(out);
    }
    out.put_slice(&[0, 0, OBJECT_END]);
}

/// Why bytes are not AMF 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value goes on after the last byte.
    #[error("AMF 0 value at byte {offset} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Where the missing part starts.
        offset: usize,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A marker that is unknown or deliberately not read.
    #[error("AMF 0 marker {marker:#04x} at byte {offset} is not supported")]
    Marker {
        /// Where the marker stands.
        offset: usize,
        /// The marker.
        marker: u8,
    },
    /// Objects within objects, too many of them.
    #[error("AMF 0 value at byte {offset} is nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Where the value starts.
        offset: usize,
    },
    /// More values than any command or metadata has.
    #[error("AMF 0 value at byte {offset} is one more than the {VALUES_MAX} allowed")]
    TooMany {
        /// Where the value starts.
        offset: usize,
    },
}

/// Reads values from a slice, one at a time.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    offset: usize,
    values: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder that stands at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, values: 0 }
    }

    /// The next value; `None` at the end of the bytes.
    pub fn decode(&mut self) -> Result<Option<Value>, Error> {
        if self.offset == self.bytes.len() { Ok(None) } else { self.value(0).map(Some) }
    }

    /// All values that are left.
    pub fn decode_all(mut self) -> Result<Vec<Value>, Error> {
        let mut values = Vec::new();
        while let Some(value) = self.decode()? {
            values.push(value);
        }
        Ok(values)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let offset = self.offset;
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep { offset });
        }
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Error::TooMany { offset });
        }
        let [marker] = self.array()?;
        match marker {
            NUMBER => Ok(Value::Number(self.f64()?)),
            BOOLEAN => Ok(Value::Boolean(self.array()? != [0])),
            STRING => Ok(Value::String(self.short_text()?)),
            OBJECT => Ok(Value::Object(self.properties(depth)?)),
            NULL => Ok(Value::Null),
            UNDEFINED => Ok(Value::Undefined),
            ECMA_ARRAY => {
                // The count is a hint that encoders get wrong; the end marker decides.
                self.u32()?;
                Ok(Value::EcmaArray(self.properties(depth)?))
            }
            STRICT_ARRAY => self.strict_array(depth),
            DATE => Ok(Value::Date { unix_ms: self.f64()?, zone: i16::from_be_bytes(self.array()?) }),
            LONG_STRING => {
                let len = self.u32()?;
                self.text(len as usize).map(Value::String)
            }
            _ => Err(Error::Marker { offset, marker }),
        }
    }

    fn properties(&mut self, depth: usize) -> Result<Properties, Error> {
        let mut properties = Vec::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.bytes.get(self.offset) == Some(&OBJECT_END) {
                self.offset += 1;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Error> {
        let count = self.u32()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(values))
    }

    fn short_text(&mut self) -> Result<String, Error> {
        let len = u16::from_be_bytes(self.array()?);
        self.text(usize::from(len))
    }

    fn text(&mut self, len: usize) -> Result<String, Error> {
        self.take(len).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    fn f64(&mut self) -> Result<f64, Error> {
        self.array().map(f64::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, needed: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.offset..];
        let taken = rest.get(..needed).ok_or(Error::Truncated { offset: self.offset, needed, left: rest.len() })?;
        self.offset += needed;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Vec<Value>, Error> {
        Decoder::new(bytes).decode_all()
    }

    /// Every marker by hand from the spec's section 2.
    #[test]
    fn bytes_by_hand() {
        let values = [
            (Value::Number(1.0), &[0x00, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0][..]),
            (Value::Boolean(true), &[0x01, 0x01]),
            (Value::from("live"), &[0x02, 0, 4, b'l', b'i', b'v', b'e']),
            (Value::Object(vec![("a".into(), Value::Null)]), &[0x03, 0, 1, b'a', 0x05, 0, 0, 0x09]),
            (Value::Undefined, &[0x06]),
            (
                Value::EcmaArray(vec![("b".into(), Value::Boolean(false))]),
                &[0x08, 0, 0, 0, 1, 0, 1, b'b', 0x01, 0x00, 0, 0, 0x09],
            ),
            (Value::StrictArray(vec![Value::Null, Value::Undefined]), &[0x0A, 0, 0, 0, 2, 0x05, 0x06]),
            (Value::Date { unix_ms: 2.0, zone: -1 }, &[0x0B, 0x40, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        ];
        for (value, bytes) in values {
            assert_eq!(encode_all([&value]), bytes, "{value:?}");
            assert_eq!(decode(bytes), Ok(vec![value]));
        }
    }

    #[test]
    fn long_text_has_four_length_bytes() {
        let long = Value::String("x".repeat(65_536));
        let bytes = encode_all([&long]);
        assert_eq!(bytes[..5], [0x0C, 0, 1, 0, 0]);
        assert_eq!(decode(&bytes), Ok(vec![long]));
    }

    #[test]
    fn an_over_long_name_is_cut_between_characters() {
        let name = format!("{}é", "x".repeat(65_534));
        let bytes = encode_all([&Value::Object(vec![(name, Value::Null)])]);
        assert_eq!(bytes[1..3], [0xFF, 0xFE]);
        assert!(decode(&bytes).is_ok());
    }

    #[test]
    fn a_wrong_ecma_count_does_not_matter() {
        let bytes = [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, b'b', 0x05, 0, 0, 0x09];
        assert_eq!(decode(&bytes), Ok(vec![Value::EcmaArray(vec![("b".into(), Value::Null)])]));
    }

    #[test]
    fn latin_1_is_repaired() {
        assert_eq!(decode(&[0x02, 0, 2, b'a', 0xE9]), Ok(vec![Value::from("a\u{FFFD}")]));
    }

    #[test]
    fn errors_name_the_byte() {
        assert_eq!(decode(&[0x05, 0x02, 0, 9, b'x']), Err(Error::Truncated { offset: 4, needed: 9, left: 1 }));
        assert_eq!(decode(&[0x05, 0x11]), Err(Error::Marker { offset: 1, marker: 0x11 }));
        assert_eq!(
            decode(&[0x0C, 0xFF, 0xFF, 0xFF, 0xFF]),
            Err(Error::Truncated { offset: 5, needed: 0xFFFF_FFFF, left: 0 })
        );
        let nested = [0x0A, 0, 0, 0, 1].repeat(DEPTH_MAX + 2);
        assert_eq!(decode(&nested), Err(Error::TooDeep { offset: 5 * (DEPTH_MAX + 1) }));
        let many = [0x05].repeat(VALUES_MAX + 1);
        assert_eq!(decode(&many), Err(Error::TooMany { offset: VALUES_MAX }));
    }

    #[test]
    fn properties_are_found_by_name() {
        let info = Value::Object(vec![("code".into(), "NetStream.Publish.Start".into())]);
        assert_eq!(info.get("code").and_then(Value::as_str), Some("NetStream.Publish.Start"));
        assert_eq!(info.get("level"), None);
        assert_eq!(Value::Null.get("code"), None);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e12..1e12).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            "[a-zà-ÿ]{0,12}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            (0.0..1e13, any::<i16>()).prop_map(|(unix_ms, zone)| Value::Date { unix_ms, zone }),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let properties = prop::collection::vec(("[a-z]{0,6}", inner.clone()), 0..6);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.prop_map(Value::EcmaArray),
                prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_round_trip(values in prop::collection::vec(any_value(), 0..4)) {
            prop_assert_eq!(decode(&encode_all(&values)), Ok(values));
        }

        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(prop_oneof![0u8..0x12, any::<u8>()], 0..400)) {
            let _ = decode(&bytes);
        }
    }
}
