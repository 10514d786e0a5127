//! FLV demuxer: kind and first bytes of each tag's body (Video File Format 10.1 annex E).

use super::{AUDIO, DATA, VIDEO};
use crate::load::programme::PEEK;
use crate::rtmp::flv::TagHeader;

/// How a file begins.
const SIGNATURE: &[u8; 3] = b"FLV";

/// Of the file's header; the size of the tag before the first follows.
const FILE_BYTES: usize = 9;

/// One connection's place in an FLV stream.
#[derive(Debug)]
pub(in crate::load) struct FlvDemuxer {
    /// First bytes of what is read: the header that is not complete yet, or of the body.
    head: Box<[u8]>,
    head_len: usize,
    part: Part,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    /// The file's header, with the size that follows.
    File,
    TagHeader,
    /// A body of this kind with so many bytes to come.
    Body {
        kind: u8,
        left: usize,
    },
    /// Of the size of the tag before.
    Size,
}

/// The server sends something that is no FLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) struct NotFlv;

impl Default for FlvDemuxer {
    fn default() -> Self {
        Self::new(PEEK)
    }
}

impl FlvDemuxer {
    /// Tells so many bytes of each body, [`PEEK`] at least.
    pub(in crate::load) fn new(peek: usize) -> Self {
        Self { head: vec![0; peek.max(PEEK)].into(), head_len: 0, part: Part::File }
    }

    /// Takes bytes; tells kind and first bytes of each tag's body that ends.
    ///
    /// # Errors
    /// If the stream does not begin as FLV does.
    pub(in crate::load) fn take(
        &mut self,
        mut bytes: &[u8],
        mut message: impl FnMut(u8, &[u8]),
    ) -> Result<(), NotFlv> {
        while !bytes.is_empty() {
            match self.part {
                Part::File => {
                    if self.fill(&mut bytes, FILE_BYTES + TagHeader::SIZE_BYTES) {
                        if !self.head.starts_with(SIGNATURE) {
                            return Err(NotFlv);
                        }
                        self.part = Part::TagHeader;
                    }
                }
                Part::TagHeader => {
                    if self.fill(&mut bytes, TagHeader::BYTES)
                        && let Some(header) = self.head.first_chunk()
                    {
                        let header = TagHeader::parse(header);
                        let (kind, left) = (header.type_id, header.body_bytes);
                        self.part = Part::Body { kind, left };
                        self.end_body(kind, left, &mut message);
                    }
                }
                Part::Body { kind, left } => {
                    let (taken, rest) = bytes.split_at(left.min(bytes.len()));
                    let kept = (self.head.len() - self.head_len).min(taken.len());
                    self.head[self.head_len..self.head_len + kept].copy_from_slice(&taken[..kept]);
                    self.head_len += kept;
                    let left = left - taken.len();
                    self.part = Part::Body { kind, left };
                    self.end_body(kind, left, &mut message);
                    bytes = rest;
                }
                Part::Size => {
                    if self.fill(&mut bytes, TagHeader::SIZE_BYTES) {
                        self.part = Part::TagHeader;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes bytes up to `wanted`; says whether they are all there, and forgets their number.
    fn fill(&mut self, bytes: &mut &[u8], wanted: usize) -> bool {
        let (taken, rest) = bytes.split_at((wanted - self.head_len).min(bytes.len()));
        self.head[self.head_len..self.head_len + taken.len()].copy_from_slice(taken);
        self.head_len += taken.len();
        *bytes = rest;
        let is_whole = self.head_len == wanted;
        if is_whole {
            self.head_len = 0;
        }
        is_whole
    }

    fn end_body(&mut self, kind: u8, left: usize, message: &mut impl FnMut(u8, &[u8])) {
        if left > 0 {
            return;
        }
        if matches!(kind, AUDIO | VIDEO | DATA) {
            message(kind, &self.head[..self.head_len]);
        }
        self.head_len = 0;
        self.part = Part::Size;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of two tags, and what it tells.
    pub(in crate::load::demux) fn file() -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
        let video: Vec<u8> = (0..60).collect();
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for (kind, body) in [(18, &video[..9]), (VIDEO, &video[..]), (AUDIO, &[0xaf, 1]), (9, &[])]
        {
            let len = u8::try_from(body.len()).unwrap();
            file.extend([kind, 0, 0, len, 0, 0, 7, 0, 0, 0, 0]);
            file.extend(body);
            file.extend([0, 0, 0, len + 11]);
        }
        let told = vec![
            (DATA, video[..9].to_vec()),
            (VIDEO, video[..PEEK].to_vec()),
            (AUDIO, vec![0xaf, 1]),
            (VIDEO, vec![]),
        ];
        (file, told)
    }

    #[test]
    fn tags_are_told_whatever_the_pieces_they_come_in() {
        let (file, wanted) = file();
        for size in 1..=file.len() {
            let (mut demuxer, mut told) = (FlvDemuxer::default(), Vec::new());
            for piece in file.chunks(size) {
                demuxer.take(piece, |kind, start| told.push((kind, start.to_vec()))).unwrap();
            }
            assert_eq!(told, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn more_of_a_body_is_told_to_whom_that_is_not_enough() {
        let (file, _) = file();
        for size in [1, 7, file.len()] {
            let (mut demuxer, mut longest) = (FlvDemuxer::new(50), 0);
            for piece in file.chunks(size) {
                demuxer.take(piece, |_, start| longest = longest.max(start.len())).unwrap();
            }
            assert_eq!(longest, 50, "pieces of {size}");
        }
    }

    #[test]
    fn what_does_not_begin_as_flv_is_refused() {
        let mut demuxer = FlvDemuxer::default();
        assert_eq!(demuxer.take(b"<!DOCTYPE html>", |_, _| {}), Err(NotFlv));
    }
}
