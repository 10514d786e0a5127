//! Slots of the memory that a program shares, and the picture that is read out of them.
//!
//! The memory is read with `pread`, not mapped: what a client does to it meanwhile can make a
//! picture look torn, or reading fail, but no signal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use super::error::FrameError;
use super::message::{FrameFormat, Hello, Rows};
use crate::decode::decoded::Decoded;
use crate::ffi::is_sealed_against_shrinking;
use crate::ffi::sys as ffi;
use crate::scene::kernel::mul255;

/// Slots begin at multiples of this, bytes.
const SLOT_ALIGN: u64 = 4_096;

/// A plane of a client's picture, whose rows follow each other without gaps.
#[derive(Clone, Copy, Debug)]
struct Plane {
    /// Bytes from the slot's begin.
    offset: u64,
    /// Bytes of a row.
    row: usize,
    rows: u32,
}

/// The planes of a picture, and the bytes of a slot for it.
fn planes(hello: &Hello) -> ([Plane; 3], u64) {
    let (width, rows) = (hello.size.width() as usize, hello.size.height());
    let shapes = match hello.format {
        FrameFormat::Bgra | FrameFormat::BgraPremultiplied => [(4 * width, rows), (0, 0), (0, 0)],
        FrameFormat::I420 => [(width, rows), (width / 2, rows / 2), (width / 2, rows / 2)],
        FrameFormat::Nv12 => [(width, rows), (width, rows / 2), (0, 0)],
    };
    let mut end = 0;
    let planes = shapes.map(|(row, rows)| {
        let plane = Plane { offset: end, row, rows };
        end += row as u64 * u64::from(rows);
        plane
    });
    (planes, end.next_multiple_of(SLOT_ALIGN))
}

/// A client's memory with its newest picture.
#[derive(Debug)]
pub(super) struct Slots {
    memory: File,
    hello: Hello,
    planes: [Plane; 3],
    bytes: u64,
    picture: Decoded,
    is_read: bool,
}

impl Slots {
    /// The memory that came with a hello, if it is as the hello says.
    pub(super) fn new(hello: Hello, memory: OwnedFd) -> Result<Self, FrameError> {
        if !is_sealed_against_shrinking(memory.as_fd()) {
            return Err(FrameError::Unsealed);
        }
        let memory = File::from(memory);
        let (planes, bytes) = planes(&hello);
        let (has, needed) =
            (memory.metadata().map_err(FrameError::Memory)?.len(), bytes * u64::from(hello.slots));
        if has < needed {
            return Err(FrameError::Small(has, needed));
        }
        let format = match hello.format {
            FrameFormat::Bgra | FrameFormat::BgraPremultiplied => ffi::AV_PIX_FMT_BGRA,
            FrameFormat::I420 => ffi::AV_PIX_FMT_YUV420P,
            FrameFormat::Nv12 => ffi::AV_PIX_FMT_NV12,
        };
        let sides = (hello.size.width().cast_signed(), hello.size.height().cast_signed());
        let picture = Decoded::with_memory(sides, format)
            .map_err(|_| FrameError::Memory(io::ErrorKind::OutOfMemory.into()))?;
        Ok(Self { memory, hello, planes, bytes, picture, is_read: false })
    }

    pub(super) const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The newest picture, once there is one; colours are multiplied by their alpha.
    pub(super) fn picture(&self) -> Option<&Decoded> {
        self.is_read.then_some(&self.picture)
    }

    /// Copies these rows out of a slot, or all of them. The first picture is copied whole.
    pub(super) fn read(&mut self, slot: u32, rows: Option<&[Rows]>) -> Result<(), FrameError> {
        let whole = [(0, self.hello.size.height())];
        let rows = rows.filter(|_| self.is_read).unwrap_or(&whole);
        let begin = self.bytes * u64::from(slot);
        for (index, plane) in self.planes.iter().enumerate().filter(|(_, plane)| plane.rows > 0) {
            let data = self.picture.plane_mut(index);
            let coarse = u32::from(index > 0);
            for (from, to) in rows {
                let (from, to) = (from >> coarse, to.div_ceil(1 << coarse));
                let (from, to) = (from as usize * plane.row, to as usize * plane.row);
                let band = data.get_mut(from..to).ok_or_else(short)?;
                let at = begin + plane.offset + from as u64;
                self.memory.read_exact_at(band, at).map_err(FrameError::Memory)?;
                if self.hello.format == FrameFormat::Bgra {
                    multiply(band);
                }
            }
        }
        self.is_read = true;
        Ok(())
    }
}

fn short() -> FrameError {
    FrameError::Memory(io::ErrorKind::UnexpectedEof.into())
}

/// Multiplies colours by their alpha, so that scaling mixes no colour of what cannot be seen.
fn multiply(band: &mut [u8]) {
    let (pixels, _) = band.as_chunks_mut::<4>();
    for [blue, green, red, alpha] in pixels {
        for color in [blue, green, red] {
            *color = mul255(*color, *alpha);
        }
    }
}
