//! Reads files back for tests: every box by its name, and the samples of every fragment. A file that is not whole is an
//! error that says where.

use bytes::Buf;

use super::Track;

/// A box and what is in it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// Where its header is in the file.
    pub(crate) start: usize,
    pub(crate) content: Vec<u8>,
    pub(crate) children: Vec<Self>,
}

/// Boxes that hold boxes, and the bytes before those.
const PARENTS: &[(&str, usize)] = &[
    ("moov", 0),
    ("trak", 0),
    ("mdia", 0),
    ("minf", 0),
    ("dinf", 0),
    ("stbl", 0),
    ("mvex", 0),
    ("moof", 0),
    ("traf", 0),
    ("mfra", 0),
    ("stsd", 8),
    ("dref", 8),
    ("avc1", 78),
    ("mp4a", 28),
];

/// All boxes of a file.
pub(crate) fn file(bytes: &[u8]) -> Result<Vec<Found>, String> {
    boxes(bytes, 0)
}

fn boxes(bytes: &[u8], from: usize) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let header = bytes.get(at..at + 8).ok_or_else(|| format!("half a header at {}", from + at))?;
        let len = u32::from_be_bytes(header[..4].try_into().unwrap()) as usize;
        let name = String::from_utf8(header[4..].to_vec()).map_err(|_| format!("no name at {}", from + at))?;
        let content = bytes.get(at + 8..at + len).ok_or_else(|| format!("{name} at {} ends early", from + at))?;
        let skip = PARENTS.iter().find(|(parent, _)| *parent == name).map(|(_, skip)| *skip);
        let children = skip.map_or(Ok(Vec::new()), |skip| boxes(&content[skip..], from + at + 8 + skip))?;
        found.push(Found { name, start: from + at, content: content.to_vec(), children });
        at += len;
    }
    Ok(found)
}

/// The first box at a path such as `moov/trak`, looked for in every branch.
pub(crate) fn find<'a>(boxes: &'a [Found], path: &str) -> Option<&'a Found> {
    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let mut named = boxes.iter().filter(|found| found.name == name);
    match rest {
        None => named.next(),
        Some(rest) => named.find_map(|found| find(&found.children, rest)),
    }
}

/// A sample as a player sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) is_video: bool,
    pub(crate) dts: u64,
    pub(crate) pts: i64,
    pub(crate) duration: u32,
    pub(crate) is_key: bool,
    pub(crate) data: Vec<u8>,
}

/// The samples of all fragments, track by track within each.
pub(crate) fn samples(bytes: &[u8]) -> Result<Vec<Read>, String> {
    let mut samples = Vec::new();
    for moof in file(bytes)?.iter().filter(|found| found.name == "moof") {
        for traf in moof.children.iter().filter(|found| found.name == "traf") {
            run(bytes, moof, traf, &mut samples)?;
        }
    }
    Ok(samples)
}

fn run(bytes: &[u8], moof: &Found, traf: &Found, samples: &mut Vec<Read>) -> Result<(), String> {
    let part = |name| find(&traf.children, name).map(|found| &found.content[4..]).ok_or(format!("no {name}"));
    let is_video = part("tfhd")?.get_u32() == Track::Video as u32;
    let mut dts = part("tfdt")?.get_u64();
    let mut trun = part("trun")?;
    let count = trun.get_u32();
    let mut data_at = moof.start + trun.get_u32() as usize;
    for _ in 0..count {
        let (duration, len) = (trun.get_u32(), trun.get_u32() as usize);
        let (flags, composition) = if is_video { (trun.get_u32(), trun.get_i32()) } else { (0, 0) };
        let data = bytes.get(data_at..data_at + len).ok_or_else(|| format!("no sample at {data_at}"))?.to_vec();
        let is_key = flags & 0x1_0000 == 0;
        samples.push(Read { is_video, dts, pts: dts as i64 + i64::from(composition), duration, is_key, data });
        (dts, data_at) = (dts + u64::from(duration), data_at + len);
    }
    if trun.is_empty() { Ok(()) } else { Err("a run is longer than it says".into()) }
}
