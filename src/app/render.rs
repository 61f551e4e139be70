//! `render`: the show to a file.

use std::{
    fs::File,
    io::{BufWriter, IsTerminal},
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};

use super::{complain, config::Config, open_devices, read_show, try_nvenc_apart};
use stream_manager::pipeline::offline;

/// One frame as PNG.
pub(super) fn still(config: &Config, at: Duration, output: &Path) -> anyhow::Result<()> {
    expect_extension(output, "png", "--duration for an FLV file")?;
    let show = read_show(config)?;
    let image = offline::still(&*open_devices(config, None)?, &show.show, at)?;
    image.save(output).with_context(|| format!("writing {}", output.display()))
}

/// A span of time of a rendition as FLV, with progress for who watches.
pub(super) fn movie(config: &Config, rendition: &str, duration: Duration, output: &Path) -> anyhow::Result<()> {
    expect_extension(output, "flv", "--at for a PNG picture")?;
    let show = read_show(config)?;
    let pipeline = show.pipeline_config();
    let names: Vec<_> = pipeline.renditions.iter().map(|rendition| rendition.id.as_str()).collect();
    let index = names.iter().position(|name| *name == rendition);
    let index = index.with_context(|| format!("there is no rendition `{rendition}`: use {}", names.join(", ")))?;
    let rendition = &pipeline.renditions[index];
    try_nvenc_apart();
    let devices = open_devices(config, None)?;
    // Written beside it and renamed at the end: a rendering that fails leaves an earlier one as it was.
    let part = output.with_extension("flv.part");
    let file = File::create(&part).with_context(|| format!("writing {}", part.display()))?;
    let mut file = BufWriter::new(file);
    let is_watched = std::io::stderr().is_terminal();
    let mut progress = |done: u64, all: u64| {
        if is_watched && (done.is_multiple_of(30) || done == all) {
            complain(&format!("frame {done} of {all} ({} %)", done * 100 / all.max(1)));
        }
    };
    let rendered = offline::movie(&devices, &show.show, rendition, &pipeline.sound, duration, &mut file, &mut progress)
        .with_context(|| format!("rendering {}", output.display()));
    let finished =
        rendered.and_then(|()| std::fs::rename(&part, output).with_context(|| format!("writing {}", output.display())));
    if finished.is_err() {
        // Nothing to add to the error that is being returned.
        let _ = std::fs::remove_file(&part);
    }
    finished
}

fn expect_extension(output: &Path, extension: &str, other: &str) -> anyhow::Result<()> {
    let is_right = output.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
    ensure!(is_right, "{} does not end in .{extension}; use {other}", output.display());
    Ok(())
}
