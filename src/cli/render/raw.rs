//! YUV4MPEG2 file: every frame as it is, which FFmpeg and most tools read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::config::ChannelConfig;
use crate::frame::FrozenFrame;

/// A file of frames in I420.
pub(super) struct RawFile {
    /// In error texts.
    name: String,
    file: BufWriter<Box<dyn Write>>,
}

impl RawFile {
    /// Makes the file, or empties it, and writes its head.
    pub(super) fn create(path: &Path, channel: &ChannelConfig) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = File::create(path).map_err(|error| format!("cannot write {name}: {error}"))?;
        Self::begin(name, Box::new(file), channel)
    }

    pub(super) fn to_stdout(channel: &ChannelConfig) -> Result<Self, String> {
        Self::begin("standard output".to_owned(), Box::new(io::stdout()), channel)
    }

    fn begin(name: String, file: Box<dyn Write>, channel: &ChannelConfig) -> Result<Self, String> {
        let mut raw = Self { name, file: BufWriter::with_capacity(1 << 20, file) };
        let (width, height) = (channel.size.width(), channel.size.height());
        let (num, den) = (channel.rate.num(), channel.rate.den());
        // Chroma lies as in MPEG-2, progressive, square pixels.
        let head = format!(
            "YUV4MPEG2 W{width} H{height} F{num}:{den} Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED\n"
        );
        raw.file.write_all(head.as_bytes()).map_err(|error| raw.failed(&error))?;
        Ok(raw)
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("cannot write {}: {error}", self.name)
    }

    pub(super) fn put(&mut self, frame: &FrozenFrame) -> Result<(), String> {
        let written = self.file.write_all(b"FRAME\n").and_then(|()| {
            let mut planes = frame.geometry().planes().iter().enumerate();
            planes.try_for_each(|(index, plane)| {
                let rows = frame.plane(index).chunks(plane.stride).take(plane.rows);
                rows.into_iter().try_for_each(|row| self.file.write_all(&row[..plane.width]))
            })
        });
        written.map_err(|error| self.failed(&error))
    }

    pub(super) fn finish(mut self) -> Result<(), String> {
        self.file.flush().map_err(|error| self.failed(&error))
    }
}
